"""One item is read while the one before is in use, in order, and no thread outlives its reader."""

import threading
from contextlib import closing

import pytest

from models.data.ahead import ahead


def test_the_next_item_is_read_while_this_one_is_in_use():
    begun = [threading.Event() for _ in range(3)]

    def read(item: int) -> int:
        begun[item].set()
        return 10 * item

    with closing(ahead(read, range(3))) as items:
        assert next(items) == 0
        assert begun[1].wait(10)
        assert not begun[2].is_set()
        assert list(items) == [10, 20]


def test_nothing_to_read_is_nothing_read():
    assert list(ahead(str, [])) == []


def test_an_error_comes_where_its_item_is_due():
    with closing(ahead(lambda item: 1 / item, [1, 0, 2])) as items:
        assert next(items) == 1
        with pytest.raises(ZeroDivisionError):
            next(items)


def test_closing_ends_the_thread():
    before = threading.active_count()
    items = ahead(str, range(9))
    next(items)
    assert threading.active_count() == before + 1
    items.close()
    assert threading.active_count() == before
