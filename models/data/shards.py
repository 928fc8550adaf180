"""Shards: clips of one size and length, decoded once, append-only, every byte accounted for (design §2, §12).

    shards/shard-00000.safetensors   frames uint8 [N, T, H, W, 3], masks uint8 [N, T, H, W] (zeros without masks)
    shards/index.parquet             one row a clip: where it lies, where it comes from, hashes
    shards/quarantine.parquet        what was set aside, and why

A shard holds one split only. It is written beside, synced, renamed, and only then named by the index: a file that the
index does not name is no shard, whatever ended its making. New clips go into new shards; a shard in the index is never
written again. Which clip goes where follows from the manifest alone, so a killed run, run again, ends with the bytes of
one never killed.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models.data import Progress, file_sha256, no_progress, write_durably
from models.data.boxes import in_centre_square, read_boxes
from models.data.decoding import Decoder
from models.data.sources import SPLITS, Quarantined, Row, read_source
from models.data.sparing import Sparing
from models.data.video import ClipError, Limits, centre_square, cuts

INDEX = "index.parquet"
QUARANTINE = "quarantine.parquet"
MAPPED = 8192
"""Files that stay open: with fewer than the shards and features of 100,000 clips are, every read would open its own.
Each is one mapping and no file handle; a process may have 65,530 of them on Linux."""
_SETTINGS = b"foresight.shards/1"
_INDEX_COLUMNS: dict[str, pa.DataType] = {
    "clip_id": pa.string(),
    "split": pa.string(),
    "shard": pa.string(),
    "row": pa.int32(),
    "source_id": pa.string(),
    "source_path": pa.string(),
    "sha256": pa.string(),
    "masks_sha256": pa.string(),
    "boxes_sha256": pa.string(),
    "shard_sha256": pa.string(),
    "fps": pa.float64(),
    "source_height": pa.int32(),
    "source_width": pa.int32(),
    "source_frames": pa.int32(),
    "windows": pa.int32(),
    "first_frame": pa.int32(),
    "stride": pa.int32(),
    "caption": pa.string(),
    "direction_first": pa.string(),
    "direction_second": pa.string(),
    "n_shapes": pa.int32(),
    "has_masks": pa.bool_(),
    "boxes": pa.list_(pa.list_(pa.list_(pa.float32()))),
}
"""`fps` is that of the stored frames, the film's own over `stride`; `n_shapes` is the highest mask label; `boxes` are
those of each stored frame, xyxy in its pixels, null where the film has none."""
_INDEX_SCHEMA = pa.schema(list(_INDEX_COLUMNS.items()))
_QUARANTINE_SCHEMA = pa.schema([(name, pa.string()) for name in ("clip_id", "source_path", "reason")])


class ShardError(RuntimeError):
    """Shards that cannot be made, or are not what the index says; one line: what, where, what to do."""


@dataclass(frozen=True)
class ShardReport:
    """What one call of `build_shards` did."""

    clips: int
    """In the index now."""
    added: int
    quarantined: int
    shards_written: int
    notes: tuple[str, ...]
    """For the user: how the folder was read, what is odd."""


@dataclass
class _Clip:
    """One window of a film, ready for a shard."""

    frames: np.ndarray
    masks: np.ndarray | None
    columns: dict[str, Any]


def build_shards(
    data_dir: Path,
    out_dir: Path,
    *,
    frames: int = 9,
    size: int = 64,
    stride: int = 2,
    clips_per_shard: int = 64,
    limits: Limits | None = None,
    progress: Progress = no_progress,
) -> ShardReport:
    """Decode what is new in `data_dir` into shards.

    Args:
        data_dir: a folder that `read_source` understands.
        out_dir: the shards; made when absent, added to when present.
        frames: frames of a clip.
        size: height and width. A frame's centre square is scaled to it (bicubic, antialiased; masks by nearest pixel).
        stride: every `stride`-th frame of the film is taken, so that motion shows; a smaller one where it is too short.
        clips_per_shard: at most so many clips in a shard.
        limits: what a film may cost; a film outside them is set aside.
        progress: called as (what, done, total, numbers).

    Raises:
        SourceError: nothing usable in `data_dir`.
        ShardError: no clip could be decoded; a known clip or a setting changed.
        DecoderError: films cannot be decoded here at all.
        WriteError: the disk is full; run again when there is room, finished shards are kept.
    """
    source = read_source(data_dir)
    limits = limits or Limits()
    settings = {"frames": frames, "size": size, "stride": stride}
    out_dir.mkdir(parents=True, exist_ok=True)
    builder = _Builder(out_dir, settings, clips_per_shard)
    known, new = builder.sort_out(source.rows)
    quarantined = list(source.quarantined)
    with Decoder(limits) as decoder:
        for done, row in enumerate(new):
            progress("decode", done, len(new), {"set_aside": float(len(quarantined))})
            try:
                builder.add(row.split, _clips(row, decoder, **settings))
            except ClipError as error:
                quarantined.append(Quarantined(row.id, row.source_path, str(error)))
    builder.flush()
    table = pa.Table.from_pylist([vars(item) for item in quarantined], schema=_QUARANTINE_SCHEMA)
    _write_table(out_dir / QUARANTINE, table)
    if not builder.columns:
        last = f"{quarantined[-1].source_path}: {quarantined[-1].reason}"
        raise ShardError(
            f"{data_dir}: none of {len(quarantined)} clips is usable (the last, {last}); see {out_dir / QUARANTINE}"
        )
    if builder.written:
        builder.commit()
    progress("decode", len(new), len(new), {"set_aside": float(len(quarantined))})
    notes = (source.note,)
    if gone := builder.known_sources - {row.id for row in known}:
        notes += (f"{len(gone)} films in the shards are no longer in the manifest; shards keep what they have",)
    return ShardReport(len(builder.columns), builder.added, len(quarantined), builder.written, notes)


class _Builder:
    """Fills shards, one open per split, and names each in the index once its bytes are safe."""

    def __init__(self, out_dir: Path, settings: dict[str, int], clips_per_shard: int) -> None:
        self.out_dir, self.settings, self.capacity = out_dir, settings, clips_per_shard
        self.columns: list[dict[str, Any]] = []
        self.added = self.written = 0
        if (out_dir / INDEX).exists():
            shards = ClipShards(out_dir)
            if shards.settings != settings:
                raise ShardError(
                    f"{out_dir}: made with {_told(shards.settings)}, asked for {_told(settings)}; "
                    "use another folder, or remove this one to ingest all anew"
                )
            unboxed = {"boxes_sha256": ""}  # an index of before films could have boxes
            self.columns = [unboxed | columns for columns in shards.table.to_pylist()]
        self.known = {columns["source_id"]: columns for columns in self.columns}
        self.known_sources = frozenset(self.known)
        self.open: dict[str, list[_Clip]] = {split: [] for split in SPLITS}
        self._clean()
        self._commits = Sparing()

    def _clean(self) -> None:
        """Remove what a killed run left: parts, and shards that it did not live to name in the index."""
        named = {columns["shard"] for columns in self.columns}
        self.named = len(named)
        for path in [*self.out_dir.glob("*.part"), *self.out_dir.glob("shard-*.safetensors")]:
            if path.name not in named:
                path.unlink()

    def sort_out(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Known and new rows; before anything is written, every known one is held against the index."""
        known = [row for row in rows if row.id in self.known]
        for row in known:
            then, now = self.known[row.id], _origin(row)
            if not row.split_is_given:
                now["split"] = then["split"]
            changed = [name for name in now if then[name] != now[name]]
            if changed:
                raise ShardError(
                    f"clip {row.id!r} ({row.source_path}): its {', '.join(changed)} changed since it was ingested; "
                    f"shards are append-only: give it an id of its own, or remove {self.out_dir} to ingest all anew"
                )
        return known, [row for row in rows if row.id not in self.known]

    def add(self, split: str, clips: list[_Clip]) -> None:
        """All clips of one film go into one shard, so that a film is in the index wholly or not at all."""
        waiting = self.open[split]
        if waiting and len(waiting) + len(clips) > self.capacity:
            self._write(split)
        waiting += clips
        if len(waiting) >= self.capacity:
            self._write(split)

    def flush(self) -> None:
        for split, waiting in self.open.items():
            if waiting:
                self._write(split)

    def _write(self, split: str) -> None:
        clips = self.open[split]
        name = f"shard-{self.named + self.written:05d}.safetensors"
        empty = np.zeros(clips[0].frames.shape[:-1], np.uint8)
        tensors = {
            "frames": np.stack([clip.frames for clip in clips]),
            "masks": np.stack([empty if clip.masks is None else clip.masks for clip in clips]),
        }
        sha256 = write_durably(self.out_dir / name, save(tensors))
        for row, clip in enumerate(clips):
            self.columns.append({**clip.columns, "shard": name, "row": row, "shard_sha256": sha256})
        self.added += len(clips)
        self.written += 1
        clips.clear()
        # The index grows with the data: written after each shard it would come to cost more than they do.
        if self._commits.due():
            self.commit()

    def commit(self) -> None:
        self._commits.do(self._write_index)

    def _write_index(self) -> None:
        metadata = {_SETTINGS: json.dumps(self.settings, sort_keys=True).encode()}
        table = pa.Table.from_pylist(self.columns, schema=_INDEX_SCHEMA.with_metadata(metadata))
        _write_table(self.out_dir / INDEX, table)


