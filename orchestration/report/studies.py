"""All experiments on one page: what each asked and found, those that have not run, and what to run first (§5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.experiments.record import ExperimentLog
from orchestration.home import Home
from orchestration.plan.programme import Programme
from orchestration.profile import load as load_profile
from orchestration.report import palette
from orchestration.report.bundle import StudyEvidence
from orchestration.report.study import StudyView, view
from orchestration.studies import declared
from orchestration.studies.declaration import StudyDeclaration, load
from orchestration.studies.documents import read_study
from orchestration.studies.plan import plan
from orchestration.studies.worth import Worth, ranked, worth

REAL = "a100"
"""The profile whose price counts for what is to be run first."""


@dataclass(frozen=True)
class Line:
    """One study in the table of findings."""

    name: str
    title: str
    mark: palette.Mark
    finding: str
    standins: bool
    command: str


@dataclass(frozen=True)
class First:
    """One study in the table of what to run first."""

    name: str
    bits: str
    usd: str
    bits_per_100_usd: str
    measured: bool


@dataclass(frozen=True)
class StudiesView:
    """What the template is given."""

    lines: tuple[Line, ...]
    first: tuple[First, ...]
    views: tuple[StudyView, ...]


def evidence(home: Home, dataset: str, log: ExperimentLog, programme: Programme) -> list[StudyEvidence]:
    """Every declared study, with what stands in the home for this dataset.

    Raises:
        DocumentError: a document is not what it says it is.
    """
    return [_evidence(home, dataset, log, programme, load(name)) for name in declared()]


def findings(found: Sequence[StudyEvidence]) -> StudiesView | None:
    """The section of the report; None where nothing is declared."""
    if not found:
        return None
    values = {one.declaration.name: one.measured.values if one.measured else {} for one in found}
    order = ranked(
        [worth(d.name, d.rule, values[d.name], one.planned.usd) for one in found for d in (one.declaration,)]
    )
    return StudiesView(
        lines=tuple(_line(one) for one in found),
        first=tuple(_first(one) for one in order),
        views=tuple(
            view(one.declaration, one.measured, one.decision, one.pictures or {})
            for one in found
            if one.measured and one.decision
        ),
    )


def _evidence(
    home: Home, dataset: str, log: ExperimentLog, programme: Programme, declaration: StudyDeclaration
) -> StudyEvidence:
    planned, folder = plan(declaration, load_profile(REAL), programme), home.run(dataset, declaration.name)
    if not (folder / "study.json").is_file():
        return StudyEvidence(declaration, planned)
    measured = read_study(folder / "study.json", declaration.name)
    made = [one for _, one in log.decisions(declaration.name, profile=measured.profile)]
    decision = next((one for one in reversed(made) if one.pins["document_sha256"] == measured.sha256), None)
    if decision is None or measured.declaration_sha256 != declaration.sha256:
        return StudyEvidence(declaration, planned)  # declared anew since: what was measured answers another question
    pictures = {path.stem: path.read_bytes() for path in sorted((folder / "figures").glob("*.png"))}
    return StudyEvidence(declaration, planned, measured, decision, pictures)


def _line(one: StudyEvidence) -> Line:
    standins = one.measured is not None and one.measured.standins
    return Line(
        name=one.declaration.name,
        title=f"{one.declaration.title} (§{one.declaration.section})",
        mark=palette.mark(one.decision.verdict if one.decision else None),
        finding=one.decision.finding if one.decision else "",
        standins=standins,
        command=f"foresight experiment {one.declaration.name}",
    )


def _first(one: Worth) -> First:
    share = "–" if one.usd == 0 else f"{100 * one.bits_per_usd:.1f}"
    return First(one.experiment.upper(), f"{one.bits:.1f}", f"{one.usd:,.0f}", share, one.measured)
