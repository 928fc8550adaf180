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

from models.bench import components, figures, gpu, inference, training
from models.bench.clips import random_frames
from models.bench.setting import BenchError, setting
from models.bench.words import lines, verdicts

CALLS = [
    *("Qwen2.5-VL encoding", "DINOv2 encoding", "fusion", *inference.ENCODERS),
    *("LTX generation", *figures.WHOLE),
]
PHASES = ["phase1", "phase2 vlm_only", "phase2 dino_only", "phase2 hybrid"]
PHASES += ["phase3", "phase3, gradient checkpointing"]


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
    assert [goal.met for goal in bench.goals] == [None] * 4
    assert "say nothing of the proposal's" in bench.told
    told = [*lines(bench.inference, bench.training), *verdicts(bench.goals, bench.left_out)]
    assert len(told) == len(CALLS) + len(PHASES) + 4
    assert sum("not judged here" in line for line in told) == 4


def test_goals_are_judged_by_the_faster_whole_and_by_all_memory_reserved(bench):
    whole = [replace(call, reserved_gb=30.0, p50_s=0.6 + k) for k, call in enumerate(bench.inference[-2:])]
    phases = [replace(bench.training[0], reserved_gb=gb) for gb in (20.0, 43.0)]
    judged = figures.goals(whole, phases, judged=True)
    assert [goal.met for goal in judged] == [True, True, True, False]
    assert [goal.value for goal in judged] == [0.6, 0.6, 30.0, 43.0]
    assert [goal.met for goal in figures.goals([], [], judged=True)] == [None] * 4


def test_the_document_and_the_figure_are_whole(bench, tmp_path):
    document, picture = gpu.write(bench, tmp_path / "new" / "folder")
    read = TypeAdapter(gpu.GpuBench).validate_json(document.read_bytes(), strict=True)
    assert read.schema == gpu.SCHEMA
    assert read.machine.packages["torch"] == version("torch")
    assert read.inference == bench.inference
    assert read.goals == bench.goals
    assert json.loads(document.read_text())["setting"]["side"] == bench.setting["side"]
    assert picture.read_bytes().startswith(b"\x89PNG")


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
    assert [phase.name for phase in phases] == PHASES[:4]
    left_out = [*chain.left_out, *not_trained]
    named = ["LTX generation and the whole", "the pixel loss of Phases 1 and 2", *PHASES[4:]]
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


def test_the_decoder_has_the_settings_geometry_and_the_published_size(small, monkeypatch):
    from models.bench import decoder

    geometry = decoder.vae(small, torch.float32).geometry
    assert (geometry.channels, geometry.spatial, geometry.temporal) == (small.channels, small.spatial, small.temporal)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    true = replace(setting("true"), device="meta")
    geometry = decoder.vae(true, torch.bfloat16).geometry
    assert (geometry.channels, geometry.spatial, geometry.temporal) == (true.channels, true.spatial, true.temporal)
    ltx = decoder.generator(true, torch.bfloat16).transformer
    assert sum(p.numel() for p in ltx.parameters()) == 1_923_385_472
    assert ltx.config.caption_channels == true.caption_channels


@pytest.mark.parametrize(
    ("build", "parameters"), [(components.qwen, 8_292_166_656), (components.dinov2, 1_136_480_768)]
)
def test_the_encoders_of_true_size_are_the_published_ones(build, parameters, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    encoder = build(replace(setting("true"), device="meta"))
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    assert {p.dtype for p in encoder.parameters()} == {encoder.model.dtype}


def test_the_true_clip_fits_both_encoders_and_the_decoder(small, monkeypatch):
    """Qwen's processor at true size sees the video tokens that the model's configuration names."""
    from models.encoders.qwen import video_inputs

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    true = replace(setting("true"), device="meta")
    encoder = components.qwen(true)
    inputs = video_inputs(encoder.processor, random_frames(replace(true, device="cpu")))
    video = inputs["input_ids"] == encoder.model.config.video_token_id
    pairs, cells = (true.frames + 1) // 2, (true.side // encoder.cell) ** 2
    assert video.sum() == pairs * cells
    assert true.side % 14 == true.side % true.spatial == (true.frames - 1) % true.temporal == 0
