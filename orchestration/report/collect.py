"""Gather the report from where each fact is kept: decision log, ledger, folders of the runs (design §11).

A phase that has not run is empty. A document that is there and cannot be read is an error, never an empty phase.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from orchestration.budget.budget import document as budget_of
from orchestration.data.datasets import GENERATED, known
from orchestration.documents import Decision, Evaluation, Phase, read_evaluation
from orchestration.experiments.documents import read_premise
from orchestration.experiments.record import ExperimentLog
from orchestration.gates.board import criteria_rows
from orchestration.gates.overall import Overall, judge
from orchestration.home import REPOSITORY, Home
from orchestration.jobs import PREMISE, read
from orchestration.plan import programme as programmes
from orchestration.plan.programme import Programme
from orchestration.plan.standing import standing
from orchestration.record.decisions import DecisionLog
from orchestration.record.decisions import Override as Signed
from orchestration.record.store import Store
from orchestration.report.bundle import (
    Card,
    Link,
    Override,
    PhaseEvidence,
    Picture,
    PremiseEvidence,
    ReportBundle,
)
from orchestration.report.studies import evidence

CARDS = REPOSITORY / "models" / "standins" / "weights"
CAPTIONS = {
    "frames": "Held-out clips: true frames, generated frames, and the VAE's round trip, the best the decoder can do",
    "loss": "Training loss by step",
    "arms": "Arms and baselines, with 95 % intervals",
    "stream_share": "Which stream each part of the frame listened to: blue the spatial encoder, orange the VLM",
    "stream_layers": "The VLM's share of what the hybrid makes, whole and by layer, and how far its gates are open",
    "attention": "What some outputs attend to: blue over the spatial encoder's tokens, orange over the VLM's",
    "interference": "Whether the streams' losses pull together (above 0) or against each other, and the gates",
}


DRAWN_BY_THE_PAGE = ("intervals",)
"""The page draws a decision's rows itself, from the same places, in its own table."""


class ReportError(ValueError):
    """There is nothing to report on, or a part of it cannot be read."""


def collect(home: Home, dataset: str = GENERATED) -> ReportBundle:
    """The bundle of one dataset's programme, with what the other datasets were measured at beside it.

    Raises:
        ReportError: the home does not exist, or one of its files is damaged.
        DocumentError: an evaluation is not what it says it is.
    """
    if not home.root.is_dir():
        raise ReportError(
            f"{home.root}: no programme has run here; start one with `foresight run`, or set FORESIGHT_HOME"
        )
    programme, records = programmes.load(), Store(home.database)
    log = DecisionLog(records)
    # What was trained on the generated clips is measured on the clips that nothing is trained on.
    others = [other.name for other in known(home) if not other.trains] if dataset == GENERATED else []
    phases = {number: _phase(home, dataset, number, log) for number in programme.phases}
    plan, risks = standing(home, dataset, programme)
    elsewhere = {other: {number: _phase(home, other, number, None) for number in programme.phases} for other in others}
    return ReportBundle(
        programme=programme,
        dataset=dataset,
        made_at=datetime.now(UTC),
        phases=phases,
        budget=budget_of(home),
        premise=_premise(home, dataset, ExperimentLog(records)),
        studies=evidence(home, dataset, ExperimentLog(records), programme),
        elsewhere={
            other: found for other, found in elsewhere.items() if any(phase.evaluation for phase in found.values())
        },
        times=_times(home.times, dataset),
        overall=_overall(programme, phases),
        timeline=plan,
        risks=risks,
        cards=_cards(phases),
        chain=_chain(log, ExperimentLog(records)),
        chain_broken=log.verify(),
    )


def _overall(programme: Programme, phases: dict[int, PhaseEvidence]) -> Overall | None:
    found = phases.values()
    evaluations: dict[Phase, Evaluation] = {one.evaluation.phase: one.evaluation for one in found if one.evaluation}
    decisions: dict[Phase, Decision] = {one.decision.phase: one.decision for one in found if one.decision}
    return judge(programme, evaluations, decisions) if evaluations else None


def _phase(home: Home, dataset: str, number: int, log: DecisionLog | None) -> PhaseEvidence:
    trained = home.run(dataset, f"phase{number}")
    path = trained / "evaluation.json"
    folders = (home.run(dataset, f"evaluation{number}"), trained)
    found = [file for folder in folders for file in sorted((folder / "figures").glob("*.png"))]
    evaluation = read_evaluation(path) if path.is_file() else None
    decided = log.decisions(number, dataset=dataset, profile=evaluation.profile if evaluation else None) if log else []
    at, decision = decided[-1] if decided else (None, None)
    return PhaseEvidence(
        evaluation=evaluation,
        decision=decision,
        decided_at=at,
        override=_override(log, number, dataset, evaluation.profile if evaluation else None) if log else None,
        pictures=tuple(_picture(file) for file in found if file.stem not in DRAWN_BY_THE_PAGE),
    )


