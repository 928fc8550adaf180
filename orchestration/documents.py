"""The two documents a gate reads and writes: the evaluation and the decision (design §11).

Both are frozen, refuse unknown keys and unknown metric names, and hold no NaN: a number that is not finite becomes
null, which no gate takes for a value. Their identity is the SHA-256 of their canonical JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

NAMES = (
    "spatial_iou", "lpips", "bbox_iou", "map50", "edge_f1", "temporal_ordering", "direction", "semantic_consistency",
    "fvd", "temporal_lpips_variance", "latency_s", "vram_gb", "cka",
)  # fmt: skip
# What may stand beside a name, as `lpips_vgg` beside `lpips`, or beside what stands beside it, as
# `semantic_consistency_true_null`. Of these only `gain` gates: it compares two arms. `null` is a metric's shuffled (or
# otherwise empty) baseline, `lift` its paired gain over that: they say whether the metric may gate at all.
QUALIFIERS = (
    "gain", "smallN", "vgg", "p95", "serial", "parallel", "ceiling", "chance", "floor", "null", "lift", "true",
    "dynamic", "caption", "probe",
)  # fmt: skip

Verdict = Literal["GO", "MARGINAL", "NO_GO", "INCONCLUSIVE"]
Action = Literal["continue", "abort", "simplify", "proceed", "partial_integration", "wait"]
Arm = Literal["hybrid", "vlm_only", "dino_only"]
Baseline = Literal[
    "without_semantic", "without_spatial", "copy_last", "mean_frame", "vae_roundtrip", "shuffled", "ltx_i2v"
]
Phase = Literal[1, 2, 3]
ABSENT: dict[Baseline, Arm] = {"without_semantic": "dino_only", "without_spatial": "vlm_only"}
"""Baselines that are the hybrid itself with a stream absent (§2.1): of which arm the tokens are that it is shown."""


class DocumentError(ValueError):
    """A document that cannot be read as what it says it is."""


def canonical(document: Any) -> str:
    """One text for one document: sorted keys, no spaces, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(document: Any) -> str:
    """The identity of a document: the hash of its canonical text."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def split_name(name: str) -> tuple[str, tuple[str, ...]]:
    """The metric of a name and its qualifiers in order; a name that is none is given back whole."""
    base, qualifiers = name, []
    while base not in NAMES:
        base, _, qualifier = base.rpartition("_")
        if qualifier not in QUALIFIERS or not base:
            return name, ()
        qualifiers.insert(0, qualifier)
    return base, tuple(qualifiers)


def _metric_name(name: str) -> str:
    if split_name(name)[0] in NAMES:
        return name
    raise ValueError(
        f"no metric is called {name!r}; names: {', '.join(NAMES)}, or one of them with _{'|_'.join(QUALIFIERS)}"
    )


Number = Annotated[float | None, BeforeValidator(_finite)]
MetricName = Annotated[str, AfterValidator(_metric_name)]


class Document(BaseModel):
    """What all documents share: closed, frozen, written under its `schema`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    def document(self) -> dict[str, Any]:
        """As plain JSON types, under the names of the contract."""
        return self.model_dump(mode="json", by_alias=True)


class MetricValue(Document):
    """A number with its 95% interval, the N behind it and how it was measured. Null: not measured."""

    value: Number
    low: Number
    high: Number
    n: NonNegativeInt
    protocol: str


Metrics = dict[MetricName, MetricValue]


class PerClip(Document):
    """The file of per-clip values beside an evaluation, and which clips each arm and baseline was measured on."""

    file: str = Field(pattern=r"^[^/\\]+$")
    sha256: str
    clips: dict[str, str]
    """Arm or baseline -> one hash over its clips' ids and frames: equal hashes are the same clips."""


class Evaluation(Document):
    """What one phase measured on held-out clips, with all that it was measured on."""

    schema_: Literal["foresight.evaluation/1"] = Field(alias="schema")
    phase: Phase
    profile: str = Field(min_length=1)
    standins: bool
    data_version: str
    code_commit: str
    weights: dict[str, str]
    runs: dict[str, str]
    n_clips: NonNegativeInt
    metrics: Metrics
    arms: dict[Arm, Metrics] = {}
    baselines: dict[Baseline, Metrics] = {}
    per_clip: PerClip | None = None

    @property
    def sha256(self) -> str:
        return sha256(self.document())

    @property
    def per_clip_sha256(self) -> str | None:
        return self.per_clip.sha256 if self.per_clip else None

    @model_serializer(mode="wrap")
    def _as_it_was_written(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `per_clip` where there is none: documents from before it keep their hash."""
        document = written(self)
        if self.per_clip is None:
            del document["per_clip"]
        return document


class Criterion(Document):
    """One row of a decision: a threshold of the programme against what was measured."""

    metric: str
    target: float
    failure: float | None
    section: str
    value: Number
    low: Number
    high: Number
    outcome: Verdict
    why: str


class Decision(Document):
    """A gate's verdict, with every row that led to it, what it was decided on, and the decision before it."""

    schema_: Literal["foresight.decision/1"] = Field(alias="schema")
    phase: Phase
    verdict: Verdict
    action: Action
    criteria: tuple[Criterion, ...]
    clips_needed: NonNegativeInt | None
    pins: dict[str, JsonValue]
    previous_sha256: str | None
    sha256: str

    def content(self) -> dict[str, Any]:
        """What was decided, without its place in the chain: the same content is the same decision."""
        return {key: value for key, value in self.document().items() if key not in ("previous_sha256", "sha256")}

    def chained(self, previous_sha256: str | None) -> Decision:
        """The same decision at another place in the chain."""
        body = self.content() | {"previous_sha256": previous_sha256}
        return Decision.model_validate(body | {"sha256": sha256(body)})

    def intact(self) -> bool:
        """Whether the hash it carries is the hash of what it says."""
        return self.chained(self.previous_sha256).sha256 == self.sha256


def parse_evaluation(document: Mapping[str, Any], where: str = "evaluation") -> Evaluation:
    """An evaluation from plain JSON types, or one line that says what is wrong with it."""
    try:
        return Evaluation.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "document"
        raise DocumentError(f"{where}: {key}: {first['msg']}") from None


def read_evaluation(path: Path) -> Evaluation:
    """The evaluation in a file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror}); give the path of an evaluation.json") from None
    except ValueError as error:
        raise DocumentError(f"{path}: not JSON ({error}); give the path of an evaluation.json") from None
    if not isinstance(document, dict):
        raise DocumentError(f"{path}: not an evaluation document, but a JSON {type(document).__name__}")
    return parse_evaluation(document, str(path))