def _told(settings: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _origin(row: Row) -> dict[str, Any]:
    """The columns by which a later ingest sees that a known row is not what it was."""
    first, second = row.directions or (None, None)
    return {
        "split": row.split,
        "sha256": file_sha256(row.path),
        "masks_sha256": file_sha256(row.masks) if row.masks else "",
        "boxes_sha256": file_sha256(row.boxes) if row.boxes else "",
        "windows": row.windows,
        "caption": row.caption,
        "direction_first": first,
        "direction_second": second,
    }


def _clips(row: Row, decoder: Decoder, *, frames: int, size: int, stride: int) -> list[_Clip]:
    """Decode a film and cut its windows; frames are scaled as they come, so that only small ones are held."""
    video = decoder.film(row.path, size)
    total = len(video.frames)
    if total < frames:
        raise ClipError(f"too short: {total} frames, at least {frames}")
    masks = _masks(row, total, video.height, video.width)
    boxes = read_boxes(row.boxes, total) if row.boxes else None
    origin, clips = _origin(row), []
    for number, taken in enumerate(cuts(total, frames, stride, row.windows)):
        labels = None if masks is None else np.stack([centre_square(mask, size) for mask in masks[taken]])
        columns = {
            **origin,
            "clip_id": row.id if row.windows == 1 else f"{row.id}#{number}",
            "source_id": row.id,
            "source_path": row.source_path,
            "fps": video.fps / taken.step,
            "source_height": video.height,
            "source_width": video.width,
            "source_frames": total,
            "first_frame": taken.start,
            "stride": taken.step,
            "n_shapes": 0 if labels is None else int(labels.max()),
            "has_masks": labels is not None,
            "boxes": boxes and [in_centre_square(at, video.height, video.width, size) for at in boxes[taken]],
        }
        clips.append(_Clip(video.frames[taken], labels, columns))
    return clips


def _masks(row: Row, frames: int, height: int, width: int) -> np.ndarray | None:
    if row.masks is None:
        return None
    try:
        masks = np.load(row.masks, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ClipError(f"masks unreadable: {error}".splitlines()[0]) from error
    if masks.dtype != np.uint8 or masks.shape != (frames, height, width):
        raise ClipError(f"masks are {masks.dtype} {list(masks.shape)}; the film needs uint8 {[frames, height, width]}")
    return masks


def _write_table(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_durably(path, sink.getvalue().to_pybytes())


@lru_cache(maxsize=MAPPED)
def _opened(path: Path, inode: int, changed_ns: int):
    return safe_open(path, framework="numpy")


def mapped(path: Path):
    """A memory-mapped safetensors file, opened once as long as it is the same file."""
    status = path.stat()
    return _opened(path, status.st_ino, status.st_mtime_ns)


def unmap() -> None:
    """Close the mapped files; until then the pages that were read of them count as memory of this process."""
    _opened.cache_clear()


def gather(places: Iterable[tuple[Path, int]], name: str) -> np.ndarray:
    """Rows of a tensor out of many memory-mapped files, stacked in the order asked for; only those rows are read."""
    rows = [mapped(path).get_slice(name)[row : row + 1] for path, row in places]
    return np.concatenate(rows)


@dataclass
class ClipShards:
    """Reads shards by clip id."""

    folder: Path
    table: pa.Table = field(init=False, repr=False)
    settings: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        path = self.folder / INDEX
        if not path.is_file():
            raise ShardError(f"{path}: not there; ingest did not end here: run it (again)")
        try:
            self.table = pq.read_table(path)
            self.settings = json.loads(self.table.schema.metadata[_SETTINGS])
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise ShardError(f"{path}: unreadable ({error}); remove {self.folder} and ingest again") from error

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row a clip, in the order of shards and rows."""
        return self.table.to_pandas()

    @cached_property
    def places(self) -> dict[str, tuple[str, int]]:
        """Shard file and row of each clip id."""
        columns = (self.table[name].to_pylist() for name in ("clip_id", "shard", "row"))
        return {clip: (shard, row) for clip, shard, row in zip(*columns, strict=True)}

    @cached_property
    def shard_sha256(self) -> dict[str, str]:
        """Hash of each shard file, in the order of the shards."""
        return dict(zip(self.table["shard"].to_pylist(), self.table["shard_sha256"].to_pylist(), strict=True))

    def ids(self, split: str | None = None) -> list[str]:
        """Clip ids of a split ("train" or "heldout"), or all."""
        ids = self.index["clip_id"]
        return (ids if split is None else ids[self.index["split"] == split]).tolist()

    def ids_of(self, shard: str) -> list[str]:
        """Clip ids of a shard file, row by row."""
        return self._members[shard]

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {}
        for clip, (shard, _) in self.places.items():
            members.setdefault(shard, []).append(clip)
        return members

    def frames(self, ids: Sequence[str]) -> np.ndarray:
        """uint8 [N, T, H, W, 3]."""
        return self._gather(ids, "frames")

    def masks(self, ids: Sequence[str]) -> np.ndarray:
        """uint8 [N, T, H, W]; zeros where a clip has none."""
        return self._gather(ids, "masks")

    def outlined(self, ids: Sequence[str]) -> Literal["masks", "boxes", "nothing"]:
        """By what the objects of these clips are known: masks of all of them, else boxes of some, else nothing."""
        if all(self._column("has_masks", ids)):
            return "masks"
        return "boxes" if any(len(at) for clip in self.boxes(ids) for at in clip) else "nothing"

    def boxes(self, ids: Sequence[str]) -> list[list[np.ndarray]]:
        """Boxes of each frame of each clip: float32 [K, 4], xyxy in the frame's pixels; K is 0 where there are none."""
        none: list[Any] = [[]] * self.settings["frames"]
        told = self._column("boxes", ids) if "boxes" in self.table.column_names else [None] * len(ids)
        return [[np.array(at, np.float32).reshape(-1, 4) for at in boxes or none] for boxes in told]

    def _column(self, name: str, ids: Sequence[str]) -> list[Any]:
        """One column of the index for these clips, and of these alone."""
        return self.table[name].take(pa.array([self._numbers[clip] for clip in ids], pa.int64())).to_pylist()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {clip: number for number, clip in enumerate(self.places)}

    def _gather(self, ids: Sequence[str], name: str) -> np.ndarray:
        unknown = [clip for clip in ids if clip not in self.places]
        if unknown or not ids:
            raise ShardError(f"{self.folder}: " + (f"no clip {unknown[0]!r}" if unknown else "no clips asked for"))
        try:
            return gather(((self.folder / shard, row) for shard, row in map(self.places.__getitem__, ids)), name)
        except (OSError, SafetensorError) as error:
            raise ShardError(f"{self.folder}: a shard cannot be read ({error}); remove it all, ingest again") from error

    def verify(self) -> int:
        """Hold every shard against the index, byte for byte; gives the number of clips.

        Raises:
            ShardError: a shard is missing, changed, or does not hold the rows that the index names.
        """
        frames, size = self.settings["frames"], self.settings["size"]
        for shard, sha256 in self.shard_sha256.items():
            path = self.folder / shard
            if not path.is_file():
                raise ShardError(f"{path}: missing; remove {self.folder} and ingest again")
            if file_sha256(path) != sha256:
                raise ShardError(f"{path}: not the bytes that were written; remove {self.folder}, ingest again")
            rows = [self.places[clip][1] for clip in self.ids_of(shard)]
            expected = [len(rows), frames, size, size]
            shapes = [mapped(path).get_slice(name).get_shape() for name in ("frames", "masks")]
            if rows != list(range(len(rows))) or shapes != [[*expected, 3], expected]:
                raise ShardError(f"{path}: holds {shapes[0]}, the index says {len(rows)} clips; ingest again")
        return len(self.table)
