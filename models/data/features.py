"""What a frozen encoder made of the shards, stored once: one feature file a shard, addressed by clip id (design §12).

    features/<name>/shard-00000.safetensors   tokens fp16 [N, T', n, D], positions fp16 [T', n, 2] (one for all), ...
    features/<name>/store.json                whose features these are; hashes of each file and of its source shard

In a store of int8, `tokens` are int8 and beside them stand `tokens.scales`, float32 [D], of the clips of that file
(design §4.8): a file is written once and read by itself, so clips that are added later change no scale. Readers get
floats.

`store.json` is written after the files that it names. A file that it does not name is none: a kill costs the two shards
in hand, one being encoded and one being written, and a twentieth of the work at most: it grows with the files, so it is
not written after each where that would come to cost more than they do.
Features are of one encoder: its fingerprint (weights, geometry, settings) must be the one that the reader expects.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from models.data import Progress, file_sha256, no_progress, write_durably
from models.data.ahead import ahead
from models.data.quantisation import LEAST_COSINE, QuantisationError, dequantise, quantise, token_cosine
from models.data.shards import ClipShards, gather, mapped, unmap
from models.data.sparing import Sparing

STORE = "store.json"
SHARED = ("positions",)
"""Tensors that are the same for every clip; a file holds them once."""
TOKENS = "tokens"
SCALES = "tokens.scales"
FLOAT16 = "float16"
INT8 = "int8"
PRECISIONS = (FLOAT16, INT8)
"""How a store may hold its tokens; every other float is fp16."""

Encode = Callable[[np.ndarray], dict[str, np.ndarray]]
"""uint8 [n, T, H, W, 3] -> tensors: [n, ...], or without the n where the name is in SHARED."""
Batches = Mapping[str, Sequence[Sequence[str]]]
"""By shard, the clips of each call of an encoder."""
Source = Callable[[Batches, Callable[[int], None]], Generator[tuple[str, list[dict[str, np.ndarray]]]]]
"""Encodes shards, each once and in any order: (shard, tensors of its batches); tells how many clips it has encoded."""
Measured = Callable[[int, int, int], None]
"""(bytes of the finished files, clips in them, clips that there will be)"""


def unmeasured(size: int, clips: int, of_clips: int) -> None:
    """Nobody asks how large the features become."""


class FeatureError(RuntimeError):
    """Features that are missing, damaged or another encoder's; one line: what, where, what to do."""


@dataclass
class Store:
    """`store.json`: whose features these are."""

    name: str
    fingerprint: str
    encoder: str
    weights_sha256: str
    standin: bool
    dtype: str = FLOAT16
    """Of the tokens, one of PRECISIONS."""
    shards: dict[str, str] = field(default_factory=dict)
    """sha256 of each finished file."""
    sources: dict[str, str] = field(default_factory=dict)
    """sha256 of the shard that each finished file was made from."""


