"""config/experiments/NAME.yaml of a study as a closed, frozen value: what it asks, and how it will be judged.

It is written before the run. A decision pins its sha256, so that a rule changed afterwards is seen.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, JsonValue, StringConstraints, ValidationError, model_validator

from orchestration.documents import sha256
from orchestration.experiments.declaration import EXPERIMENTS, MinClips, Section, Statement
from orchestration.plan.programme import Part, Text
from orchestration.plan.programme_file import ProgrammeError, read
from orchestration.profile import Profile
from orchestration.studies.study import Study, StudySizes

Name = Literal["c2", "q3", "c3", "q4", "q5", "c4", "router"]
ProfileName = Literal["laptop", "a100"]


class ClaimRule(Part):
    """One part of the hypothesis: a value whose whole 95% interval must lie on one side of a line."""

    claim: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    says: Text
    section: Section
    value: Text
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"{self.claim}: give either above or below")
        return self

    @property
    def line(self) -> float:
        """The number that the interval is held against."""
        return cast(float, self.above if self.above is not None else self.below)


class StudyDeclaration(Part):
    """A study, with its own plan and sizes as they stand in the file (`planned` and `sized` give them typed)."""

    schema_: Literal["foresight.study/1"] = Field(alias="schema")
    name: Name
    title: Text
    section: Section
    hypothesis: Statement
    doubts: list[Statement]
    plan: dict[str, JsonValue]
    rule: Annotated[list[ClaimRule], Field(min_length=1)]
    min_clips: MinClips
    seed: int
    sizes: dict[ProfileName, dict[str, JsonValue]]

    @functools.cached_property
    def sha256(self) -> str:
        """Its identity, which every decision pins."""
        return sha256(self.model_dump(mode="json", by_alias=True))

    @property
    def planned(self) -> Any:
        """The plan, as its study reads it."""
        return study(self.name).Plan.model_validate(self.plan)

    def sized(self, profile: Profile) -> Any:
        """A profile's own sizes; of one that has none, the laptop's for stand-ins, else the a100's."""
        own = profile.name if profile.name in self.sizes else "laptop" if profile.standins else "a100"
        return self._sizes(cast(ProfileName, own))

    def _sizes(self, name: ProfileName) -> StudySizes:
        return study(self.name).Sizes.model_validate(self.sizes[name])

    @model_validator(mode="after")
    def _both(self) -> Self:
        if missing := {"laptop", "a100"} - set(self.sizes):
            raise ValueError(f"sizes: {', '.join(sorted(missing))} missing; give the sizes of both")
        if len({claim.claim for claim in self.rule}) < len(self.rule):
            raise ValueError("rule: two claims of one name")
        return self


def study(name: str) -> Study:
    """The module of a study."""
    return cast(Study, importlib.import_module(f"orchestration.studies.{name}"))


def load(name: str, path: Path | None = None) -> StudyDeclaration:
    """The declaration of a study, its plan and sizes understood.

    Raises:
        ProgrammeError: it is not there, or says something it may not; one line.
    """
    where = path or EXPERIMENTS / f"{name}.yaml"
    found = read(where, StudyDeclaration)
    if found.name != name:
        raise ProgrammeError(f"{where}: it declares {found.name}, not {name}; a study's file has its name")
    parts: list[tuple[str, type[Part], Any]] = [("plan", study(name).Plan, found.plan)]
    parts += [(f"sizes.{own}", study(name).Sizes, sizes) for own, sizes in found.sizes.items()]
    for part, kind, given in parts:
        try:
            kind.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join([part, *map(str, first["loc"])])
            raise ProgrammeError(f"{where}: {key}: {first['msg']}") from None
    return found
