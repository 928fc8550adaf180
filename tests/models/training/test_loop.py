"""The loop: resuming is bit for bit, a NaN stops it before the weights change, numbers are reported."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.training import checkpoint, phase1
from models.training.checkpoint import CheckpointError
from models.training.config import ConfigError, from_json, to_json
from models.training.loop import OutOfTime
from models.training.non_finite import NonFiniteError
from models.training.objective import ObjectiveConfig
from models.training.optimization import rate_at
from models.training.sampler import Sampler
from tests.models.training import runs, toy

LATENTS = ObjectiveConfig(pixel_every=0)


def config(**choices) -> phase1.Phase1Config:
    return phase1.Phase1Config(toy.FUSION, toy.loop(**choices), LATENTS, heldout_every=2)


class Stopped(Exception):
    pass


def stop_at(step: int):
    def progress(what, done, total, numbers):
        if done == step:
            raise Stopped

    return progress


def same_weights(a: Path, b: Path) -> bool:
    first, second = toy.weights(a), toy.weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, accumulation):
    choices = config(steps=10, accumulation=accumulation)  # 10 clips in batches of 4: across the epoch's end
    whole = phase1.run(choices, toy.data(), tmp_path / "whole")
    for step in (4, 8):
        with pytest.raises(Stopped):
            phase1.run(choices, toy.data(), tmp_path / "stopped", stop_at(step))
        torch.manual_seed(step), np.random.seed(step)
    resumed = phase1.run(choices, toy.data(), tmp_path / "stopped")
    assert resumed.losses == whole.losses
    assert len(whole.losses) == 10
    assert same_weights(resumed.checkpoint, whole.checkpoint)


def time_for(steps: int):
    """A `left` that has time for so many steps."""
    asked = iter([float("inf")] * steps)
    return lambda: next(asked, 0.0)


def test_a_run_whose_time_is_up_saves_stops_and_goes_on_bit_for_bit(tmp_path):
    whole = phase1.run(config(steps=10), toy.data(), tmp_path / "whole")
    for time, reached in ((4, 4), (0, 4), (2, 6), (1, 7)):  # 3 and 6 are checkpoints anyway
        with pytest.raises(OutOfTime, match=f"after step {reached} of 10; run again") as stopped:
            phase1.run(config(steps=10), toy.data(), tmp_path / "stopped", left=time_for(time))
        assert (stopped.value.step, stopped.value.steps) == (reached, 10)
        torch.manual_seed(time), np.random.seed(time)
    resumed = phase1.run(config(steps=10), toy.data(), tmp_path / "stopped")
    assert resumed.losses == whole.losses
    assert same_weights(resumed.checkpoint, whole.checkpoint)


def test_a_run_stops_while_there_is_time_for_one_more_checkpoint(tmp_path, monkeypatch):
    """By a clock that a step (its pixels' comparison, 3 s) and a checkpoint (2 s) move: 12 s hold two steps."""
    clock, write = SimpleNamespace(now=0.0), checkpoint.save

    def distance(images, true):
        clock.now += 3
        return toy.distance(images, true)

    def save(*arguments, **choices):
        clock.now += 2
        return write(*arguments, **choices)

    monkeypatch.setattr("models.training.loop.time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(checkpoint, "save", save)
    run = phase1.Phase1Config(toy.FUSION, toy.loop(checkpoint_every=1), ObjectiveConfig(pixel_every=1))
    with pytest.raises(OutOfTime, match="after step 2 of 6"):
        phase1.run(run, toy.data(), tmp_path, vae=toy.Vae(), perceptual=distance, left=lambda: 12 - clock.now)
    assert clock.now <= 12


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = phase1.run(config(), toy.data(), tmp_path)
    steps = []
    again = phase1.run(config(), toy.data(), tmp_path, lambda *progress: steps.append(progress))
    assert again == first
    assert not steps


def test_the_start_is_not_computed_where_a_run_goes_on(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        phase1.run(config(), toy.data(), tmp_path, stop_at(4))
    monkeypatch.setattr("models.training.recipe.start_from", lambda *_: pytest.fail("the start is computed again"))
    phase1.run(config(), toy.data(), tmp_path)
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        phase1.run(config(), toy.data(), tmp_path / "another")


def test_a_run_may_go_on_with_other_readers(tmp_path):
    whole = phase1.run(config(), toy.data(), tmp_path / "whole")
    with pytest.raises(Stopped):
        phase1.run(config(), toy.data(), tmp_path / "stopped", stop_at(4))
    assert phase1.run(config(readers=3), toy.data(), tmp_path / "stopped").losses == whole.losses


def test_a_run_of_another_configuration_or_data_is_refused(tmp_path):
    phase1.run(config(), toy.data(), tmp_path)
    with pytest.raises(CheckpointError, match=r"config\.loop\.seed: 0 then, 1 now"):
        phase1.run(config(seed=1), toy.data(), tmp_path)
    other = toy.data()
    other.fingerprints["spatial"] = "another encoder"
    with pytest.raises(CheckpointError, match=r"data\.spatial: 'toy' then"):
        phase1.run(config(), other, tmp_path)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_nan_stops_before_the_step_and_leaves_the_batch(tmp_path, accumulation):
    data, started = toy.data(), []
    good = data.latents

    def bad(ids):
        latents = good(ids)
        if started:  # the start reads all clips at once; they spoil after it
            latents[[i for i, clip in enumerate(ids) if clip == "3"]] = np.nan
        started.extend(ids if len(ids) == len(data.ids) else [])
        return latents

    broken = toy.data()
    object.__setattr__(broken, "latents", bad)
    clean = phase1.run(config(accumulation=accumulation), data, tmp_path / "clean")
    with pytest.raises(NonFiniteError, match="weights are as before it"):
        phase1.run(config(accumulation=accumulation), broken, tmp_path / "broken")
    report = json.loads((tmp_path / "broken" / "non_finite.json").read_text())
    assert [len(ids) for ids in report["ids"]] == [4] * accumulation
    saved = load_file(tmp_path / "broken" / report["tensors"])
    for number, ids in enumerate(report["ids"]):
        assert torch.equal(saved[f"{number}.latents"].isnan().flatten(1).any(1), torch.tensor([i == "3" for i in ids]))
        assert torch.equal(saved[f"{number}.spatial.tokens"], data.spatial.tokens(ids).tokens)
    assert any("3" in ids for ids in report["ids"])
    before = report["step"] - 1
    rows = (tmp_path / "broken" / "history.jsonl").read_text().splitlines()
    assert len(rows) == before
    assert [json.loads(row)["loss"] for row in rows] == clean.losses[:before]


@pytest.mark.parametrize("readers", [0, 2])
def test_numbers_do_not_depend_on_the_readers(tmp_path, readers):
    runs = [config(steps=10, accumulation=2, readers=number) for number in (1, readers)]
    first, second = (phase1.run(run, toy.data(), tmp_path / str(run.loop.readers)) for run in runs)
    assert first.losses == second.losses
    assert same_weights(first.checkpoint, second.checkpoint)


def test_data_wait_is_the_share_of_all_passes(tmp_path, monkeypatch):
    """By a clock that only reading (3 s a batch) and pixels' comparison (1 s a pass) move."""
    clock, data = SimpleNamespace(now=0.0), toy.data()
    latents = data.latents

    def slow(ids):
        clock.now += 3
        return latents(ids)

    def distance(images, true):
        clock.now += 1
        return toy.distance(images, true)

    object.__setattr__(data, "latents", slow)
    monkeypatch.setattr("models.training.loop.time", SimpleNamespace(perf_counter=lambda: clock.now))
    run = phase1.Phase1Config(toy.FUSION, toy.loop(accumulation=2, readers=0), ObjectiveConfig(pixel_every=1))
    told = []
    phase1.run(run, data, tmp_path, lambda *p: told.append(p[3]), vae=toy.Vae(), perceptual=distance)
    assert {(numbers["data_wait"], numbers["seconds"]) for numbers in told} == {(0.75, 8.0)}


def test_a_history_that_ends_before_the_checkpoint_is_refused(tmp_path):
    phase1.run(config(), toy.data(), tmp_path)
    history = tmp_path / "history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    for content, said in (("".join(lines[:4]), "4 lines and a checkpoint of step 6"), ("{\n" * 6, "damaged")):
        history.write_text(content)
        with pytest.raises(CheckpointError, match=said):
            phase1.run(config(), toy.data(), tmp_path)


def test_the_caller_keeps_its_random_state(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    phase1.run(config(), toy.data(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_tells_what_a_user_wants_to_see(tmp_path):
    told = []
    phase1.run(config(), toy.data(), tmp_path, lambda *progress: told.append(progress))
    assert [(what, done, total) for what, done, total, _ in told] == [("phase1", k, 6) for k in range(1, 7)]
    assert {"loss", "lr", "grad_norm", "steps_per_s", "eta_s", "data_wait", "latent"} <= told[0][3].keys()
    assert told[-1][3]["eta_s"] == 0
    assert {"heldout_latent", "gate/spatial/0", "gate/semantic/1"} <= told[1][3].keys()
    assert "heldout_latent" not in told[0][3]


def test_bf16_computes_in_bf16_and_keeps_weights_in_fp32(tmp_path):
    """Both through a frozen network; near fp32's losses, and not the same."""
    start = None
    for phase in runs.PHASES:
        full, half = (
            runs.train(phase, tmp_path / phase / p, toy.loop(steps=3, precision=p), start=start, pixel_every=2)
            for p in ("fp32", "bf16")
        )
        assert half.losses == pytest.approx(full.losses, rel=0.02)
        assert not np.array_equal(half.losses, full.losses)
        assert {tensor.dtype for tensor in toy.weights(half.checkpoint).values()} == {torch.float32}
        start = full.checkpoint


def test_each_epoch_is_a_permutation_and_position_is_a_number():
    sampler = Sampler(10, seed=1)
    stream = sampler.take(0, 30)
    assert [sorted(stream[k : k + 10]) for k in (0, 10, 20)] == [list(range(10))] * 3
    assert not np.array_equal(stream[:10], stream[10:20])
    assert np.array_equal(Sampler(10, seed=1).take(17, 6), stream[17:23])
    assert not np.array_equal(Sampler(10, seed=2).take(0, 10), stream[:10])


def test_the_rate_warms_up_and_falls():
    loop = toy.loop(steps=100, warmup=10, learning_rate=1.0, final_rate=0.1)
    rates = [rate_at(step, loop) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)


def test_readers_below_none_are_refused():
    with pytest.raises(ConfigError, match=r"readers=-1 must be at least 0"):
        toy.loop(readers=-1)


def test_configurations_survive_json_and_unknown_keys_do_not():
    written = to_json(config())
    assert from_json(phase1.Phase1Config, written) == config()
    with pytest.raises(ConfigError, match=r"Phase1Config\.loop: unknown key stepz"):
        from_json(phase1.Phase1Config, written.replace('"steps"', '"stepz"'))
