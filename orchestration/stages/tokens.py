"""The stages `dinov2`, `qwen` and `latents`: each frozen network over every clip once, its output into a feature
store.

A store's fingerprint is the weights' hash with the stage's numbers that change its content: clips that are done under
the same fingerprint are never made again.
"""

from pathlib import Path
from typing import Any

from orchestration.profile import weights_folder
from orchestration.stages.parameters import section
from orchestration.versioning import fingerprint

FOLDERS = {"dinov2": Path("features/dinov2"), "qwen": Path("features/qwen"), "latents": Path("latents")}
BESIDE = ("weights", "batch")


class TokensError(RuntimeError):
    """Weights that are not those the stage was declared with."""


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Encode ./shards into the stage's folder; finished shards are kept."""
    import torch

    from models.data.features import FLOAT16, extract
    from models.data.shards import ClipShards

    params = section(stage)
    network = _load(stage, params).to("cuda" if torch.cuda.is_available() else "cpu")
    if params["weights_sha256"] and network.weights_sha256 != params["weights_sha256"]:
        raise TokensError(
            f"{params['weights']}: sha256 {network.weights_sha256[:12]} is not params.yaml's"
            f" {params['weights_sha256'][:12]}; restore the weights or update params.yaml"
        )
    said = {name: value for name, value in params.items() if name not in BESIDE}
    mark = fingerprint({"stage": stage, "weights": network.weights_sha256, **said})
    extract(
        ClipShards(Path("shards")),
        FOLDERS[stage],
        _encode(stage, network),
        name=stage,
        fingerprint=mark,
        weights_sha256=network.weights_sha256,
        standin=network.standin,
        precision=params.get("precision", FLOAT16),
        batch=params["batch"],
        progress=reporter,
    )
    return {"fingerprint": mark, "weights_sha256": network.weights_sha256, "standin": network.standin}


def _load(stage: str, params: dict[str, Any]) -> Any:
    folder = weights_folder(params["weights"])
    if stage == "latents":
        from models.decoder.vae import LTXVae

        return LTXVae.load(folder)
    from models.encoders.registry import load_encoder

    return load_encoder(stage, folder, stride=params.get("stride", 1))


def _encode(stage: str, network: Any) -> Any:
    """uint8 [n, T, H, W, 3] to the named arrays of the store."""
    from models.encoders.stored import latents_of, tokens_of

    return latents_of(network) if stage == "latents" else tokens_of(network)
