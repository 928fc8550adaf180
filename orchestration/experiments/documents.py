"""What the premise audit measured, and what an experiment decided: closed documents, as the gates' are (design §11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, JsonValue, NonNegativeInt, ValidationError

from orchestration.documents import Document, DocumentError, MetricValue, Number, sha256
from orchestration.experiments.declaration import Encoder

Form = Literal["unbiased", "biased"]
Outcome = Literal["holds", "fails", "open"]
Verdict = Literal["stands", "falls", "open"]


M = TypeVar("M", bound="Measurement")


class Reading(Document):
    """What the detection probe read in one representation."""

    standin: bool
    weights_sha256: str
    grid: tuple[int, int]
    dim: int
    bbox_iou: MetricValue
    map50: MetricValue


class Difference(Document):
    """The first representation less the second, on the same held-out clips."""

    first: Encoder
    second: Encoder
    bbox_iou: MetricValue
    map50: MetricValue


class Null(Document):
    """What CKA gives where nothing is shared: its mean, and 95% of the draws."""

    mean: Number
    low: Number
    high: Number
    draws: NonNegativeInt


class Alignment(Document):
    """CKA of the semantic stream and the decoder's latents on n clips, in one form, with its nulls."""

    form: Form
    n: NonNegativeInt
    cka: MetricValue
    p: Number
    """How often permuted clips reach it."""
    permuted: Null
    gaussian: Null
    """Independent Gaussians as wide as the two sides are here."""
    gaussian_proposed: Null
    """Independent Gaussians of the proposal's widths."""


class Measurement(Document):
    """What every experiment's document says of what it was measured on."""

    declaration_sha256: str
    profile: str = Field(min_length=1)
    standins: bool
    """Whether any of the weights that its rule rests on is a stand-in."""
    dataset: str
    data_version: str
    code_commit: str
    weights: dict[str, str]
    runs: dict[str, str]

    @property
    def sha256(self) -> str:
        return sha256(self.document())


class PremiseDocument(Measurement):
    """What one audit measured, with all that it was measured on."""

    schema_: Literal["foresight.premise/1"] = Field(alias="schema")
    n_train: NonNegativeInt
    n_clips: NonNegativeInt
    frames: NonNegativeInt
    mobile_sam_px: NonNegativeInt
    dims: tuple[NonNegativeInt, NonNegativeInt]
    """Widths of the two sides of CKA: the semantic stream's, the latents'."""
    localisation: dict[Encoder, Reading]
    """Empty where no clip has masks, so that no box is known."""
    differences: tuple[Difference, ...]
    alignment: tuple[Alignment, ...]

    def difference(self, first: str, second: str) -> Difference | None:
        """The first less the second, where it was measured."""
        return next((one for one in self.differences if (one.first, one.second) == (first, second)), None)

    def at(self, form: Form) -> list[Alignment]:
        """CKA in one form, by rising n."""
        return sorted((one for one in self.alignment if one.form == form), key=lambda one: one.n)


class Claim(Document):
    """One part of the hypothesis, and what the rule says of it."""

    claim: str
    says: str
    section: str
    outcome: Outcome
    why: str


class ExperimentDecision(Document):
    """What an experiment's rule makes of its measurements, with what it was decided on."""

    schema_: Literal["foresight.experiment_decision/1"] = Field(alias="schema")
    experiment: str
    verdict: Verdict
    claims: tuple[Claim, ...]
    finding: str
    pins: dict[str, JsonValue]

    @property
    def sha256(self) -> str:
        return sha256(self.document())


def read_premise(path: Path) -> PremiseDocument:
    """The audit in a file.

    Raises:
        DocumentError: it is not there, or is no such document.
    """
    return read_measured(path, PremiseDocument, "premise")


def read_measured(path: Path, kind: type[M], experiment: str) -> M:
    """What an experiment measured, in a file.

    Raises:
        DocumentError: it is not there, or is no such document.
    """
    remedy = f"`foresight experiment {experiment}`"
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror}); {remedy} makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DocumentError(f"{path}: {key}: {first['msg']}; remove it, {remedy} again") from None
    except ValueError as error:
        raise DocumentError(f"{path}: not JSON ({error}); remove it, {remedy} again") from None
