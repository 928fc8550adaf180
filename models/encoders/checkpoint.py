"""Where an encoder's weights come from: a local folder, or a hub's repository at one commit; safetensors only."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.provenance import WeightsError, folder_sha256, is_standin

HUB_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+?)(@(?P<revision>.*))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
"""What is fetched of a repository: weights, configurations, the tokenizer's files. No pickles, no code."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class Checkpoint:
    """Weights that lie in a folder: what they are, and whether they are a stand-in."""

    folder: Path
    sha256: str
    standin: bool

    def identity(self) -> dict[str, Any]:
        """What an encoder says of its weights."""
        return {"weights_sha256": self.sha256, "standin": self.standin}

    def config(self) -> dict[str, Any]:
        """The model's own `config.json`.

        Raises:
            WeightsError: there is none, or it cannot be read.
        """
        file = self.folder / "config.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{file}: no readable configuration ({error}); fetch the folder again") from error


def locate(weights: Path | str, sha256: str | None = None) -> Checkpoint:
    """Find a folder of weights and say what it holds; a hub's repository, `org/name@COMMIT`, is fetched first.

    `sha256` is the expected `folder_sha256`, where one is pinned.

    Raises:
        WeightsError: no such folder or repository, a revision that can move, pickles only, or not the pinned weights.
    """
    folder = Path(weights) if Path(weights).is_dir() else _fetch(str(weights))
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    pickles = [file.name for file in files if file.suffix in PICKLES]
    if pickles and not any(file.suffix == ".safetensors" for file in files):
        raise WeightsError(
            f"{folder}: holds pickled weights only ({pickles[0]}), which may run code; convert them to safetensors"
        )
    found = folder_sha256(folder)
    if sha256 not in (None, found):
        raise WeightsError(f"{folder}: has sha256 {found}, not the pinned {sha256}; it is refused")
    return Checkpoint(folder, found, is_standin(folder))


def _fetch(name: str) -> Path:
    named = HUB_NAME.fullmatch(name)
    if not named:
        raise WeightsError(f"{name}: no such folder; give a folder of weights, or org/name@COMMIT of a hub")
    repository, revision = named["repository"], named["revision"]
    if not revision or not COMMIT.fullmatch(revision):
        said = f"the revision {revision!r} can move" if revision else "no such folder, and no revision is named"
        raise WeightsError(f"{name}: {said}; pin the commit, {repository}@ and its 40 hexadecimal digits")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(WANTED)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"{name}: the hub did not give it ({reason}); use a local folder of weights") from error


def load_model(
    checkpoint: Checkpoint, classes: dict[str, Any], *, dtype: Any, key_mapping: dict[str, str] | None = None
) -> Any:
    """A model of the transformers library, of the class that the folder's `model_type` names.

    Parameters that the files lack would stay random: the library only warns of them, here they are refused.

    Raises:
        WeightsError: the folder holds another kind of model, lacks parameters, or is damaged.
    """
    kind = checkpoint.config().get("model_type")
    if kind not in classes:
        raise WeightsError(
            f"{checkpoint.folder}: holds a {kind} model, not {' or '.join(classes)}; name another folder"
        )
    try:
        model, report = classes[kind].from_pretrained(
            checkpoint.folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=dtype,
            key_mapping=key_mapping,
            output_loading_info=True,
        )
    except Exception as error:  # a damaged file fails as OSError, ValueError, RuntimeError or the Rust reader's own
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{checkpoint.folder}: cannot be loaded ({reason}); fetch the folder again") from error
    if lacking := sorted(report["missing_keys"]):
        raise WeightsError(
            f"{checkpoint.folder}: lacks {len(lacking)} parameters of {type(model).__name__}, {lacking[0]} first; "
            "name the folder of the whole model"
        )
    return model
