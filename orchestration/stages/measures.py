"""The metrics that need more than two clips side by side: probes, boxes, captions, FVD, latency (design §6)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.encoders.base import Tokens
from models.evaluation.metric import Metric, bootstrap
from models.training.data import TrainingData
from models.training.generator import Adapted
from models.training.recipe import load_fusion
from models.training.reconstruct import Conditionings, conditionings
from orchestration.documents import ABSENT
from orchestration.jobs import Job
from orchestration.stages.generation import Made, arm_checkpoints, sample
from orchestration.stages.inputs import Inputs

Values = dict[str, np.ndarray]
NO_OBJECTS = (
    "not measured: these clips have neither masks nor boxes that say what their objects are, and the stand-in "
    "segmenter knows the objects of generated clips only"
)


def segmenter(job: Job, inputs: Inputs, ids: Sequence[str]) -> Any:
    """Whose masks Spatial IoU compares: the profile's segmenter's, but MobileSAM's where boxes and no masks say what
    the objects are. A stand-in knows the objects of generated clips only, so of clips with neither it is not asked.
    """
    from models import weights
    from models.evaluation.segmenter import Segmenter

    known = inputs.shards.outlined(ids)
    if known == "boxes":
        from models.evaluation.mobile_sam import MobileSam
        from models.evaluation.prompted import BoxPrompted

        network = MobileSam.load(weights.path("mobile_sam"), weights.sha256("mobile_sam")).to(job.profile.device)
        return BoxPrompted.of(network, inputs.shards.boxes(ids), most=job.profile.evaluation.prompted_clips)
    found = Segmenter.load(job.profile.weights.folder("segmenter"))
    return None if known == "nothing" and found.standin else found


def boxes(job: Job, inputs: Inputs, train: Sequence[str], ids: Sequence[str]) -> tuple[dict[str, Metric], Values]:
    """BBox IoU and mAP@0.5 of the detection probe on the frozen DINOv2 tokens, and the former clip by clip."""
    from models.evaluation import boxes as box
    from models.evaluation.detection import predict_boxes, train_probe

    store, size = inputs.store("dinov2"), job.profile.clips.size
    steps = store.read(ids[:1]).shape[1]
    shown = np.linspace(0, job.profile.clips.frames - 1, steps).round().astype(int)
    grid = inputs.fusion().spatial_grid
    true = {
        part: box.boxes_from_masks(inputs.shards.masks(part_ids)[:, shown])
        for part, part_ids in (("t", train), ("h", ids))
    }
    probe = train_probe(store.read(train), true["t"], grid, (size, size), seed=job.profile.evaluation.seed)
    found = predict_boxes(probe, store.read(ids), grid, (size, size))
    overlap = box.box_iou(true["h"], found)
    metrics = {
        "bbox_iou": bootstrap(overlap, job.profile.evaluation.seed, box.BOX_PROTOCOL),
        "map50": box.map50_metric(true["h"], found, job.profile.evaluation.seed),
    }
    return metrics, {"bbox_iou": overlap}


def temporal(
    job: Job, inputs: Inputs, data: TrainingData, train: Sequence[str], ids: Sequence[str], made: Made
) -> dict[str, Values]:
    """Direction and ordering, per held-out clip, read by a probe from each arm's conditioning.

    The hybrid's probe, fitted with both streams there, also reads the hybrid with one of them absent.
    """
    from models.evaluation.probes import TemporalProbe

    said = {"t": directions(inputs, train), "h": directions(inputs, ids)}
    values = {}
    for arm, path in arm_checkpoints(job).items():
        fusion = load_fusion(path).to(job.profile.device)
        seen = conditionings(fusion, data, train, arm, batch=job.profile.evaluation.batch)
        grid = fusion.config.latent_grid
        probe = TemporalProbe.fit(_told(seen, grid), said["t"])
        for name in (arm, *(ABSENT if arm == "hybrid" else ())):
            values[name] = probe.read(_told(made.conditioning[name], grid), said["h"]).values()
    return values


def directions(inputs: Inputs, ids: Sequence[str]) -> list[tuple[str, str] | None]:
    """The directions that the dataset names of each clip's halves; None of a clip without both."""
    index = inputs.shards.index.set_index("clip_id")
    pairs = index.loc[list(ids), ["direction_first", "direction_second"]].itertuples(index=False)
    return [pair if all(isinstance(word, str) and word for word in pair) else None for pair in map(tuple, pairs)]