def read_store(folder: Path) -> Store:
    """Read `store.json`.

    Raises:
        FeatureError: it is not there or cannot be read.
    """
    path = folder / STORE
    try:
        return Store(**json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise FeatureError(f"{path}: not there; extract the features first") from error
    except (OSError, ValueError, TypeError) as error:
        raise FeatureError(f"{path}: unreadable ({error}); remove {folder} and extract again") from error


def _check_fingerprint(folder: Path, store: Store, fingerprint: str) -> None:
    if store.fingerprint != fingerprint:
        raise FeatureError(
            f"{folder}: features of another encoder: {store.encoder} {store.fingerprint[:12]}, "
            f"expected {fingerprint[:12]}; remove the folder and extract again"
        )


class FeatureWriter:
    """Adds finished files to a folder of one encoder's features."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        if (folder / STORE).exists():
            before = read_store(folder)
            _check_fingerprint(folder, before, store.fingerprint)
            if before.dtype != store.dtype:
                raise FeatureError(
                    f"{folder}: holds {before.dtype}, asked for {store.dtype}; remove the folder and extract again"
                )
            self.store = before
        folder.mkdir(parents=True, exist_ok=True)
        self._commits, self._unnamed = Sparing(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Name what is finished, however the work ended."""
        if self._unnamed:
            self._commit()

    def done(self, shard: str, source_sha256: str) -> bool:
        """Whether this shard's features are there and were made from these very bytes."""
        return self.store.sources.get(shard) == source_sha256 and (self.folder / shard).is_file()

    def write(self, shard: str, source_sha256: str, tensors: dict[str, np.ndarray]) -> None:
        """Store one shard's features; the store names them only when they are safe, at the latest on leaving."""
        self.store.shards.pop(shard, None)
        self.store.sources.pop(shard, None)
        sha256 = write_durably(self.folder / shard, save(tensors))
        self.store.shards[shard], self.store.sources[shard] = sha256, source_sha256
        self._unnamed = True
        if self._commits.due():
            self._commit()

    def _commit(self) -> None:
        self._commits.do(self._write_store)
        self._unnamed = False

    def _write_store(self) -> None:
        write_durably(self.folder / STORE, json.dumps(asdict(self.store), indent=1, sort_keys=True).encode())


def extract(
    shards: ClipShards,
    out_dir: Path,
    encode: Encode,
    *,
    name: str,
    fingerprint: str,
    weights_sha256: str,
    standin: bool,
    encoder: str = "",
    precision: str = FLOAT16,
    batch: int = 8,
    progress: Progress = no_progress,
    measured: Measured = unmeasured,
) -> int:
    """Encode every clip whose features are not there yet; gives the number of clips encoded.

    Args:
        shards: the clips.
        out_dir: the features; made when absent, added to when present.
        encode: the frozen encoder.
        name: the stream: dinov2, qwen, latents.
        fingerprint: changes whenever other features would come out (weights, geometry, settings, precision).
        weights_sha256: of the encoder's weights.
        standin: whether the weights are a stand-in.
        encoder: the encoder's class, for people; the stream's name when empty.
        precision: of the tokens, one of PRECISIONS.
        batch: clips in one call of `encode`.
        progress: called as (what, done, total, numbers).
        measured: called at the start where there are finished files, and after each; what it raises ends the work.

    Raises:
        FeatureError: there is no clip; the folder holds another encoder's features; the encoder gave something that
            cannot be stored, or not in this precision.
        WriteError: the disk is full; run again when there is room, finished files are kept.
    """
    store = Store(name, fingerprint, encoder or name, weights_sha256, standin, precision)
    return collect(shards, out_dir, _here(shards, encode), store, batch=batch, progress=progress, measured=measured)


def collect(
    shards: ClipShards,
    out_dir: Path,
    source: Source,
    store: Store,
    *,
    batch: int,
    progress: Progress = no_progress,
    measured: Measured = unmeasured,
) -> int:
    """As `extract`, of an encoder that may be elsewhere, as on several workers.

    Args:
        store: whose features they are, with nothing in it yet.

    Raises:
        Exception: as `extract`, and what `source` raises.
    """
    name, precision = store.name, store.dtype
    if precision not in PRECISIONS:
        raise FeatureError(f"{name}: precision {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    if not shards.shard_sha256:
        raise FeatureError(f"{name}: no clip in {shards.folder}; ingest clips before their features")
    writer = FeatureWriter(out_dir, store)
    todo = {shard: sha for shard, sha in shards.shard_sha256.items() if not writer.done(shard, sha)}
    batches = {shard: _batches(shards.ids_of(shard), batch) for shard in todo}
    total, done, clips = sum(len(shards.ids_of(shard)) for shard in todo), 0, len(shards.ids())
    finished = [shard for shard in shards.shard_sha256 if shard not in todo]
    size, held = sum((out_dir / shard).stat().st_size for shard in finished), clips - total
    if held:
        measured(size, held, clips)

    def encoded(clips: int) -> None:
        nonlocal done
        done += clips
        progress(f"features: {name}", done, total, {})

    def write(shard: str, made: list[dict[str, np.ndarray]]) -> None:
        parts = [_storable(tensors, ids, name) for tensors, ids in zip(made, batches[shard], strict=True)]
        joined = _joined(parts, name)
        writer.write(shard, todo[shard], _in_int8(joined, name, shard) if precision == INT8 else joined)
        nonlocal size, held
        size, held = size + (out_dir / shard).stat().st_size, held + len(shards.ids_of(shard))
        measured(size, held, clips)

    # The encoder never waits for the disk: the last shard is written beside it.
    with writer, ThreadPoolExecutor(1) as beside, closing(source(batches, encoded)) as shard_by_shard:
        written: Future[None] | None = None
        for shard, made in shard_by_shard:
            if written is not None:
                written.result()  # so that only one shard waits in memory
            written = beside.submit(write, shard, made)
        if written is not None:
            written.result()
    return done


def _here(shards: ClipShards, encode: Encode) -> Source:
    """One shard after another in this process; the next batch is read while one is encoded."""

    def read(part: tuple[Sequence[str], bool]) -> np.ndarray:
        ids, last = part
        frames = shards.frames(ids)
        if last:
            unmap()  # a shard is read once; memory must not grow with their number
        return frames

    def source(batches: Batches, encoded: Callable[[int], None]) -> Generator[tuple[str, list[dict[str, np.ndarray]]]]:
        reads = [(ids, ids is some[-1]) for some in batches.values() for ids in some]
        with closing(ahead(read, reads)) as frames:
            for shard, some in batches.items():
                made = []
                for ids in some:
                    made.append(encode(next(frames)))
                    encoded(len(ids))
                yield shard, made

    return source


def _batches(ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(ids[first : first + size]) for first in range(0, len(ids), size)]


def _storable(tensors: dict[str, np.ndarray], ids: Sequence[str], name: str) -> dict[str, np.ndarray]:
    """fp16 where they are floats; refused where fp16 cannot hold them."""
    stored = {}
    for key, array in tensors.items():
        array = np.asarray(array)
        if key not in SHARED and array.shape[:1] != (len(ids),):
            raise FeatureError(f"{name}: {key} is {list(array.shape)} for {len(ids)} clips; clips come first")
        if np.issubdtype(array.dtype, np.floating):
            with np.errstate(over="ignore"):
                array = array.astype(np.float16, copy=False)
            if not np.isfinite(array).all():
                raise FeatureError(f"{name}: {key} is not finite in fp16 in {ids[0]} .. {ids[-1]}; scale the encoder")
        stored[key] = np.ascontiguousarray(array)
    return stored


def _joined(parts: list[dict[str, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    first, *others = parts
    for other in others:
        if other.keys() != first.keys():
            raise FeatureError(f"{name}: the encoder gave {sorted(first)} and then {sorted(other)}")
        for key in first.keys() & set(SHARED):
            if not np.array_equal(first[key], other[key]):
                raise FeatureError(f"{name}: {key} differ between clips, and are stored once for all")
    return {key: first[key] if key in SHARED else np.concatenate([part[key] for part in parts]) for key in first}


def int8_tensors(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A file's tensors with fp16 tokens -> the same with int8 tokens and their scales.

    Raises:
        QuantisationError: the tokens have no int8 form.
    """
    values, scales = quantise(tensors[TOKENS])
    return {**tensors, TOKENS: values, SCALES: scales}


def _in_int8(tensors: dict[str, np.ndarray], name: str, shard: str) -> dict[str, np.ndarray]:
    """The file in int8; refused where that would bend a token by more than is allowed."""
    if TOKENS not in tensors:
        raise FeatureError(f"{name}: int8 is for tokens, and there are only {sorted(tensors)}; use {FLOAT16}")
    try:
        made = int8_tensors(tensors)
    except QuantisationError as error:
        raise FeatureError(f"{name}: tokens of {shard}: {error}") from error
    pairs = zip(tensors[TOKENS], made[TOKENS], strict=True)
    least = min(token_cosine(clip, dequantise(values, made[SCALES])).min() for clip, values in pairs)
    if least < LEAST_COSINE:
        raise FeatureError(
            f"{name}: int8 keeps only a cosine of {least:.5f} of a token of {shard}, below {LEAST_COSINE} "
            f"(an outlier coarsens its channel); use {FLOAT16} for this encoder"
        )
    return made


class FeatureStore:
    """Reads features by clip id, memory-mapped: only the rows that are asked for are read."""

    def __init__(self, folder: Path, shards: ClipShards, fingerprint: str | None = None) -> None:
        """Open a folder of features; with a fingerprint, only if they are that encoder's."""
        self.folder, self.shards, self.store = folder, shards, read_store(folder)
        if fingerprint is not None:
            _check_fingerprint(folder, self.store, fingerprint)

    @cached_property
    def missing(self) -> list[str]:
        """Shards whose features are not there, or were made from other bytes."""
        sources = self.store.sources
        return [shard for shard, sha256 in self.shards.shard_sha256.items() if sources.get(shard) != sha256]

    def names(self) -> list[str]:
        """What can be read."""
        if not self.store.shards:
            raise FeatureError(f"{self.folder}: no file of features yet; extract again")
        return sorted(set(mapped(self.folder / next(iter(self.store.shards))).keys()) - {SCALES})

    def read(self, ids: Sequence[str], name: str = TOKENS) -> np.ndarray:
        """[N, ...] in the order of the ids; a tensor of SHARED as it is, without N.

        Tokens held in int8 come as float32; all else as it is stored.
        """
        places = self.shards.places
        unknown = [clip for clip in ids if clip not in places]
        if unknown or not ids:
            raise FeatureError(f"{self.folder}: " + (f"no clip {unknown[0]!r}" if unknown else "no clips asked for"))
        for shard in {places[clip][0] for clip in ids}.intersection(self.missing):
            raise FeatureError(f"{self.folder}: no features of {shard} as it is now; extract again")
        try:
            if name in SHARED:
                return mapped(self.folder / places[ids[0]][0]).get_tensor(name)
            rows = [(self.folder / shard, row) for shard, row in map(places.__getitem__, ids)]
            values = gather(rows, name)
            return self._floats(values, rows) if name == TOKENS and self.store.dtype == INT8 else values
        except (OSError, SafetensorError) as error:
            raise FeatureError(f"{self.folder}: {name} cannot be read ({error}); remove it, extract again") from error

    def _floats(self, values: np.ndarray, rows: Sequence[tuple[Path, int]]) -> np.ndarray:
        """int8 [N, ..., D] -> float32, each clip by the scales of its own file."""
        scales = np.stack([mapped(path).get_tensor(SCALES) for path, _ in rows])
        return dequantise(values, scales.reshape(len(rows), *[1] * (values.ndim - 2), -1))

    def verify(self) -> int:
        """Hold every file against `store.json`, and the store against the shards; gives the number of files.

        Raises:
            FeatureError: a file is missing or changed, or clips have no features.
        """
        if self.missing:
            raise FeatureError(
                f"{self.folder}: {len(self.missing)} shards have none, as {self.missing[0]}; extract again"
            )
        for shard, sha256 in self.store.shards.items():
            path = self.folder / shard
            if not path.is_file() or file_sha256(path) != sha256:
                raise FeatureError(f"{path}: missing, or not the bytes that were written; remove it and extract again")
        return len(self.store.shards)
