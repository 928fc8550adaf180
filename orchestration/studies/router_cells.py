"""What the router's cells measure: each arm's LPIPS of train and held-out clips, then the router itself."""

from typing import Any

import numpy as np
import torch

from models.evaluation.lpips import Lpips, clip_lpips
from models.studies.cost import cost, flops
from models.studies.router import Router, features
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings, decode
from orchestration.stages.inputs import Inputs
from orchestration.stages.training import checkpoint
from orchestration.studies.router import ARMS, ROUTER
from orchestration.studies.study import Bench, Cell, Measured
from orchestration.studies.trainings import clips

ENCODERS = {"hybrid": ("qwen", "dinov2"), "vlm_only": ("qwen",)}
"""What each way runs for a clip."""


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell."""
    settings: dict[str, Any] = dict(cell.settings)
    return _router(settings, bench) if cell.name == ROUTER else _arm(settings, bench)


def _arm(settings: dict[str, Any], bench: Bench) -> Measured:
    """LPIPS of the frames that Phase 2's arm decodes to, of every clip, and the FLOPs of one."""
    inputs, arm, batch = bench.inputs, settings["arm"], settings["batch"]
    train, heldout = clips(settings, inputs)
    data = inputs.training(train, heldout, captions=False)
    device = inputs.job.profile.device
    fusion = load_fusion(checkpoint(bench.job.inputs["phase2"], arm)).to(device)
    network, values, ids = Lpips("alex"), dict[str, float](), [*train, *heldout]
    for first in range(0, len(ids), batch):
        some = ids[first : first + batch]
        made = conditionings(fusion, data, some, arm, batch=batch)
        frames = decode(inputs.vae, made.latents, batch=batch, device=device)
        found = clip_lpips(network, inputs.shards.frames(some), frames)
        values |= dict(zip(some, map(float, found), strict=True))
        bench.reporter(f"LPIPS of {arm}", len(values), len(ids), {})
    stores = (inputs.store(name).store for name in ("latents", *ENCODERS[arm]))
    return {
        "standin": any(store.standin for store in stores),
        "by_clip": {"lpips": {clip: value if np.isfinite(value) else None for clip, value in values.items()}},
        "numbers": {"flops": _encoders(arm, inputs, train) + cost(fusion, data, arm).flops},
    }


def _router(settings: dict[str, Any], bench: Bench) -> Measured:
    """What the hybrid should gain on held-out clips, told from the VLM's tokens by its gains on train clips."""
    train, heldout = clips(settings, bench.inputs)
    told = {name: _features(ids, bench, settings["batch"]) for name, ids in (("train", train), ("heldout", heldout))}
    hybrid, alone = (_lpips(bench.measured[arm]) for arm in ARMS)
    gains = np.array([alone[clip] - hybrid[clip] for clip in train])
    expected = Router.fit(told["train"], gains).expected(told["heldout"])
    return {
        "standin": any(bench.measured[arm]["standin"] for arm in ARMS),
        "by_clip": {"expected_gain": dict(zip(heldout, map(float, expected), strict=True))},
        "numbers": {"train": len(train), "train_critical": float((gains > settings["margin"]).mean())},
    }


def _lpips(measured: Any) -> dict[str, float]:
    """By clip; undefined where LPIPS is."""
    return {clip: np.nan if value is None else value for clip, value in measured["by_clip"]["lpips"].items()}


def _features(ids: list[str], bench: Bench, batch: int) -> np.ndarray:
    store = bench.inputs.store("qwen")
    return np.concatenate([features(store.read(ids[first : first + batch])) for first in range(0, len(ids), batch)])


def _encoders(arm: str, inputs: Inputs, ids: list[str]) -> int:
    """FLOPs of the encoders that the way runs, on one clip."""
    clip = torch.from_numpy(np.ascontiguousarray(inputs.shards.frames(ids[:1]))).to(inputs.job.profile.device)
    stride = inputs.vae.geometry.temporal
    encoders = [inputs.encoder(name, stride=stride) for name in ENCODERS[arm]]
    return sum(flops(lambda encoder=encoder: encoder(clip)) for encoder in encoders)
