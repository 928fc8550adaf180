"""`make gpu-bench` at small size: all is measured, what cannot be is said, and the document holds what it promises."""

import builtins
import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch
from pydantic import TypeAdapter

from models.bench import components, figure, figures, gpu, inference, training
from models.bench.clips import random_frames
from models.bench.setting import PROFILE, BenchError, setting, true_size
from models.bench.words import lines, verdicts
from models.fusion.config import proposed
from orchestration.profile import load

CALLS = [
    *("Qwen2.5-VL encoding", "DINOv2 encoding", "fusion", *inference.ENCODERS),
    *("LTX generation", *figures.WHOLE),
]
ON_FEATURES = ["phase1", "phase2 vlm_only", "phase2 dino_only", "phase2 hybrid"]
PHASES = [*ON_FEATURES, *training.THIRD]


def test_every_component_and_every_phase_is_measured(bench):
    assert [call.name for call in bench.inference] == CALLS
    assert [phase.name for phase in bench.training] == PHASES
    assert not bench.left_out
    for call in bench.inference:
        assert call.calls >= 50
        assert 0 < call.p50_s <= call.p95_s < math.inf
        assert "not VRAM" in call.memory
    assert all(0 < phase.s_per_step < math.inf and phase.trainable_parameters > 0 for phase in bench.training)


def test_small_sizes_judge_no_goal(bench):
    assert [goal.met for goal in bench.goals] == [None] * 5
    assert "say nothing of the proposal's" in bench.told
    told = [*lines(bench.inference, bench.training), *verdicts(bench.goals, bench.left_out)]
    assert len(told) == len(CALLS) + len(PHASES) + 5
    assert sum("not judged here" in line for line in told) == 5


def test_goals_are_judged_by_the_faster_whole_and_by_all_memory_reserved(bench):
    whole = [replace(call, reserved_gb=30.0, p50_s=0.6 + k) for k, call in enumerate(bench.inference[-2:])]
    phases = [replace(bench.training[0], reserved_gb=gb) for gb in (20.0, 43.0)]
    judged = [*figures.time_goals(whole, judged=True), *figures.memory_goals(whole, phases, judged=True)]
    assert [goal.met for goal in judged] == [True, True, True, False]
    assert [goal.value for goal in judged] == [0.6, 0.6, 30.0, 43.0]
    nothing = [*figures.time_goals([], judged=True), *figures.memory_goals([], [], judged=True)]
    assert [goal.met for goal in nothing] == [None] * 4
    assert [figures.run_goal(seconds, judged=True).met for seconds in (599.0, 600.0)] == [True, False]


