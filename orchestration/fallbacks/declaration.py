"""config/fallbacks/NAME.yaml as a typed, closed, frozen value: which criteria of a phase a fallback keeps, and on which
arm.

It names every criterion of the phase and states no threshold: those stay the programme's, so that nothing is lowered
here and nothing is left out in silence.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from orchestration.documents import Arm, MetricName, sha256
from orchestration.home import REPOSITORY
from orchestration.plan.programme import Part, Programme, Section, Text
from orchestration.plan.programme_file import ProgrammeError, read

FALLBACKS = REPOSITORY / "config" / "fallbacks"


class Fallback(Part):
    """One fallback of §4.3 that an evaluation of Phase 2 can be judged by."""

    schema_: Literal["foresight.fallback/1"] = Field(alias="schema")
    name: Text
    title: Text
    section: Section
    fallback: PositiveInt
    phase: Literal[2]
    arm: Arm
    keeps: Annotated[list[MetricName], Field(min_length=1)]
    aside: dict[MetricName, Text]

    @functools.cached_property
    def sha256(self) -> str:
        """Its identity, which every verdict pins."""
        return sha256(self.model_dump(mode="json", by_alias=True))

    def programme(self, given: Programme) -> Programme:
        """The programme that asks only what this fallback keeps, under a title of its own.

        Of the comparison with single streams the kept metrics stay, where the hybrid is judged; a stream alone is not
        compared with itself.

        Raises:
            ProgrammeError: a criterion of the phase is neither kept nor set aside, or one of these is none of it.
        """
        self._require_all(given)
        body = given.model_dump(by_alias=True)
        plan = body["phases"][self.phase]
        plan["criteria"] = {name: plan["criteria"][name] for name in self.keeps}
        plan["beside"] = []
        plan["single_stream"] = self._compared(plan["single_stream"]) if self.arm == "hybrid" else None
        body["title"] = f"FALLBACK of §{self.section}, not the proposal's programme: {self.title}"
        return Programme.model_validate(body)

    def _compared(self, rule: dict[str, Any] | None) -> dict[str, Any] | None:
        if rule is None:
            return None
        exceeds = {arm: [name for name in names if name in self.keeps] for arm, names in rule["exceeds"].items()}
        keeps = {
            arm: {name: margin for name, margin in margins.items() if name in self.keeps}
            for arm, margins in rule["keeps"].items()
        }
        return {**rule, "exceeds": exceeds, "keeps": keeps}

    def _require_all(self, given: Programme) -> None:
        asked, said = set(given.phases[self.phase].criteria), {*self.keeps, *self.aside}
        if twice := sorted(set(self.keeps) & set(self.aside)):
            raise ProgrammeError(f"fallback {self.name}: {', '.join(twice)} is both kept and set aside; choose one")
        if silent := sorted(asked - said):
            raise ProgrammeError(
                f"fallback {self.name}: {', '.join(silent)} of phase {self.phase} is neither kept nor set aside; say it"
            )
        if strange := sorted(said - asked):
            raise ProgrammeError(
                f"fallback {self.name}: {', '.join(strange)} is no criterion of phase {self.phase}; there are "
                f"{', '.join(sorted(asked))}"
            )
        if self.fallback > len(given.worst_case.fallbacks):
            raise ProgrammeError(
                f"fallback {self.name}: `worst_case` has no fallback {self.fallback}; allowed: 1 to "
                f"{len(given.worst_case.fallbacks)}"
            )


def names() -> list[str]:
    """The fallbacks that are declared."""
    return sorted(path.stem for path in FALLBACKS.glob("*.yaml"))


def load(name: str) -> Fallback:
    """The fallback of a name, or of a path to a .yaml file; ProgrammeError in one line."""
    if name.endswith((".yaml", ".yml")):
        return read(Path(name), Fallback)
    if name not in names():
        raise ProgrammeError(f"no fallback {name!r}; there are {', '.join(names())}, or give a path to a .yaml file")
    return read(FALLBACKS / f"{name}.yaml", Fallback)
