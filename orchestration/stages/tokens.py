"""The stages `dinov2`, `qwen` and `latents`: each frozen network over every clip once, its output into a feature
store.

A store's fingerprint names the network, its weights, the code that prepares and computes, and the stage's numbers that
change its content; the store itself names the shard that each file was made from. Clips that are done under the same
fingerprint are never made again, and features of another are never read.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from models.data.features import FLOAT16, STORE, FeatureStore, Store, collect, extract, read_store
from models.data.shards import ClipShards
from models.encoders.registry import ENTRIES
from orchestration.budget.storage import require_room
from orchestration.profile import weights_folder
from orchestration.stages.parameters import section
from orchestration.versioning import fingerprint, source_sha256, with_imports

FOLDERS = {"dinov2": Path("features/dinov2"), "qwen": Path("features/qwen"), "latents": Path("latents")}
BESIDE = ("weights", "batch", "workers")
"""Parameters that change nothing in the store: where the weights lie (their hash says what they are), clips at once,
how many workers share the shards.
"""
VAE, STORED = "models/decoder/vae.py", "models/encoders/stored.py"


class TokensError(RuntimeError):
    """Weights that are not those the stage was declared with."""


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Encode ./shards into the stage's folder; finished shards are kept.

    Raises:
        StorageRefused: by the shards that are done, all of them would not fit the phase's storage cap.
    """
    params = section(stage)
    if params.get("workers", 1) > 1:
        return _by_workers(stage, params, reporter)
    network = load(stage, params)
    mark = expected(stage, params)
    extract(
        ClipShards(Path("shards")),
        FOLDERS[stage],
        encoder_of(stage, network),
        name=stage,
        fingerprint=mark,
        weights_sha256=network.weights_sha256,
        standin=network.standin,
        precision=params.get("precision", FLOAT16),
        batch=params["batch"],
        progress=reporter,
        measured=partial(require_room, stage),
    )
    return {"fingerprint": mark, "weights_sha256": network.weights_sha256, "standin": network.standin}


def _by_workers(stage: str, params: dict[str, Any], reporter: Any) -> dict[str, Any]:
    """The same by several workers of a Ray cluster, which load the network; this process reads and writes."""
    from orchestration.parallel.extraction import Loading, extractors

    shards, mark = ClipShards(Path("shards")), expected(stage, params)
    with extractors(Loading(stage, params), params["workers"], shards) as workers:
        standin = workers.standin()
        precision = params.get("precision", FLOAT16)
        store = Store(stage, mark, stage, params["weights_sha256"], standin, precision)
        room = partial(require_room, stage)
        told = {"batch": params["batch"], "progress": reporter, "measured": room}
        collect(shards, FOLDERS[stage], workers.source, store, **told)
    return {"fingerprint": mark, "weights_sha256": params["weights_sha256"], "standin": standin}


def expected(stage: str, params: Mapping[str, Any]) -> str:
    """The fingerprint of a store that is made with these parameters and this code: what a reader must find."""
    said = {name: value for name, value in params.items() if name not in BESIDE}
    if stage == "latents":
        network, code = {"class": "LTXVae"}, VAE
    else:
        entry = ENTRIES[stage]
        network, code = {"class": entry.encoder, **entry.settings}, f"models/encoders/{entry.module}.py"
    made_by = source_sha256(STORED, *with_imports(code))
    return fingerprint({"stage": stage, "network": network, "code": made_by, **said})


def open_store(workspace: Path, stage: str, shards: ClipShards) -> FeatureStore:
    """What a stage made of a workspace's shards, to read.

    Raises:
        FeatureError: it is of another network, other weights or other code than the workspace asks for now.
    """
    return FeatureStore(workspace / FOLDERS[stage], shards, expected(stage, section(stage, workspace)))


def outdated(workspace: Path, stage: str) -> bool:
    """Whether a workspace holds features of this stage that are not those that it asks for now."""
    folder = workspace / FOLDERS[stage]
    return (folder / STORE).is_file() and read_store(folder).fingerprint != expected(stage, section(stage, workspace))


def load(stage: str, params: Mapping[str, Any]) -> Any:
    """The frozen network of a stage, on the device that is here.

    Raises:
        TokensError: its weights are not those that the stage was declared with.
    """
    import torch

    network = _network(stage, params).to("cuda" if torch.cuda.is_available() else "cpu")
    if network.weights_sha256 != params["weights_sha256"]:
        raise TokensError(
            f"{params['weights']}: sha256 {network.weights_sha256[:12]} is not params.yaml's"
            f" {params['weights_sha256'][:12]}; restore the weights or update params.yaml"
        )
    return network


def _network(stage: str, params: Mapping[str, Any]) -> Any:
    folder = weights_folder(params["weights"])
    if stage == "latents":
        from models.decoder.vae import LTXVae

        return LTXVae.load(folder)
    from models.encoders.registry import load_encoder

    return load_encoder(stage, folder, stride=params.get("stride", 1), precision=params["computed_in"])


def encoder_of(stage: str, network: Any) -> Any:
    """uint8 [n, T, H, W, 3] to the named arrays of the store."""
    from models.encoders.stored import latents_of, tokens_of

    return latents_of(network) if stage == "latents" else tokens_of(network)
