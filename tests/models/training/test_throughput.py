"""FLOPs are counted once, right, and without touching a number of the training."""

import itertools
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.training import phase1, phase2, phase3
from models.training.data import Batch
from models.training.objective import ObjectiveConfig
from models.training.throughput import PEAKS, Throughput, peak_of
from tests.models.training import tiny, toy

PIXELS = ObjectiveConfig(pixel_every=2)


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
    vae, ltx, throughput = tiny.vae(), tiny.ltx(), Throughput(peak=1.0)
    ltx.add_lora(2)

    def work() -> None:
        vae.decode(torch.ones(1, 4, 2, 4, 4, requires_grad=True)).sum().backward()
        tokens = torch.ones(1, 32, 4), torch.tensor([0.5]), torch.ones(1, 32, 4), torch.ones(1, 2, 8)
        ltx.velocity(*tokens).sum().backward()

    with FlopCounterMode(display=False) as counter:
        work()
    for _ in range(2):
        with throughput.passing(batch(1)):
            work()
        numbers = throughput.step(1.0)
    assert numbers["mfu"] == counter.get_total_flops() > 0


def run(name: str, folder, start=None):
    told = []
    loop = toy.loop(steps=5, accumulation=2)
    watch = {"progress": lambda *progress: told.append(progress[3])}
    if name == "phase1":
        config = phase1.Phase1Config(toy.FUSION, loop, PIXELS)
        result = phase1.run(config, toy.data(), folder, **watch, vae=tiny.vae(), perceptual=toy.distance)
    elif name == "phase2":
        config = phase2.Phase2Config(toy.FUSION, loop=loop, objective=ObjectiveConfig(pixel_every=0))
        result = phase2.run(config, toy.data(), folder, **watch)
    else:
        config = phase3.Phase3Config(toy.FUSION, loop, lora_rank=2)
        result = phase3.run(config, toy.data(), folder, **watch, generator=tiny.ltx(), start=start)
    return result, told


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    return run("phase2", tmp_path_factory.mktemp("fused"))[0].checkpoint


@pytest.mark.parametrize("name", ["phase1", "phase2", "phase3"])
def test_counting_changes_no_bit(tmp_path, fused, name, monkeypatch):
    counted, told = run(name, tmp_path / "counted", fused)
    assert all(numbers["tflops"] > 0 for numbers in told[2:])
    monkeypatch.setattr(Throughput, "passing", lambda self, batch: nullcontext())
    plain, _ = run(name, tmp_path / "plain", fused)
    assert counted.losses == plain.losses
    first, second = toy.weights(counted.checkpoint), toy.weights(plain.checkpoint)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_steps_that_decode_are_counted_apart(tmp_path, monkeypatch):
    """Every other step looks through the VAE: the first of each kind is counted. Each step takes as long by this clock."""
    ticks = itertools.count()
    monkeypatch.setattr("models.training.loop.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    _, told = run("phase1", tmp_path)
    assert ["tflops" in numbers for numbers in told] == [False, False, True, True, True]
    assert told[2]["tflops"] == told[4]["tflops"] > told[3]["tflops"]
