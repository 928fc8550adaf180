"""FLOPs are counted once, right, and without touching a number of the training."""

import itertools
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.decoder.conditions import Conditions
from models.training.data import Batch
from models.training.throughput import PEAKS, Throughput, peak_of
from tests.models.decoder import small
from tests.models.training import runs, toy


def batch(clips: int) -> Batch:
    return Batch(ids=["a"] * clips, latents=torch.ones(clips, 3))


def test_a_pass_is_counted_once_for_its_shape():
    """A product of [B, 3] and [3, 5] takes 2 * B * 3 * 5 FLOPs, and so does its gradient in the weight."""
    weight, throughput = torch.ones(3, 5, requires_grad=True), Throughput(peak=1e3)

    def work(clips: int) -> None:
        with throughput.passing(batch(clips)):
            (batch(clips).latents @ weight).sum().backward()

    work(4)
    assert throughput.step(1.0) == {}  # counting slowed it down
    work(4), work(4)
    flops = 2 * (2 * 2 * 4 * 3 * 5)
    assert throughput.step(2.0) == {"tflops": flops / 2 / 1e12, "mfu": flops / 2 / 1e3}
    work(2)
    assert throughput.step(1.0) == {}
    work(2)
    assert throughput.step(1.0)["mfu"] == 2 * 2 * 2 * 3 * 5 / 1e3


def test_mfu_is_given_only_where_the_peak_is_known(monkeypatch):
    assert peak_of(torch.device("cpu"), "bf16") is None
    assert Throughput(None).step(1.0) == {"tflops": 0.0}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert peak_of(torch.device("cuda"), "bf16") == PEAKS["NVIDIA H200"]
    assert peak_of(torch.device("cuda"), "fp32") is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200 MIG 1g.18gb")
    assert peak_of(torch.device("cuda"), "bf16") is None


def test_the_sum_is_that_of_flop_counter_mode():
    """On both of the repository's frozen networks, with their gradients."""
    vae, ltx, throughput = small.vae(4, patch=1, scalings=1), small.toy_generator(), Throughput(peak=1.0)
    ltx.add_lora(2)

    def work() -> None:
        vae.decode(torch.ones(1, 4, 2, 4, 4, requires_grad=True)).sum().backward()
        conditions = Conditions(torch.ones(1, 2, 8), latents=torch.ones(1, 32, 4))
        ltx.velocity(torch.ones(1, 32, 4), torch.tensor([0.5]), conditions).sum().backward()

    with FlopCounterMode(display=False) as counter:
        work()
    for _ in range(2):
        with throughput.passing(batch(1)):
            work()
        numbers = throughput.step(1.0)
    assert numbers["mfu"] == counter.get_total_flops() > 0


def run(phase: str, folder, start=None):
    told, loop = [], toy.loop(steps=5, accumulation=2)
    pixel_every = 2 if phase == "phase1" else 0
    watch = lambda *progress: told.append(progress[3])  # noqa: E731
    return runs.train(phase, folder, loop, watch, start=start, pixel_every=pixel_every), told


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    return run("phase2", tmp_path_factory.mktemp("fused"))[0].checkpoint


@pytest.mark.parametrize("phase", runs.PHASES)
def test_counting_changes_no_bit(tmp_path, fused, phase, monkeypatch):
    counted, told = run(phase, tmp_path / "counted", fused)
    assert all(numbers["tflops"] > 0 for numbers in told[2:])
    monkeypatch.setattr(Throughput, "passing", lambda self, batch: nullcontext())
    plain, _ = run(phase, tmp_path / "plain", fused)
    assert counted.losses == plain.losses
    first, second = toy.weights(counted.checkpoint), toy.weights(plain.checkpoint)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_steps_that_decode_are_counted_apart(tmp_path, monkeypatch):
    """Every other step looks through the VAE: the first of each kind is counted. By this clock all take as long."""
    ticks = itertools.count()
    monkeypatch.setattr("models.training.loop.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    _, told = run("phase1", tmp_path)
    assert ["tflops" in numbers for numbers in told] == [False, False, True, True, True]
    assert told[2]["tflops"] == told[4]["tflops"] > told[3]["tflops"]
