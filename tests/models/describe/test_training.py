"""What is traced of a phase is what its real run takes, and answers to what a run is made of."""

import dataclasses
import warnings

import lpips
import pytest
import torch

from models.bench import decoder
from models.bench.clips import random_data
from models.bench.training import loop
from models.describe import training
from models.describe.peak import PeakMemory
from models.describe.training import lora_parameters
from models.fusion.build import build
from models.training import phase1, phase2, phase3

CLIPS = 4


@pytest.fixture(scope="module")
def estimated(plan, networks):
    return training.phases(plan, networks)


def config_of(kind, plan, at, **choices):
    run = dataclasses.replace(loop(at, CLIPS), steps=5, checkpoint_every=5, readers=0)  # the fifth compares pixels
    return kind(plan.fusion, loop=run, **choices)


@pytest.fixture(scope="module")
def real(small, plan, tmp_path_factory):
    """The peaks of three real runs on real tensors, by their own loop; what comes before the steps is left out."""
    at, folder = dataclasses.replace(small, batches=(CLIPS,) * 3), tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        patch.setattr("models.training.recipe.start_from", lambda *given: None)
        data, found = random_data(at, plan.fusion), {}
        with PeakMemory() as peak:
            distance = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False)
            seen = {"vae": decoder.vae(at, torch.float32), "perceptual": distance.requires_grad_(False).eval()}
            peak.peak = peak.now
            first = phase1.run(config_of(phase1.Phase1Config, plan, at), data, folder / "1", **seen)
            found[1] = peak.peak
            peak.peak = peak.now
            second = config_of(phase2.Phase2Config, plan, at)
            start = phase2.run(second, data, folder / "2", start=first.checkpoint, **seen).checkpoint
            found[2] = peak.peak
        with PeakMemory() as peak:
            vae = decoder.vae(at, torch.float32)
            generator = decoder.generator(at, torch.float32, vae.geometry)
            peak.peak = peak.now
            third = config_of(phase3.Phase3Config, plan, at, lora_rank=plan.lora_rank)
            phase3.run(third, data, folder / "3", generator=generator, start=start)
            found[3] = peak.peak
    return found


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_the_estimate_is_the_peak_of_the_real_run(estimated, real, phase, capsys):
    with capsys.disabled():
        print(f"\nphase {phase}: estimated {estimated[phase].total:,}, real {real[phase]:,} bytes")
    assert estimated[phase].total == pytest.approx(real[phase], rel=0.01)


def test_what_is_trained_is_counted_by_part(plan, networks, estimated):
    fusion = sum(parameter.numel() for parameter in build(plan.fusion).parameters())
    assert estimated[1].trained == estimated[2].trained == {"fusion": fusion}
    null = plan.fusion.semantic_queries * plan.fusion.caption_channels
    assert estimated[3].trained == {"fusion": fusion, "lora": lora_parameters(plan, networks), "null": null}
    for memory in (estimated[2], estimated[3]):
        count = sum(memory.trained.values())
        assert memory.average == 4 * count
        assert memory.optimizer == pytest.approx(2 * memory.average, rel=0.01)  # and the number of steps
    assert estimated[1].optimizer < estimated[2].optimizer  # no gradient reaches the semantic stream


def test_more_clips_take_more_and_checkpointing_less(plan, networks, estimated):
    twice = training.phases(dataclasses.replace(plan, batches=(8, 8, 8)), networks)
    for phase, memory in twice.items():
        assert memory.weights == estimated[phase].weights
        assert memory.step > estimated[phase].step
    less = training.phases(dataclasses.replace(plan, gradient_checkpointing=True), networks)[3]
    assert less.step < 0.8 * estimated[3].step
    assert less.weights == estimated[3].weights


def test_bf16_halves_what_is_kept_but_no_weight(plan, networks, estimated):
    half = training.phases(dataclasses.replace(plan, precision="bf16"), networks)
    assert half[3].weights == estimated[3].weights
    assert half[3].step < estimated[3].step


def test_without_caption_tokens_only_phase_1_trains(plan, networks):
    silent = dataclasses.replace(plan, fusion=dataclasses.replace(plan.fusion, semantic_queries=0))
    assert list(training.phases(silent, networks)) == [1]