def fvd(job: Job, true: np.ndarray, made: Made, main: str, reporter: Any) -> dict[str, Metric]:
    """FVD and its floor over the first clips; under 256 clips it is called `fvd_smallN`, and gates nothing."""
    from models.evaluation.fvd import ENOUGH, logits
    from models.evaluation.fvd import fvd as distance
    from models.evaluation.i3d import I3D

    count = job.profile.evaluation.fvd_clips
    network, name = I3D(), "fvd" if min(count, len(true)) >= ENOUGH else "fvd_smallN"
    sides = {"true": true, "made": made.arms[main], "floor": made.baselines["vae_roundtrip"]}
    seen = {side: logits(network, clips[:count], reporter) for side, clips in sides.items()}
    seed = job.profile.evaluation.seed
    return {
        name: distance(seen["true"], seen["made"], seed)[1],
        "fvd_floor": distance(seen["true"], seen["floor"], seed)[1],
    }


def latency(job: Job, inputs: Inputs, ids: Sequence[str], adapted: Adapted) -> dict[str, Metric]:
    """The whole way of one clip: both encoders, fusion, sampling, decoding; one after the other (§1.5)."""
    import torch

    from models.evaluation.latency import measure_latency

    call, settings = _pipeline(job, inputs, ids[0], adapted), job.profile.evaluation
    clips, device = job.profile.clips, job.profile.device
    brief = [f"{name} in {kind}" for name, kind in job.profile.weights.precisions.items() if kind != "float32"]
    setting = (
        f"one clip of {clips.frames} frames of {clips.size}x{clips.size}, {settings.sampling_steps} steps, "
        f"guidance {settings.guidance_scale:g}, {', '.join(['fp32', *brief])}, serial, "
        f"{device} with {torch.get_num_threads()} threads"
    )
    timed = measure_latency(call, setting, device=device)
    memory = {"vram_gb": timed.memory_metric()} if device == "cuda" else {}
    return {"latency_s": timed.metric(), "latency_s_p95": timed.metric(0.95), **memory}


def _pipeline(job: Job, inputs: Inputs, clip: str, adapted: Adapted) -> Callable[[], object]:
    import torch

    device = job.profile.device
    frames = torch.from_numpy(inputs.shards.frames([clip])).to(device)
    encoders = inputs.encoder("dinov2", stride=inputs.vae.geometry.temporal), inputs.qwen
    fusion = load_fusion(next(iter(arm_checkpoints(job).values()))).to(device)

    @torch.no_grad()
    def call() -> object:
        fused = fusion(*(_as_stored(encoder(frames)) for encoder in encoders))
        where, what = fused.latents().cpu().numpy(), fused.semantic_tokens.cpu().numpy()
        return inputs.vae.decode(torch.from_numpy(sample(job, inputs, adapted, where, what)).to(device))

    return call


def _as_stored(made: Tokens) -> Tokens:
    """Tokens as training read them: in float32, whatever the encoder computes in."""
    return replace(made, tokens=made.tokens.float())


def _told(seen: Conditionings, grid: tuple[int, int]) -> np.ndarray:
    """Everything that the conditioning says, pooled over space, for a linear probe: [N, 1, D]."""
    from models.encoders.base import grid_positions
    from models.evaluation.probes import pool

    places = np.broadcast_to(grid_positions(*grid).numpy(), (seen.hidden.shape[1], grid[0] * grid[1], 2))
    where, what = pool(seen.hidden, places), seen.semantic
    return np.concatenate([where.reshape(len(where), -1), what.reshape(len(what), -1)], axis=1)[:, None]
