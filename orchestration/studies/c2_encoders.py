"""The tokens of spatial encoders that no feature store holds, made once for the study; and what encoders cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save

from models import weights
from models.data import write_durably
from models.encoders.base import Encoder, grid_positions
from models.encoders.registry import load_encoder
from models.evaluation.localisation import onto_grid
from models.studies.cost import flops
from models.studies.untrained import untrained
from models.training.data import TokenSource
from orchestration.profile import Pretrained, weights_folder
from orchestration.stages.inputs import Inputs
from orchestration.stages.parameters import section
from orchestration.studies.study import Measured

FILE = "tokens.safetensors"
OWNERS = {"dinov2": "dinov2", "dinov2_multi": "dinov2", "qwen_premerge": "qwen"}
"""Whose weights in the profile each network has."""
UNTRAINED_SEED = 0
"""Frozen as the others are: the seeds of the trainings see one and the same network."""


def made(settings: dict[str, Any], inputs: Inputs, ids: Sequence[str], folder: Path, reporter: Any) -> Measured:
    """Encode the clips into `folder`: the tokens at no finer a grid than DINOv2's, so that fusions read as many."""
    encoder, device = _encoder(settings["encoder"], inputs), inputs.job.profile.device
    parts, side = [], _dinov2_side(inputs)
    for first in range(0, len(ids), settings["batch"]):
        some = ids[first : first + settings["batch"]]
        frames = torch.from_numpy(np.ascontiguousarray(inputs.shards.frames(some))).to(device)
        tokens = encoder(frames).tokens.float().cpu().numpy()
        parts.append(onto_grid(tokens, (side, side)) if tokens.shape[2] > side**2 else tokens)
        reporter(f"tokens: {settings['encoder']['network']}", first + len(some), len(ids), {})
    tokens = np.concatenate(parts)
    # A tower's largest states may lie beyond what half the bytes can hold.
    halved = np.abs(tokens).max() < np.finfo(np.float16).max
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / FILE, save({"tokens": tokens.astype(np.float16 if halved else np.float32)}))
    found = cost(encoder, inputs, ids)
    return {**found, "untrained": settings["encoder"]["weights"] == "untrained", "dim": tokens.shape[-1]}


def stored(name: str, inputs: Inputs, ids: Sequence[str]) -> Measured:
    """The cost of an encoder whose tokens are in a feature store."""
    return {**cost(inputs.encoder(name, stride=_stride(inputs)), inputs, ids), "untrained": False}


def cost(encoder: Encoder, inputs: Inputs, ids: Sequence[str]) -> Measured:
    """Parameters of a frozen encoder, and FLOPs of a clip."""
    clip = torch.from_numpy(np.ascontiguousarray(inputs.shards.frames(ids[:1]))).to(inputs.job.profile.device)
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    return {
        "standin": encoder.standin,
        "weights_sha256": encoder.weights_sha256,
        "numbers": {"parameters": parameters, "flops": flops(lambda: encoder(clip))},
    }


def source(folder: Path, ids: Sequence[str]) -> TokenSource:
    """What `made` left in a cell's folder, of the same clips in the same order."""
    tokens, places = load_file(folder / FILE)["tokens"], {clip: row for row, clip in enumerate(ids)}
    side = round(tokens.shape[2] ** 0.5)
    positions = np.tile(grid_positions(side, side).numpy(), (tokens.shape[1], 1, 1))
    return TokenSource(lambda wanted: tokens[[places[clip] for clip in wanted]], positions)


def _encoder(given: dict[str, Any], inputs: Inputs) -> Encoder:
    profile, network, stride = inputs.job.profile, given["network"], _stride(inputs)
    whose = given["weights"]
    if whose == "untrained":
        size = inputs.shards.settings["size"]
        sizes = {"width": given["width"], "depth": given["depth"], "patch": size // _dinov2_side(inputs), "size": size}
        encoder: Any = untrained(network, **sizes, stride=stride, seed=UNTRAINED_SEED)
    elif whose == "fetched":
        encoder = _mobile_sam(given["px"], stride)
    elif whose == "profile":
        precision = getattr(profile.weights, OWNERS[network]).precision
        encoder = load_encoder(
            network, profile.weights.folder(OWNERS[network]), stride=stride, precision=precision
        )  # fmt: skip
    else:
        pinned = Pretrained.model_validate(whose)
        encoder = load_encoder(network, weights_folder(pinned.source), stride=stride, sha256=pinned.sha256)
    return encoder.to(profile.device)


def _mobile_sam(px: int, stride: int) -> Encoder:
    """The published weights at another size: the network takes any square."""
    from models.encoders.mobile_sam import MobileSamEncoder

    whole: Any = load_encoder("mobile_sam", weights.path("mobile_sam"), stride=stride)
    identity = {"weights_sha256": whole.weights_sha256, "standin": whole.standin}
    return MobileSamEncoder(whole.model, size=px, stride=stride, **identity)


def _stride(inputs: Inputs) -> int:
    return section("dinov2", inputs.job.workspace)["stride"]


def _dinov2_side(inputs: Inputs) -> int:
    return round(inputs.store("dinov2").read(inputs.shards.ids()[:1]).shape[2] ** 0.5)
