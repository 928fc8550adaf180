"""What the premise audit reads: the tokens of a few frames of a few clips, of each representation (design §4.10).

Two are in the feature stores. The others no DVC stage holds: they are made here clip by clip, at the frames that are
looked at and no finer than the probe needs, and kept beside the audit under a fingerprint of network, weights, code,
clips and sizes. What lies there under another fingerprint is made again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models import weights
from models.data import write_durably
from models.encoders.registry import load_encoder
from models.evaluation.boxes import Clip, boxes_from_masks
from models.evaluation.localisation import onto_grid
from orchestration.experiments.declaration import Encoder, Sizes
from orchestration.jobs import Job
from orchestration.stages.inputs import Inputs
from orchestration.stages.parameters import section
from orchestration.versioning import fingerprint, source_sha256, with_imports

CODE = {"qwen_premerge": "models/encoders/qwen_premerge.py", "mobile_sam": "models/encoders/mobile_sam.py"}
MADE_HERE: dict[Encoder, str] = {
    "qwen_premerge": "qwen_premerge",
    "qwen_premerge_as_returned": "qwen_premerge",
    "mobile_sam": "mobile_sam",
}
STORED: dict[Encoder, str] = {"qwen_postmerge": "qwen", "dinov2": "dinov2"}
SPLITS = ("train", "heldout")
ORDER = "library_order"


@dataclass(frozen=True)
class Seen:
    """One representation of the audit's clips."""

    train: np.ndarray
    """[N, frames, h*w, D], in raster order (or what is taken for one)."""
    heldout: np.ndarray
    grid: tuple[int, int]
    standin: bool
    weights_sha256: str