def _premise(home: Home, dataset: str, log: ExperimentLog) -> PremiseEvidence | None:
    """The audit of this data set, once it is decided; under the declaration that it was made with."""
    folder = home.run(dataset, PREMISE)
    if not (folder / "audit.json").is_file():
        return None
    measured, declared = read_premise(folder / "audit.json"), read(folder / "job.json").declaration
    made = [one for _, one in log.decisions(PREMISE, profile=measured.profile)]
    decision = next((one for one in reversed(made) if one.pins["document_sha256"] == measured.sha256), None)
    if declared is None or decision is None:
        return None
    pictures = {path.stem: path.read_bytes() for path in sorted((folder / "figures").glob("*.png"))}
    override = None if decision.verdict == "stands" else log.live_override(PREMISE, profile=measured.profile)
    return PremiseEvidence(declared, measured, decision, pictures, override)


def _override(log: DecisionLog, phase: int, dataset: str, profile: str | None) -> Override | None:
    """The override that counts; without one the newest that no longer does, since it once let the programme go on."""
    live = log.live_override(phase, dataset=dataset, profile=profile)
    past = [signed for signed in log.overrides(phase) if signed.dataset in (None, dataset)]
    signed = live or (past[-1] if past else None)
    return _words(signed, stands=live is not None) if signed else None


def _words(signed: Signed, *, stands: bool) -> Override:
    until = f"{signed.until:%d %b %Y}" if signed.until else None
    return Override(by=signed.by, why=signed.why, at=f"{signed.at:%d %b %Y}", until=until, stands=stands)


def _picture(file: Path) -> Picture:
    caption = next((text for name, text in CAPTIONS.items() if file.stem.startswith(name)), file.stem.replace("_", " "))
    return Picture(file.stem, caption, file.read_bytes())


def _times(path: Path, dataset: str) -> dict[str, float]:
    """Seconds by stage of the last run; a stage of this data set goes without the data set's name."""
    if not path.is_file():
        return {}
    try:
        return {
            str(stage).removeprefix(f"{dataset}/"): float(seconds)
            for stage, seconds in json.loads(path.read_text(encoding="utf-8")).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{path}: not a table of seconds by stage ({error}); remove it, the next run writes it anew"
        ) from error


def _cards(phases: dict[int, PhaseEvidence]) -> tuple[Card, ...]:
    """The cards of the stand-ins that these evaluations name among their weights."""
    evaluations: list[Evaluation] = [phase.evaluation for phase in phases.values() if phase.evaluation]
    used = {
        name: digest for evaluation in evaluations if evaluation.standins for name, digest in evaluation.weights.items()
    }
    found = ((name, digest, CARDS / name / "CARD.md") for name, digest in used.items())
    return tuple(Card(name, _says(card), digest) for name, digest, card in found if card.is_file())


def _says(card: Path) -> str:
    """The first paragraph of prose of a card."""
    paragraphs = card.read_text(encoding="utf-8").split("\n\n")
    prose = (" ".join(text.split()) for text in paragraphs if text.strip() and text.lstrip()[0] not in "#|-*`<")
    return next(prose, "")


def _chain(log: DecisionLog, experiments: ExperimentLog) -> tuple[Link, ...]:
    """Decisions and overrides, by the time they were recorded."""
    decided = [_decided(at, decision) for at, decision in log.decisions()]
    signed = [
        Link(one.at, f"Phase {one.phase}{_on(one.dataset)}: goes on", one.by, _reason(one), one.sha256, person=True)
        for one in log.overrides()
    ]
    audits = [
        Link(at, f"Premise on {one.pins['dataset']}: {one.verdict}", "its declared rule", one.finding, one.sha256)
        for at, one in experiments.decisions(PREMISE)
    ]
    return tuple(sorted([*audits, *decided, *signed], key=lambda link: link.at))


def _decided(at: datetime, decision: Decision) -> Link:
    says = f"{decision.verdict.replace('_', '-')}, {decision.action.replace('_', ' ')}"
    counted = [row["outcome"] for row in criteria_rows(decision) if row["gates"]]
    why = f"{counted.count('GO')} of {len(counted)} targets met"
    dataset = decision.pins.get("dataset")
    what = f"Phase {decision.phase}{_on(dataset if isinstance(dataset, str) else None)}: {says}"
    return Link(at, what, "the gate", why, decision.sha256)


def _on(dataset: str | None) -> str:
    return f" on {dataset}" if dataset else ""


def _reason(signed: Signed) -> str:
    return f"{signed.why} (until {signed.until:%d %b %Y})" if signed.until else signed.why
