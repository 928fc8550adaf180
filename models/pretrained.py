"""Where frozen weights come from: a local folder, or a hub's repository at one commit; safetensors only.

No torch here: the orchestrator asks too, before anything is dispatched.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from models.provenance import Pin, WeightsError, file_hashes, is_standin, listing_sha256, require_pinned

HUB_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[^/]*)(/(?P<folder>\w[\w.-]*(/\w[\w.-]*)*))?)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
"""What is fetched of a repository: weights, configurations, the tokenizer's files. No pickles, no code."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
LTX_PARTS = ("transformer", "text_encoder", "tokenizer", "scheduler")
"""Folders of a checkpoint of LTX that make up the generator. At the top of its repository lie other models' weights."""


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


@dataclass(frozen=True)
class HubFolder:
    """A repository of a hub at one commit, or a folder in it."""

    repository: str
    commit: str
    folder: str


def locate(weights: Path | str, sha256: Pin | None = None) -> Checkpoint:
    """Find a folder of weights and say what it holds; a hub's repository is fetched first.

    `sha256` is what is expected, where it is pinned: the `folder_sha256`, or the hash of each file.

    Raises:
        WeightsError: no such folder or repository, a revision that can move, pickles only, or not the pinned weights.
    """
    folder = find(weights)
    hashes = file_hashes(folder)
    if sha256 is not None:
        require_pinned(folder, hashes, sha256)
    return Checkpoint(folder, listing_sha256(hashes), is_standin(folder))


def find(weights: Path | str, parts: tuple[str, ...] = (), *, fetch: bool = True) -> Path:
    """The folder of weights: itself, or a hub's `org/name@COMMIT` or `org/name@COMMIT/folder`.

    Of a hub only the folders in `parts` are fetched, where some are named; without `fetch`, what was fetched before.

    Raises:
        WeightsError: no such folder or repository, a revision that can move, or pickles only.
    """
    folder = Path(weights) if Path(weights).is_dir() else _snapshot(hub_folder(str(weights)), parts, fetch)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    pickles = [file.name for file in files if file.suffix in PICKLES]
    if pickles and not any(file.suffix == ".safetensors" for file in files):
        raise WeightsError(
            f"{folder}: holds pickled weights only ({pickles[0]}), which may run code; convert them to safetensors"
        )
    return folder


def hub_folder(name: str) -> HubFolder:
    """What `org/name@COMMIT` or `org/name@COMMIT/folder` names.

    Raises:
        WeightsError: it is no such name, or its revision can move.
    """
    named = HUB_NAME.fullmatch(name)
    if not named:
        raise WeightsError(f"{name}: no such folder; give a folder of weights, or org/name@COMMIT of a hub")
    repository, revision = named["repository"], named["revision"]
    if not revision or not COMMIT.fullmatch(revision):
        said = f"the revision {revision!r} can move" if revision else "no such folder, and no revision is named"
        raise WeightsError(f"{name}: {said}; pin the commit, {repository}@ and its 40 hexadecimal digits")
    return HubFolder(repository, revision, named["folder"] or "")


@cache
def _snapshot(hub: HubFolder, parts: tuple[str, ...], fetch: bool) -> Path:
    """The hub's own folder of a commit. A commit never changes, so a process asks for it once."""
    from huggingface_hub import snapshot_download

    folders = [f"{hub.folder}/{part}" if hub.folder else part for part in parts] or [hub.folder]
    patterns = [f"{folder}/{kind}" if folder else kind for folder in folders for kind in WANTED]
    try:
        snapshot = snapshot_download(
            hub.repository, revision=hub.commit, allow_patterns=patterns, local_files_only=not fetch
        )
    except (OSError, ValueError) as error:
        name, reason = f"{hub.repository}@{hub.commit}", str(error).strip().splitlines()[0]
        if not fetch:
            raise WeightsError(
                f"{name}: not fetched yet; a run fetches it, or use a local folder of weights"
            ) from error
        raise WeightsError(f"{name}: the hub did not give it ({reason}); use a local folder of weights") from error
    folder = Path(snapshot, hub.folder)
    if not folder.is_dir():
        raise WeightsError(f"{hub.repository}@{hub.commit}: holds no folder {hub.folder}; name one that it has")
    return folder
