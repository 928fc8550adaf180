"""Checkpoints: safetensors and a JSON state, written beside, fsynced, renamed; damaged ones are skipped with a warning.

    checkpoints/step-00000400/{model,ema,optimizer,random}.safetensors, state.json

`state.json` holds the hash of every other file and a fingerprint of itself, so a folder is whole or it is not a
checkpoint.
"""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.data import WriteError
from models.provenance import file_sha256
from models.training.config import fingerprint, from_document

T = TypeVar("T")
SCHEMA = "foresight.checkpoint/2"
_PREFIX = "step-"


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, or that belongs to another configuration."""


@dataclass(frozen=True)
class Checkpoint:
    """One whole checkpoint on disk."""

    path: Path
    state: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.state["step"])

    @property
    def identity(self) -> dict[str, Any]:
        """The configuration and data it was trained with."""
        return self.state["identity"]

    def tensors(self, name: str) -> dict[str, Tensor]:
        return load_file(self.path / f"{name}.safetensors")

    def weights(self) -> dict[str, Tensor]:
        """The weights to use: the averaged ones where the run kept them."""
        return self.tensors("ema" if "ema.safetensors" in self.state["files"] else "model")

    def setting(self, name: str, kind: type[T]) -> T:
        """One part of the configuration that it was trained with.

        Raises:
            CheckpointError: it has no such part, or one that this version cannot read.
        """
        try:
            return from_document(kind, self.identity["config"][name])
        except (KeyError, ValueError) as error:
            raise CheckpointError(
                f"{self.path}: its configuration has no usable {name} ({error}); train again"
            ) from error

    @torch.no_grad()
    def fill(self, wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        """Copy `weights` of this checkpoint into the tensors of the same names.

        Raises:
            CheckpointError: names or sizes differ; nothing was copied.
        """
        sizes, given = ({name: tensor.shape for name, tensor in some.items()} for some in (wanted, weights))
        differing = sorted(name for name in sizes | given if sizes.get(name) != given.get(name))
        if differing:
            raise CheckpointError(
                f"{self.path} is of another model: {len(differing)} tensors differ, as {differing[0]}; train again"
            )
        for name, tensor in wanted.items():
            tensor.copy_(weights[name])


def save(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], *, keep: int
) -> Path:
    """Write a checkpoint so that a kill at any moment leaves the old ones whole and never a half one under its name.

    Raises:
        WriteError: the disk is full or refuses; the old ones are whole.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True)
        _sync(folder.parent)
    for leftover in folder.glob(".writing-*"):
        shutil.rmtree(leftover)
    draft = folder / f".writing-{step:08d}"
    try:
        _write(draft, step, tensors, state)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(draft, ignore_errors=True)  # to make it may be what failed
        raise WriteError(
            f"{folder}: no checkpoint of step {step} ({error}); make room and run again: it goes on at the last one"
        ) from error
    final = folder / f"{_PREFIX}{step:08d}"
    if final.exists():  # only a damaged one can be in the way: a whole one would have been resumed from
        shutil.rmtree(final)
    draft.rename(final)
    _sync(folder)
    newest_first = _folders(folder)
    place = newest_first.index(final)
    # What lies ahead of the run is damaged too; it must not count as kept while whole ones go.
    for gone in newest_first[:place] + newest_first[place + keep :]:
        shutil.rmtree(gone)
    return final


def _write(draft: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    draft.mkdir()
    files = {}
    for name, group in tensors.items():
        path = draft / f"{name}.safetensors"
        save_file({key: value.detach().contiguous() for key, value in group.items()}, path)
        _sync(path)
        files[path.name] = file_sha256(path)
    document = {"schema": SCHEMA, **state, "step": step, "files": files}
    (draft / "state.json").write_text(json.dumps({**document, "fingerprint": fingerprint(document)}, indent=1))
    _sync(draft / "state.json")
    _sync(draft)


def read(path: Path) -> Checkpoint:
    """Read and verify one checkpoint.

    Raises:
        CheckpointError: a file is missing, its hash is wrong, or an earlier version wrote it.
    """
    try:
        state = json.loads((path / "state.json").read_text())
        if state.get("schema") != SCHEMA:
            raise CheckpointError(f"{path}: not a checkpoint of this version ({SCHEMA}); train again")
        if state["fingerprint"] != fingerprint({key: value for key, value in state.items() if key != "fingerprint"}):
            raise CheckpointError(f"{path}: state.json is damaged (wrong fingerprint); remove this checkpoint")
        for name, expected in state["files"].items():
            if file_sha256(path / name) != expected:
                raise CheckpointError(f"{path}: {name} is damaged (wrong sha256); remove this checkpoint")
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a whole checkpoint ({error}); remove it") from error
    return Checkpoint(path, state)


def latest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint; others are passed over with a warning."""
    for path in _folders(folder):
        try:
            return read(path)
        except CheckpointError as error:
            warnings.warn(f"skipped a checkpoint: {error}", stacklevel=2)
    return None


def require_same(checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
    """Refuse to continue a run of another configuration or data.

    Raises:
        CheckpointError: names each differing key with both values.
    """
    then, now = _flat(checkpoint.identity), _flat(json.loads(json.dumps(identity)))
    pairs = {key: (then.get(key, "absent"), now.get(key, "absent")) for key in sorted(then | now)}
    differing = [f"{key}: {old!r} then, {new!r} now" for key, (old, new) in pairs.items() if old != new]
    if differing:
        raise CheckpointError(
            f"{checkpoint.path} is of another run ({'; '.join(differing)}); give this run a folder of its own"
        )


def _folders(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted(folder.glob(f"{_PREFIX}*"), reverse=True)


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(document, dict):
        return {prefix: document}
    return {k: v for key, value in document.items() for k, v in _flat(value, f"{prefix}.{key}".lstrip(".")).items()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
