"""What int8 features do to Phase 1: LPIPS and Spatial IoU of its held-out clips, with fp16 and with int8 tokens.

The same checkpoint reads both; the tokens are quantised in memory, nothing is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from models.data.features import FLOAT16, INT8, FeatureStore
from models.data.quantisation import dequantise, quantise
from models.evaluation.metric import Metric, bootstrap, paired_difference
from models.training.data import Reader, TrainingData
from orchestration.data.workspace import Workspace, remote_of
from orchestration.home import Home
from orchestration.jobs import RESULT, Job, JobError, read
from orchestration.stages.inputs import Inputs

if TYPE_CHECKING:
    from models.evaluation.evaluate import Reference


@dataclass(frozen=True)
class Effect:
    """One metric of the same clips with both precisions."""

    float16: Metric
    int8: Metric
    difference: Metric
    """int8 minus fp16, clip by clip."""

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {name: metric.document() for name, metric in vars(self).items()}


def on_phase1(home: Home, dataset: str, store: FeatureStore) -> dict[str, Effect] | None:
    """By metric; None where Phase 1 has no checkpoint. Spatial IoU only where every clip has a true mask.

    Raises:
        JobError: Phase 1 was trained on other data than the workspace holds now.
    """
    from models.training.recipe import load_fusion
    from models.training.reconstruct import conditionings, decode
    from models.training.stores import token_source
    from orchestration.stages.generation import MAIN
    from orchestration.stages.training import checkpoint

    folder = home.run(dataset, "phase1")
    if not (folder / RESULT).is_file():
        return None
    workspace = Workspace(home.workspace(dataset), remote_of(home))
    job = read(folder / "job.json").model_copy(update={"workspace": workspace.root})
    if job.data_versions != {stage: workspace.recorded(stage) for stage in job.data_versions}:
        raise JobError(
            f"{folder}: trained on other data than {workspace.root} holds; run `foresight run --until phase1`"
        )
    inputs, size, device = Inputs(job), job.profile.evaluation.batch, job.profile.device
    ids = inputs.ids("heldout")[: job.profile.evaluation.clips]
    fusion = load_fusion(checkpoint(folder, MAIN[1])).to(device)
    reference = _reference(job, inputs, ids)

    def values(data: TrainingData) -> dict[str, np.ndarray]:
        latents = conditionings(fusion, data, ids, MAIN[1], batch=size).latents
        return _values(reference, decode(inputs.vae, latents, batch=size, device=device))

    in_fp16 = inputs.training(ids, ids, captions=False)
    in_int8 = replace(in_fp16, spatial=replace(token_source(store), read=int8_reader(store)))
    float16, int8 = values(in_fp16), values(in_int8)
    protocols, seed = reference.protocols(), job.profile.evaluation.seed
    return {name: _effect(float16[name], int8[name], seed, protocols[name]) for name in float16}


def int8_reader(store: FeatureStore) -> Reader:
    """Tokens as an int8 store of the same fp16 files would give them: scales are of all clips of a file."""

    @cache
    def quantised(shard: str) -> tuple[np.ndarray, np.ndarray]:
        return quantise(store.read(store.shards.ids_of(shard)))

    def tokens(ids: Sequence[str]) -> np.ndarray:
        picked = []
        for shard, row in map(store.shards.places.__getitem__, ids):
            values, scales = quantised(shard)
            picked.append(dequantise(values[row], scales))
        return np.stack(picked)

    return tokens


def _reference(job: Job, inputs: Inputs, ids: Sequence[str]) -> "Reference":
    """The true clips as the evaluation has them; masks and their segmenter where every clip has a mask."""
    from models.evaluation.evaluate import Reference
    from models.evaluation.lpips import Lpips
    from models.evaluation.segmenter import Segmenter

    masked = inputs.shards.index.set_index("clip_id").loc[list(ids), "has_masks"].all()
    return Reference(
        inputs.shards.frames(ids),
        Lpips("alex"),
        masks=inputs.shards.masks(ids) if masked else None,
        segmenter=Segmenter.load(job.profile.weights.folder("segmenter")) if masked else None,
    )


def _values(reference: "Reference", made: np.ndarray) -> dict[str, np.ndarray]:
    """Per-clip values [N] of generated clips uint8 [N, T, H, W, 3]."""
    from models.evaluation.iou import mask_iou

    values = {"lpips": reference.perceptual(made)["lpips"]}
    if reference.segmenter is not None and reference.masks is not None:
        values["spatial_iou"] = mask_iou(reference.masks, reference.segmenter.masks(made))
    return values


def _effect(float16: np.ndarray, int8: np.ndarray, seed: int, protocol: str) -> Effect:
    return Effect(
        bootstrap(float16, seed, f"{FLOAT16} tokens: {protocol}"),
        bootstrap(int8, seed, f"{INT8} tokens: {protocol}"),
        paired_difference(int8, float16, seed, f"{INT8} minus {FLOAT16} tokens: {protocol}"),
    )
