"""config/experiments/NAME.yaml as a typed, closed, frozen value: what an experiment asks, and how it will judge.

It is written before the run. A decision pins its sha256, so that a rule changed afterwards is seen.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from orchestration.documents import sha256
from orchestration.home import REPOSITORY
from orchestration.plan.programme import Part, Text
from orchestration.plan.programme_file import read
from orchestration.profile import Profile

EXPERIMENTS = REPOSITORY / "config" / "experiments"

Section = Annotated[str, StringConstraints(pattern=r"^(\d+\.\d+|[A-D]\.\d+|summary|house)$")]
Share = Annotated[float, Field(ge=0, le=1)]
Encoder = Literal["qwen_postmerge", "qwen_premerge", "qwen_premerge_as_returned", "dinov2", "mobile_sam"]
Pair = Annotated[list[Encoder], Field(min_length=2, max_length=2)]


class Statement(Part):
    """Words with the section that they come from."""

    section: Section
    says: Text


class Stated(Part):
    """A number of the proposal."""

    section: Section
    value: float


class Reported(Part):
    """What Gate 1 reported (Executive Summary)."""

    bbox_iou: Stated
    map50: Stated
    cka: Stated


class LocalisationPlan(Part):
    """Q2: which representations are read, in words, and which are compared."""

    encoders: dict[Encoder, Text]
    differences: list[Pair]


class Widths(Part):
    """Dimensions of the two sides of Q1, as the proposal has them."""

    section: Section
    vlm: PositiveInt
    latents: PositiveInt


class AlignmentPlan(Part):
    """Q1: at which numbers of clips, and how many draws stand behind each null."""

    n: Annotated[list[PositiveInt], Field(min_length=1)]
    permutations: PositiveInt
    gaussians: PositiveInt
    widths: Widths


class LacksPlace(Part):
    """The VLM does not say where things are: Bounding Box IoU, each encoder's whole interval against two lines."""

    section: Section
    encoders: Annotated[list[Encoder], Field(min_length=1)]
    holds_below: Share
    fails_above: Share

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.holds_below > self.fails_above:
            raise ValueError(
                f"holds_below {self.holds_below:g} is above fails_above {self.fails_above:g}; between them is open"
            )
        return self


class Supplied(Part):
    """The spatial encoder says it: its paired gain in Bounding Box IoU over each of the VLM's readings."""

    section: Section
    encoder: Encoder
    over: Annotated[list[Encoder], Field(min_length=1)]
    margin: Share


class Aligned(Part):
    """The VLM's stream shares more with the decoder's latents than chance: unbiased CKA at the largest n."""

    section: Section
    level: Share
    min_n: PositiveInt


class MinClips(Part):
    section: Section
    at: PositiveInt


class Rule(Part):
    """Three claims; all of them hold, or any fails, or it is open."""

    lacks_place: LacksPlace
    supplied: Supplied
    aligned: Aligned
    min_clips: MinClips


class Sizes(Part):
    """How much of the data one profile looks at."""

    train: PositiveInt
    heldout: PositiveInt
    frames: PositiveInt
    mobile_sam_px: Annotated[int, Field(gt=0, multiple_of=16)]
    max_hours: PositiveFloat


class PremiseDeclaration(Part):
    """The premise audit."""

    schema_: Literal["foresight.experiment/1"] = Field(alias="schema")
    name: Literal["premise"]
    title: Text
    section: Section
    hypothesis: Statement
    doubts: list[Statement]
    proposal: Reported
    localisation: LocalisationPlan
    alignment: AlignmentPlan
    rule: Rule
    seed: int
    sizes: dict[Literal["laptop", "a100"], Sizes]

    @functools.cached_property
    def sha256(self) -> str:
        """Its identity, which every decision pins."""
        return sha256(self.model_dump(mode="json", by_alias=True))

    def sizes_of(self, profile: Profile) -> Sizes:
        """A profile's own sizes; of one that has none, the laptop's for stand-ins, else the a100's."""
        if profile.name in self.sizes:
            return self.sizes[profile.name]  # type: ignore[index]
        return self.sizes["laptop" if profile.standins else "a100"]

    @model_validator(mode="after")
    def _measured(self) -> Self:
        """What the rule and the differences name is measured."""
        rule = self.rule
        compared = [encoder for pair in self.localisation.differences for encoder in pair]
        named = [*rule.lacks_place.encoders, rule.supplied.encoder, *rule.supplied.over, *compared]
        if unknown := sorted(set(named) - set(self.localisation.encoders)):
            raise ValueError(f"{', '.join(unknown)}: judged or compared, but not under localisation.encoders; add it")
        for over in rule.supplied.over:
            if [rule.supplied.encoder, over] not in self.localisation.differences:
                raise ValueError(f"rule.supplied: {rule.supplied.encoder} less {over} is not among the differences")
        if missing := {"laptop", "a100"} - set(self.sizes):
            raise ValueError(f"sizes: {', '.join(sorted(missing))} missing; give the sizes of both")
        return self


def load(path: Path | None = None) -> PremiseDeclaration:
    """The declaration in a file, or ProgrammeError in one line."""
    return read(path or EXPERIMENTS / "premise.yaml", PremiseDeclaration)
