"""The shelf of stand-ins: where their weights lie, and whether they are the ones that were trained."""

import json
from pathlib import Path

from models.provenance import WeightsError, file_sha256

NAMES = ("vae", "dinov2", "qwen", "ltx", "segmenter")
SHELF = Path(__file__).parent / "weights"
MANIFEST = SHELF / "manifest.json"


def folder(name: str) -> Path:
    """The folder of one stand-in's weights, configuration and card."""
    if name not in NAMES:
        raise WeightsError(f"stand-ins: no {name!r}; there are {', '.join(NAMES)}")
    return SHELF / name


def write_manifest() -> dict[str, dict[str, str]]:
    """Record the sha256 of every file on the shelf."""
    manifest = {name: _hashes(folder(name)) for name in NAMES if folder(name).is_dir()}
    MANIFEST.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest


def verify(names: tuple[str, ...] = NAMES) -> dict[str, dict[str, str]]:
    """Check stand-ins against the manifest; gives the hashes by stand-in and file.

    Raises:
        WeightsError: a file is missing, was changed, or does not belong.
    """
    recorded = json.loads(MANIFEST.read_text())
    for name in names:
        found, wanted = _hashes(folder(name)), recorded.get(name, {})
        for file in sorted(found.keys() | wanted.keys()):
            if found.get(file) == wanted.get(file) and wanted:
                continue
            fault = (
                "is missing" if file not in found else "is not listed" if file not in wanted else "has a wrong sha256"
            )
            raise WeightsError(
                f"stand-in {name}: {file} {fault}; restore it with `git checkout models/standins/weights` "
                "or train anew with `foresight standins train`"
            )
    return {name: recorded[name] for name in names}


def _hashes(path: Path) -> dict[str, str]:
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return {p.relative_to(path).as_posix(): file_sha256(p) for p in files}
