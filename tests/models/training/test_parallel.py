"""Several workers learn what one learns from the same batches, and stop, fail and go on as one."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.data.part import Part
from models.training import checkpoint
from models.training.config import ConfigError
from models.training.data import read_batch
from models.training.parallel import Workers
from tests.models.training import runs, together, toy
from tests.models.training.together import NOTHING, Trouble

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload([together.__name__])
# Sums are taken in another order, and each step starts from what the last one made of that; see ADR 20.
TOLERANCE = 2e-5
LOOP = toy.loop(steps=10, accumulation=2, batch=5, readers=2)
"""Batches of 5 that neither 2 nor 3 workers share evenly."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, Path]:
    """Each phase trained by one worker; pixels are compared in some steps."""
    folder = tmp_path_factory.mktemp("alone")
    found = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for phase in runs.PHASES:
        start = checkpoint.latest(folder / "phase2" / "checkpoints").path if phase == "phase3" else None
        runs.train(phase, folder / phase, LOOP, start=start, **choices(phase))
        found[phase] = folder / phase
    torch.set_num_threads(threads)
    return found


def choices(phase: str) -> dict:
    return {"heldout_every": 5} | ({"condition_dropout": 0.3} if phase == "phase3" else {"pixel_every": 3})


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def start_of(alone: dict[str, Path], phase: str) -> dict:
    return {"start": checkpoint.latest(alone["phase2"] / "checkpoints").path} if phase == "phase3" else {}


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("phase", runs.PHASES)
def test_losses_are_those_of_one_worker_at_the_same_batch(alone, tmp_path, phase, workers):
    given = choices(phase) | start_of(alone, phase)
    found = together.train(CHILDREN, phase, tmp_path / "run", LOOP, workers, **given)
    one, many = rows(alone[phase]), rows(tmp_path / "run")
    assert list(found.values()) == [[row["loss"] for row in many]] * workers
    timed = {"seconds", "data_wait", "tflops"}
    for first, second in zip(one, many, strict=True):
        assert first.keys() - timed == second.keys() - timed
        assert {name: second[name] for name in first.keys() - timed} == pytest.approx(
            {name: first[name] for name in first.keys() - timed}, rel=TOLERANCE
        )
    assert any("loss_sigma_3" in row or "pixel" in row for row in many)
    assert "heldout_latent" in many[-1]
    assert not list((tmp_path / "run").glob(NOTHING))


def test_a_run_goes_on_with_other_workers_after_one_died(alone, tmp_path):
    """Three, then two after one was killed, then one: what one worker has learned by itself."""
    lost = together.train(CHILDREN, "phase1", tmp_path, LOOP, 3, Trouble(killed=(1, 5)), **choices("phase1"))
    assert set(lost) == {0, 2}
    assert all(
        said.startswith("WorkerLost: worker") and "goes on at its last checkpoint" in said for said in lost.values()
    )
    assert checkpoint.latest(tmp_path / "checkpoints").step == 3
    together.train(CHILDREN, "phase1", tmp_path, LOOP, 2, Trouble(killed=(0, 4)), **choices("phase1"))
    assert checkpoint.latest(tmp_path / "checkpoints").step == 6
    ended = runs.train("phase1", tmp_path, LOOP, **choices("phase1"))
    assert ended.losses == pytest.approx([row["loss"] for row in rows(alone["phase1"])], rel=TOLERANCE)


def test_a_killed_run_goes_on_bit_for_bit_with_as_many_workers(tmp_path):
    whole = together.train(CHILDREN, "phase1", tmp_path / "whole", LOOP, 2, **choices("phase1"))
    together.train(CHILDREN, "phase1", tmp_path / "killed", LOOP, 2, Trouble(killed=(1, 5)), **choices("phase1"))
    assert together.train(CHILDREN, "phase1", tmp_path / "killed", LOOP, 2, **choices("phase1")) == whole


def test_all_stop_when_the_time_of_one_is_up(tmp_path):
    found = together.train(CHILDREN, "phase1", tmp_path, LOOP, 2, Trouble(out_of_time=(1, 4)))
    assert set(found.values()) == {"OutOfTime: phase1: its time was up after step 4 of 10; run again, it goes on there"}
    assert checkpoint.latest(tmp_path / "checkpoints").step == 4


def test_what_the_first_cannot_read_or_write_is_told_to_all(tmp_path):
    (tmp_path / "checkpoints").write_text("no folder")
    found = together.train(CHILDREN, "phase1", tmp_path, LOOP, 2)
    assert len(set(found.values())) == 1
    assert found[1].startswith("FirstWorkerError: ")


def test_a_nan_of_any_worker_stops_all_and_leaves_its_clips(tmp_path):
    found = together.train(CHILDREN, "phase1", tmp_path, LOOP, 2, Trouble(spoiled="3"))
    assert len(set(found.values())) == 1
    assert found[0].startswith("NonFiniteError: phase1: step ")
    report = json.loads((tmp_path / "non_finite.json").read_text())
    saved = load_file(tmp_path / "non_finite.safetensors")
    assert sorted(len(ids) for ids in report["ids"]) == [2, 2, 3, 3]
    for number, ids in enumerate(report["ids"]):
        assert torch.equal(saved[f"{number}.latents"].isnan().flatten(1).any(1), torch.tensor([i == "3" for i in ids]))
    assert any("3" in ids for ids in report["ids"])


def test_more_workers_than_clips_are_refused():
    with pytest.raises(ConfigError, match="batch=2 is shared by 3 workers"):
        Workers(rank=0, count=3).part(2)


def test_parts_are_the_batch_dealt_out():
    ids = [str(number) for number in range(7)]
    parts = [Part(7, rank, 3) for rank in range(3)]
    assert sorted(clip for part in parts for clip in part.own(ids)) == ids
    assert [part.count for part in parts] == [len(part.own(ids)) for part in parts] == [3, 2, 2]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert [part.first(2).count for part in parts] == [1, 1, 0]


def test_a_part_of_a_batch_reads_its_clips_alone():
    data, asked = toy.data(), []
    latents = data.latents
    object.__setattr__(data, "latents", lambda ids: asked.extend(ids) or latents(ids))
    whole = read_batch(toy.data(), data.ids[:5], arm="hybrid", captions=True, frames=2)
    part = read_batch(data, data.ids[:5], arm="hybrid", captions=True, frames=2, part=Part(5, 1, 2))
    assert part.ids == asked == ["1", "3"]
    assert torch.equal(part.captions, whole.captions[1::2])
    assert torch.equal(part.frames, whole.frames[1:])
    assert part.caption_square == whole.captions.square().mean()
    assert np.isclose(part.share, 2 / 5)