class PremiseTokens:
    """Reads or makes each representation of one audit's clips."""

    def __init__(self, job: Job, inputs: Inputs, sizes: Sizes, reporter: Any) -> None:
        self.job, self.inputs, self.sizes, self.reporter = job, inputs, sizes, reporter
        self.folder = job.out / "features"

    @cached_property
    def ids(self) -> dict[str, list[str]]:
        """The clips of each split that have masks; both are empty where one is: then nothing can be read."""
        index = self.inputs.shards.index
        masked = index[index["has_masks"]]
        wanted = {"train": self.sizes.train, "heldout": self.sizes.heldout}
        found = {split: masked["clip_id"][masked["split"] == split].tolist()[: wanted[split]] for split in SPLITS}
        return found if all(found.values()) else {split: [] for split in SPLITS}

    @cached_property
    def frames(self) -> list[int]:
        """Which frames of a clip are looked at: amid equal shares of those that DINOv2 saw."""
        stride, length = section("dinov2", self.job.workspace)["stride"], self.inputs.shards.settings["frames"]
        steps = (length - 1) // stride + 1
        count = min(self.sizes.frames, steps)
        return [int((k + 0.5) * steps / count) * stride for k in range(count)]

    def boxes(self, split: str) -> list[Clip]:
        """The true boxes of a split's clips at those frames."""
        return boxes_from_masks(self.inputs.shards.masks(self.ids[split])[:, self.frames])

    def mark(self, encoder: Encoder) -> str:
        """The fingerprint of what `read` would give; costs no network."""
        if encoder in STORED:
            store = self.inputs.store(STORED[encoder]).store
            return fingerprint({"store": store.fingerprint, "weights": store.weights_sha256, **self._clips()})
        return fingerprint({"encoder": encoder, "made": self._made_mark(MADE_HERE[encoder])})

    def read(self, encoder: Encoder) -> Seen:
        """The tokens of one representation; made first, where they are not there."""
        if encoder in STORED:
            return self._stored(STORED[encoder])
        tensors, said = self._made(MADE_HERE[encoder])
        parts = [tensors[split] for split in SPLITS]
        if encoder == "qwen_premerge_as_returned":
            parts = [part[:, :, tensors[ORDER]] for part in parts]
        return Seen(
            *parts, grid=(said["rows"], said["columns"]), standin=said["standin"], weights_sha256=said["sha256"]
        )

    def _stored(self, name: str) -> Seen:
        store, length = self.inputs.store(name), self.inputs.shards.settings["frames"]

        def tokens(split: str) -> np.ndarray:
            parts = []
            for some in _batches(self.ids[split], self.job.profile.clips.batch):
                made = store.read(some)
                a_step = -(-length // made.shape[1])  # frames to each of its time steps
                parts.append(made[:, [frame // a_step for frame in self.frames]])
            return np.concatenate(parts)

        train, heldout = (tokens(split) for split in SPLITS)
        side = round(train.shape[2] ** 0.5)
        return Seen(train, heldout, (side, side), store.store.standin, store.store.weights_sha256)

    def _made(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        path, mark = self.folder / f"{name}.safetensors", self._made_mark(name)
        kept = _kept(path, mark)
        if kept is None:
            tensors, said = self._extracted(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, save(tensors, metadata={"fingerprint": mark, "said": json.dumps(said)}))
            kept = tensors, said
        return kept

    def _extracted(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        encoder: Any = (self._premerge() if name == "qwen_premerge" else self._mobile_sam()).to(self.job.profile.device)
        done, total = 0, sum(len(ids) for ids in self.ids.values())
        parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
        for split in SPLITS:
            for some in _batches(self.ids[split], self.job.profile.clips.batch):
                frames = self.inputs.shards.frames(some)[:, self._looked_at(name)]
                made = encoder(torch.from_numpy(np.ascontiguousarray(frames)).to(self.job.profile.device))
                tokens = made.tokens.float().cpu().numpy()
                parts[split].append(_brief(onto_grid(tokens, self._grid) if name == "mobile_sam" else tokens))
                done += len(some)
                self.reporter(f"tokens: {name}", done, total, {})
        # safetensors writes memory as it lies, whatever the strides say.
        tensors = {split: np.ascontiguousarray(np.concatenate(parts[split])) for split in SPLITS}
        rows, columns = self._grid
        if name == "qwen_premerge":
            rows = columns = round(tensors["train"].shape[2] ** 0.5)
            tensors[ORDER] = encoder.library_order(rows, columns).numpy()
        said = {"rows": rows, "columns": columns, "standin": encoder.standin, "sha256": encoder.weights_sha256}
        return tensors, said

    def _premerge(self) -> Any:
        given = self.job.profile.weights
        return load_encoder("qwen_premerge", given.folder("qwen"), stride=2, precision=given.qwen.precision)

    def _mobile_sam(self) -> Any:
        from models.encoders.mobile_sam import MobileSamEncoder

        whole: Any = load_encoder("mobile_sam", weights.path("mobile_sam"), stride=1)
        identity = {"weights_sha256": whole.weights_sha256, "standin": whole.standin}
        return MobileSamEncoder(whole.model, size=self.sizes.mobile_sam_px, stride=1, **identity)

    def _looked_at(self, name: str) -> list[int]:
        """The tower looks at pairs of frames: each frame with the one after it, as the language model has them."""
        if name == "mobile_sam":
            return self.frames
        last = self.inputs.shards.settings["frames"] - 1
        return [frame for first in self.frames for frame in (first, min(first + 1, last))]

    @cached_property
    def _grid(self) -> tuple[int, int]:
        """DINOv2's grid."""
        side = round(self.inputs.store("dinov2").read(self.ids["train"][:1]).shape[2] ** 0.5)
        return side, side

    def _made_mark(self, name: str) -> str:
        given, sam = self.job.profile.weights, name == "mobile_sam"
        return fingerprint(
            {
                "network": name,
                "weights": self.job.weights["mobile_sam" if sam else "qwen"],
                "precision": "float32" if sam else given.qwen.precision,
                "code": source_sha256("orchestration/stages/premise_tokens.py", *with_imports(CODE[name])),
                "sizes": [self.sizes.mobile_sam_px, *self._grid] if sam else [],
                **self._clips(),
            }
        )

    def _clips(self) -> dict[str, Any]:
        """Which frames of which clips, by the bytes of their shards."""
        shards = self.inputs.shards
        files = {shards.places[clip][0] for ids in self.ids.values() for clip in ids}
        return {
            "clips": [self.ids[split] for split in SPLITS],
            "frames": self.frames,
            "shards": {file: shards.shard_sha256[file] for file in sorted(files)},
        }


def _kept(path: Path, mark: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What was made before under this fingerprint; a file of another, or a damaged one, is none."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != mark:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["said"])  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        return None


def _brief(tokens: np.ndarray) -> np.ndarray:
    """In half the bytes where fp16 holds every value; a tower's largest states may lie beyond it."""
    with np.errstate(over="ignore"):
        half = tokens.astype(np.float16)
    return half if np.isfinite(half).all() else tokens


def _batches(ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(ids[first : first + size]) for first in range(0, len(ids), size)]
