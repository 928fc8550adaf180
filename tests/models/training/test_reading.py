"""Batches come in their order, however many threads read them."""

import threading
from collections.abc import Sequence
from contextlib import closing

import pytest

from models.training.reading import batches
from tests.models.training import toy

IDS = [str(k) for k in range(10)]


def read(readers: int, load=lambda ids, step: (ids, step), start: int = 0) -> list:
    config = toy.loop(steps=5, accumulation=2, batch=4, readers=readers)
    with closing(batches(load, IDS, config, start)) as stream:
        return list(stream)


@pytest.mark.parametrize("readers", [0, 1, 2, 50])
def test_order_and_steps_are_those_of_one_reader(readers):
    passes = read(readers)
    assert [step for _, step in passes] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert passes == read(1)
    assert read(readers, start=3) == passes[6:]
    assert read(readers, start=5) == []


def test_two_readers_read_two_batches_at_once():
    second = threading.Event()
    order = iter(range(10))

    def load(ids: Sequence[str], step: int) -> tuple[Sequence[str], int]:
        if next(order) == 0:
            assert second.wait(30), "the first batch waits for the second, which a second reader reads"
        second.set()
        return ids, step

    assert read(2, load) == read(0)


@pytest.mark.parametrize("readers", [0, 2])
def test_what_reading_raises_is_raised_where_the_batch_is_due(readers):
    def load(ids: Sequence[str], step: int) -> int:
        if step == 3:
            raise OSError("the disk is gone")
        return step

    config, given = toy.loop(steps=5, readers=readers), []
    with pytest.raises(OSError, match="the disk is gone"), closing(batches(load, IDS, config, 0)) as stream:
        given.extend(stream)
    assert given == [] or given == [0, 1, 2]
