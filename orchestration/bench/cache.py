"""What the feature cache costs in fp16 and in int8 (design §4.8): bytes, cosine, and the size of 100,000 clips.

The int8 side is made in memory from the fp16 files, one after the other, as an int8 store would hold them; nothing is
written.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from models.data.features import FLOAT16, INT8, PRECISIONS, SCALES, TOKENS, FeatureStore, int8_tensors
from models.data.quantisation import LEAST_COSINE, dequantise, token_cosine
from models.data.shards import ClipShards
from orchestration.home import Home
from orchestration.plan.programme import load as programme
from orchestration.stages.tokens import FOLDERS

STREAM = "dinov2"
CLIPS = 100_000
PROPOSED_VALUES = 5 * 256 * 1536
"""Values of a clip at the proposal's size: latent frames x tokens of a frame at 224 px x DINOv2-giant's width."""


class CacheError(ValueError):
    """A store from which fp16 and int8 cannot be compared."""


@dataclass(frozen=True)
class Sizes:
    """One store, measured."""

    clips: int
    standin: bool
    bytes_a_clip: dict[str, float]
    """By precision: whole files over their clips, so with positions, mask, scales and headers."""
    least_cosine: float
    """Between a token in fp16 and the same in int8, over all tokens."""
    mean_cosine: float

    @property
    def ratio(self) -> float:
        """int8 files over fp16 files."""
        return self.bytes_a_clip[INT8] / self.bytes_a_clip[FLOAT16]

    @property
    def close_enough(self) -> bool:
        """Whether every token keeps the cosine that design §4.8 asks for."""
        return self.least_cosine >= LEAST_COSINE

    def projections(self) -> list["Projection"]:
        """100,000 clips at the measured bytes, and at the proposal's size (its tokens alone), against the cap."""
        cap = programme().budget.storage_gb.features
        proposed = {FLOAT16: 2 * PROPOSED_VALUES, INT8: PROPOSED_VALUES}
        return [
            Projection(size, precision, CLIPS * a_clip[precision] / 1e9, cap.at, cap.section)
            for size, a_clip in (("measured", self.bytes_a_clip), ("proposed", proposed))
            for precision in PRECISIONS
        ]

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            **asdict(self),
            "ratio": self.ratio,
            "cosine_bound": LEAST_COSINE,
            "close_enough": self.close_enough,
            "projections": [{**asdict(one), "verdict": one.verdict} for one in self.projections()],
        }


@dataclass(frozen=True)
class Projection:
    """100,000 clips' features of one stream."""

    size: str
    """`measured` or `proposed`."""
    precision: str
    gigabytes: float
    cap_gigabytes: float
    section: str

    @property
    def verdict(self) -> str:
        """`within` or `over` the cap."""
        return "within" if self.gigabytes <= self.cap_gigabytes else "over"


def open_store(home: Home, dataset: str) -> FeatureStore:
    """The fp16 features of a dataset's workspace, every byte checked.

    Raises:
        CacheError: the store is int8 already.
        FeatureError, ShardError: it is not there, incomplete or damaged.
    """
    root = home.workspace(dataset)
    store = FeatureStore(root / FOLDERS[STREAM], ClipShards(root / "shards"))
    if store.store.dtype != FLOAT16:
        raise CacheError(
            f"{store.folder}: holds {store.store.dtype}; int8 is compared with fp16: set {STREAM}.precision to "
            f"{FLOAT16} in params.yaml and run `foresight run --until {STREAM}`"
        )
    store.verify()
    return store


def measure(store: FeatureStore) -> Sizes:
    """Quantise every file of an fp16 store in memory and compare."""
    size, cosines = dict.fromkeys(PRECISIONS, 0), []
    for shard in store.shards.shard_sha256:
        path = store.folder / shard
        tensors = load_file(path)
        made = int8_tensors(tensors)
        size[FLOAT16] += path.stat().st_size
        size[INT8] += len(save(made))
        cosines.append(token_cosine(tensors[TOKENS], dequantise(made[TOKENS], made[SCALES])).ravel())
    all_cosines, clips = np.concatenate(cosines), len(store.shards.ids())
    return Sizes(
        clips=clips,
        standin=store.store.standin,
        bytes_a_clip={precision: total / clips for precision, total in size.items()},
        least_cosine=float(all_cosines.min()),
        mean_cosine=float(all_cosines.mean()),
    )
