"""What the report says: one frozen value, made by orchestration/report/collect.py and read by page.py (design §11).

A fact that is not known is None or empty, and the page says "not run yet"; no default here looks measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestration.documents import Decision, Evaluation
from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.experiments.documents import ExperimentDecision, PremiseDocument
from orchestration.experiments.record import ExperimentOverride
from orchestration.gates.overall import Overall
from orchestration.plan.programme import Programme
from orchestration.plan.risks import RiskState
from orchestration.plan.timeline import Timeline
from orchestration.studies.declaration import StudyDeclaration
from orchestration.studies.documents import StudyDocument
from orchestration.studies.plan import StudyPlan


@dataclass(frozen=True)
class Picture:
    """A figure that a stage left behind."""

    name: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Override:
    """A person's signed word against a verdict, which it leaves as it was."""

    by: str
    why: str
    at: str
    until: str | None
    stands: bool
    """False once it has expired."""


@dataclass(frozen=True)
class PhaseEvidence:
    """What one phase has to show; a phase that has not run has neither evaluation nor decision."""

    evaluation: Evaluation | None = None
    decision: Decision | None = None
    decided_at: datetime | None = None
    override: Override | None = None
    pictures: tuple[Picture, ...] = ()

    @property
    def outdated(self) -> bool:
        """The evaluation is not the one that was decided on: it is newer, and still waits for its gate."""
        if self.decision is None or self.evaluation is None:
            return False
        return self.decision.pins.get("evaluation_sha256") != self.evaluation.sha256


@dataclass(frozen=True)
class PremiseEvidence:
    """The premise audit: what it measured, what was decided on it, and who goes on all the same."""

    declaration: PremiseDeclaration
    measured: PremiseDocument
    decision: ExperimentDecision
    pictures: Mapping[str, bytes]
    override: ExperimentOverride | None = None


@dataclass(frozen=True)
class StudyEvidence:
    """One study: as it is declared here, what it costs on GPUs, and, once it has run, what it found."""

    declaration: StudyDeclaration
    planned: StudyPlan
    measured: StudyDocument | None = None
    decision: ExperimentDecision | None = None
    pictures: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class Card:
    """What a stand-in is, in the words of its card."""

    name: str
    says: str
    sha256: str


@dataclass(frozen=True)
class Link:
    """One entry of the log of decisions and overrides: who signed what, and why."""

    at: datetime
    what: str
    by: str
    """A person, or the gate itself, which signs by its rule."""
    why: str
    sha256: str
    person: bool = False


@dataclass(frozen=True)
class ReportBundle:
    """Everything on the page."""

    programme: Programme
    dataset: str
    made_at: datetime
    phases: Mapping[int, PhaseEvidence]
    """1, 2, 3; always all of them."""
    budget: Mapping[str, Any]
    """The ledger's summary, `foresight.budget/1`, with the storage beside it."""
    premise: PremiseEvidence | None = None
    studies: Sequence[StudyEvidence] = ()
    elsewhere: Mapping[str, Mapping[int, PhaseEvidence]] = field(default_factory=dict)
    """Other datasets that the same checkpoints were measured on."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, in the order they ran."""
    overall: Overall | None = None
    """The project as a whole (§6.4); None where nothing was evaluated."""
    timeline: Timeline | None = None
    risks: Sequence[RiskState] = ()
    cards: tuple[Card, ...] = ()
    chain: tuple[Link, ...] = ()
    chain_broken: str | None = None
    """Where the log's chain of hashes first breaks; None when it is whole."""

    @property
    def title(self) -> str:
        return self.programme.title

    @property
    def made(self) -> str:
        return f"{self.made_at:%d %b %Y, %H:%M} UTC"

    @property
    def evaluations(self) -> list[Evaluation]:
        """Every evaluation on the page."""
        sets = [self.phases, *self.elsewhere.values()]
        return [phase.evaluation for phases in sets for phase in phases.values() if phase.evaluation is not None]

    @property
    def standins_used(self) -> bool:
        return any(evaluation.standins for evaluation in self.evaluations)

    @property
    def latest(self) -> int | None:
        """The last phase that a gate has decided."""
        return max((number for number, phase in self.phases.items() if phase.decision), default=None)
