"""The chair's page: one self-contained HTML file, the decision first, then what it rests on (design §11).

No script, no address outside the file: it can be mailed, archived and printed. All of it is a function of the bundle.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.documents import Evaluation
from orchestration.report import cost, figures, names, palette, plan, premise, studies, tables
from orchestration.report.bundle import Override, PhaseEvidence, Picture, ReportBundle
from orchestration.report.head import ACTIONS, head, met

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PhaseView:
    """One phase as the page shows it."""

    number: int
    name: str
    purpose: str
    week: int
    mark: palette.Mark
    summary: str
    measured: str
    override: Override | None
    outdated: bool
    rows: Sequence[tables.CriterionRow]
    beside: Sequence[tables.BesideTable]
    figures: list[dict[str, str]]


def render(bundle: ReportBundle) -> str:
    """The page as HTML."""
    measured = [number for number, phase in bundle.phases.items() if phase.evaluation]
    context: dict[str, Any] = {
        "bundle": bundle,
        "head": head(bundle),
        "phases": [_phase(bundle, number, phase) for number, phase in sorted(bundle.phases.items())],
        "premise": premise.view(bundle.premise) if bundle.premise else None,
        "studies": studies.findings(bundle.studies),
        "overall": _overall(bundle),
        "elsewhere": _elsewhere(bundle),
        "cost": cost.ledger(bundle),
        "storage": cost.storage(bundle),
        "going_on": cost.going_on(bundle),
        "waiting": cost.waiting(bundle),
        "plan": plan.lines(bundle),
        "counted_from": plan.counted_from(bundle.timeline),
        "risks": plan.risks(bundle),
        "times_figure": _base64(figures.time_by_stage(bundle.times)) if bundle.times else None,
        "measured": [{"number": number} for number in measured],
        "pins": _pins(bundle, measured),
        "chain_says": _chain(bundle),
    }
    return environment().get_template("template.html.j2").render(context | {"style": style()})


def environment() -> "Environment":
    """Templates of this folder; all that goes into them is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style() -> "Markup":
    """The style sheet: the project's own text, which goes in as it is."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    plain = Environment(undefined=StrictUndefined, loader=FileSystemLoader(_FOLDER))
    return Markup(plain.get_template("style.css").render(_colours()))


def write(bundle: ReportBundle, path: Path) -> None:
    """Put the page at `path`, whole or not at all: whoever has it open never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(render(bundle), encoding="utf-8")
    part.replace(path)


def _phase(bundle: ReportBundle, number: int, phase: PhaseEvidence) -> PhaseView:
    of, decision, evaluation = bundle.programme.phases[number], phase.decision, phase.evaluation  # pyright: ignore[reportArgumentType]
    mark = palette.mark(decision.verdict if decision else None)
    if decision:
        summary = "{} of {} targets met. Action: {}.".format(*met(decision), ACTIONS[decision.action])
    else:
        summary = "Measured, not decided yet." if evaluation else f"{of.purpose.rstrip('.')}."
    measured = (
        f"Measured on {evaluation.n_clips} held-out clips.{_unmeasured(evaluation)}" if evaluation else "Not run yet."
    )
    if phase.decided_at:
        measured += f" Decided on {phase.decided_at:%d %b %Y}."
    return PhaseView(
        number=number,
        name=of.name,
        purpose=of.purpose.rstrip("."),
        week=of.decision.week,
        mark=mark,
        summary=summary,
        measured=measured,
        override=phase.override,
        outdated=phase.outdated,
        rows=tables.criteria(decision) if decision else (),
        beside=_beside(evaluation) if evaluation else (),
        figures=[_figure(picture) for picture in phase.pictures],
    )


def _overall(bundle: ReportBundle) -> dict[str, Any] | None:
    """The project's own verdict with its rows (§6.4)."""
    judged = bundle.overall
    if judged is None:
        return None
    gates = ", ".join(f"Phase {phase} {palette.mark(verdict).word}" for phase, verdict in judged.gates.items())
    return {
        "mark": palette.mark(judged.verdict),
        "rows": tables.criteria(judged),
        "gates": f"{gates}.",
        "next": judged.next_step,
        "section": bundle.programme.overall.section,
    }


def _beside(evaluation: Evaluation) -> Sequence[tables.BesideTable]:
    found = tables.beside(evaluation), tables.paired(evaluation), tables.absent(evaluation)
    return [table for table in found if table is not None]


def _unmeasured(evaluation: Evaluation) -> str:
    """Of what no clip could be measured, and why."""
    said = [
        f" {names.metric(key).words}: {value.protocol}."
        for key, value in evaluation.metrics.items()
        if value.n == 0 and value.value is None
    ]
    return "".join(said)


def _elsewhere(bundle: ReportBundle) -> list[dict[str, Any]]:
    shown = []
    for dataset, phases in bundle.elsewhere.items():
        for number, phase in sorted(phases.items()):
            found = _beside(phase.evaluation) if phase.evaluation else ()
            if phase.evaluation is None or not found:
                continue
            shown.append({
                "words": f"{names.words(dataset).capitalize()} clips, phase {number}",
                "measured": f"{phase.evaluation.n_clips} clips.{_unmeasured(phase.evaluation)}",
                "beside": found,
                "figures": [_figure(picture) for picture in phase.pictures],
            })  # fmt: skip
    return shown


def _pins(bundle: ReportBundle, measured: Sequence[int]) -> list[tuple[str, list[list[dict[str, str]]]]]:
    """Rows of the provenance table: what each phase's evaluation was made of. Long hashes are cut, whole on hover."""
    evaluations = [e for number in measured if (e := bundle.phases[number].evaluation)]
    decisions = [bundle.phases[number].decision for number in measured]
    rows: list[tuple[str, list[dict[str, str]]]] = [
        ("Data version", [{"": e.data_version} for e in evaluations]),
        ("Code commit", [{"": e.code_commit} for e in evaluations]),
        ("Weights", [e.weights for e in evaluations]),
        ("Runs", [e.runs for e in evaluations]),
        ("Evaluation", [{"": e.sha256} for e in evaluations]),
        ("Decision", [{"": d.sha256} if d else {"": "none"} for d in decisions]),
    ]
    return [(name, [[_part(key, value) for key, value in cell.items()] for cell in cells]) for name, cells in rows]


def _part(key: str, value: str) -> dict[str, str]:
    return {"whole": value, "shown": f"{key}  {value[:12]}" if key else value[:16]}


def _chain(bundle: ReportBundle) -> str:
    if bundle.chain_broken:
        return f"The chain of hashes is broken: {bundle.chain_broken}. What follows that entry may have been altered."
    return "Each entry's SHA-256 covers the one before it; the chain was checked when this page was made, and is whole."


def _figure(picture: Picture) -> dict[str, str]:
    return {"caption": picture.caption, "base64": _base64(picture.png)}


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


def _colours() -> dict[str, str]:
    """The palette as custom properties, for light paper and for dark."""
    marks = {mark.tone: mark for mark in palette.MARKS.values()}
    light = {tone: mark.colour for tone, mark in marks.items()} | palette.LIGHT
    dark = {tone: mark.dark for tone, mark in marks.items()} | palette.DARK
    return {
        name: " ".join(f"--{key}: {colour};" for key, colour in colours.items())
        for name, colours in (("light", light), ("dark", dark))
    }