def test_the_document_and_the_figure_are_whole(bench, tmp_path):
    document, picture = gpu.write(bench, tmp_path / "new" / "folder")
    read = TypeAdapter(gpu.GpuBench).validate_json(document.read_bytes(), strict=True)
    assert read.schema == gpu.SCHEMA
    assert read.machine.packages["torch"] == version("torch")
    assert read.inference == bench.inference
    assert read.goals == bench.goals
    assert json.loads(document.read_text())["setting"]["side"] == bench.setting["side"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_figure_shows_goals_and_gpu_memory_where_there_are_any(bench):
    calls = [replace(call, own_gb=5.0, reserved_gb=31.0) for call in bench.inference]
    phases = [replace(phase, peak_gb=29.0, reserved_gb=30.0) for phase in bench.training]
    drawn = {judged: figure.draw(bench.told, "a GPU", calls, phases, judged=judged) for judged in (True, False)}
    plain = figure.draw(bench.told, "a GPU", bench.inference, bench.training, judged=False)
    assert len({*drawn.values(), plain}) == 3
    assert figures.PROPOSED.keys() <= {call.name for call in bench.inference}


def test_without_diffusers_the_rest_is_measured_and_the_lack_is_named(small, monkeypatch):
    real = builtins.__import__

    def lacking(name, *arguments, **named):
        if name.split(".")[0] == "diffusers":
            raise ModuleNotFoundError("No module named 'diffusers'")
        return real(name, *arguments, **named)

    for name in [name for name in sys.modules if name.startswith(("models.bench.decoder", "models.decoder"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("models.bench.decoder", raising=False)
    monkeypatch.setattr(builtins, "__import__", lacking)
    chain = inference.Chain(small)
    assert list(chain.calls()) == CALLS[:5]
    chain.close()
    phases, not_trained = training.measure(small)
    assert [phase.name for phase in phases] == ON_FEATURES
    left_out = [*chain.left_out, *not_trained]
    named = ["LTX generation and the whole", "the pixel loss of Phases 1 and 2"]
    named += ["Phase 3"]
    assert [item.what for item in left_out] == named
    assert all("install diffusers" in item.why for item in left_out)


def test_it_runs_without_the_orchestration():
    """On a GPU machine there is no Dagster, MLflow, Typer or pydantic, and no diffusers either."""
    code = "import sys, models.bench.gpu; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"orchestration", "dagster", "mlflow", "typer", "av", "diffusers", "peft", "lpips"} & set(
        done.stdout.split()
    )


def test_true_size_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert setting().size == "small"
    with pytest.raises(BenchError, match="use --size small"):
        setting("true")
    with pytest.raises(BenchError, match="no size 'huge'"):
        setting("huge")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert setting().size == "true"


def test_parallel_streams_give_the_tokens_of_serial_ones(small):
    chain = inference.Chain(small)
    for serial, parallel in zip(chain.encode(), chain.encode_in_parallel(), strict=True):
        assert torch.equal(serial.tokens, parallel.tokens)
    chain.close()


def test_fewer_calls_than_the_protocol_asks_for_are_refused(small):
    with pytest.raises(ValueError, match="at least 50"):
        inference.measure(small, calls=10)


def test_half_precision_goes_the_whole_way(small):
    """As on a GPU: bf16 from the encoders to the pixels, the float32 fusion under autocast."""
    chain = inference.Chain(replace(small, precision="bf16"))
    where, what = chain.encode()
    assert where.tokens.dtype == what.tokens.dtype == torch.bfloat16
    assert {p.dtype for p in chain.generation.parameters()} == {torch.bfloat16}
    video = chain.generation(chain.fuse(where, what))
    assert video.shape == (1, 3, small.frames, small.side, small.side)
    assert video.dtype == torch.bfloat16
    assert video.isfinite().all()
    chain.close()


def test_true_size_is_the_a100_profile_with_clips_of_five_latent_frames(tmp_path):
    true, profile = true_size(PROFILE), load("a100")
    assert (true.side, true.lora_rank) == (profile.clips.size, profile.lora.rank)
    assert true.batches == (profile.phase1.batch, profile.phase2.batch, profile.phase3.batch)
    assert true.sampling_steps == profile.evaluation.sampling_steps
    assert true.fusion.items() <= profile.fusion.choices().items()
    assert (true.frames - 1) // true.temporal + 1 == proposed().latent_frames
    with pytest.raises(BenchError, match=r"none.yaml cannot be read .*; run from a whole checkout"):
        true_size(tmp_path / "none.yaml")


def test_the_decoder_is_of_the_settings_geometry_and_the_published_size(small):
    from models.bench import decoder

    for at in (small, replace(true_size(PROFILE), device="meta")):
        geometry = decoder.vae(at, at.dtype).geometry
        assert (geometry.channels, geometry.spatial, geometry.temporal) == (at.channels, at.spatial, at.temporal)
        ltx = decoder.generator(at, at.dtype, geometry)
        assert ltx.grid.shape == geometry.shape(at.frames, at.side, at.side)
        assert ltx.transformer.config.caption_channels == at.caption_channels
    assert sum(p.numel() for p in ltx.transformer.parameters()) == 1_923_385_472


@pytest.mark.parametrize(
    ("build", "parameters"), [(components.qwen, 8_292_166_656), (components.dinov2, 1_136_480_768)]
)
def test_the_encoders_of_true_size_are_the_published_ones(build, parameters):
    encoder = build(replace(true_size(PROFILE), device="meta"))
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    assert {p.dtype for p in encoder.parameters()} == {encoder.model.dtype}


def test_the_true_clip_fits_both_encoders_and_the_decoder():
    """Qwen's processor at true size sees the video tokens that the model's configuration names."""
    from models.encoders.qwen import video_inputs

    true = replace(true_size(PROFILE), device="meta")
    encoder = components.qwen(true)
    inputs = video_inputs(encoder.processor, random_frames(replace(true, device="cpu")))
    video = inputs["input_ids"] == encoder.model.config.video_token_id
    pairs, cells = (true.frames + 1) // 2, (true.side // encoder.cell) ** 2
    assert video.sum() == pairs * cells
    assert true.side % 14 == true.side % true.spatial == (true.frames - 1) % true.temporal == 0
