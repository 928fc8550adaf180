"""`foresight gate`: what the gates say, who overrode them, what they would say at other thresholds (design §7, §11)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import click
import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home
from orchestration.terminal import wide

if TYPE_CHECKING:
    from pydantic import JsonValue

    from orchestration.documents import Decision, Evaluation, Phase
    from orchestration.record.decisions import DecisionLog

gate_app = typer.Typer(no_args_is_help=True, help="Decide, show, override and replay the gates; verify their record.")

PhaseArgument = Annotated[int, typer.Argument(min=1, max=3, metavar="PHASE", help="1, 2 or 3")]
DataOption = Annotated[str, typer.Option("--data", help="The data set that was evaluated, by its name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DATA = "moving_shapes"
OVERALL = "overall"


@gate_app.command(epilog="Example: foresight gate show 1; foresight gate show overall")
def show(
    phase: Annotated[
        str,
        typer.Argument(
            click_type=click.Choice(["1", "2", "3", OVERALL]),
            metavar="PHASE",
            help="1, 2 or 3; or overall: the project as a whole (§6.4).",
        ),
    ],
    data: DataOption = DATA,
    as_json: JsonOption = False,
) -> None:
    """Show the decision that stands for a phase, its override if one counts, and whether the next phase may start."""
    if phase == OVERALL:
        _show_overall(data, as_json)
    else:
        _show_phase(int(phase), data, as_json)


def _show_overall(data: str, as_json: bool) -> None:
    from orchestration.gates.board import overall_table
    from orchestration.plan.programme import load
    from orchestration.record.opened import overall

    with exits():
        judged = overall(Home.find(), load(), data)
    if as_json:
        print_json(judged.document())
    else:
        wide().print(overall_table(judged))


def _show_phase(phase: int, data: str, as_json: bool) -> None:
    from orchestration.gates import overall
    from orchestration.gates.clearance import clearance
    from orchestration.plan.programme import load

    with exits():
        log, programme = _log(), load()
        decision = log.latest(phase, dataset=data)
        profile = str(decision.pins["profile"]) if decision else None
        override = log.live_override(phase, dataset=data, profile=profile)
        ahead = clearance(phase + 1, log, programme, dataset=data, profile=profile) if phase < 3 else None
        failed = decision is not None and decision.verdict == "NO_GO"
    if as_json:
        shown = {
            "schema": "foresight.gate/1",
            "phase": phase,
            "data": data,
            "decision": decision.document() if decision else None,
            "override": override.document() if override else None,
            "next_phase": {"allowed": ahead.allowed, "because": ahead.because} if ahead else None,
            "next_step": overall.next_step(programme, decision.phase) if failed and decision else None,
        }
        print_json(shown)
        return
    if decision is None:
        bars = programme.bars(_phase(phase))
        needs = ", ".join(f"{bar.metric} {'>' if bar.sign > 0 else '<'} {bar.target:g}" for bar in bars)
        typer.echo(
            f"Phase {phase} ({data}) is not decided. GO needs {needs}. `foresight gate decide {phase}` decides it."
        )
    else:
        _show(decision, as_json=False)
    if override:
        typer.echo(f"Overridden by {override.by}, {_until(override.until)}: {override.why}")
    if ahead:
        typer.echo(f"Next phase {'may' if ahead.allowed else 'may not'} start: {ahead.because}")


@gate_app.command(epilog="Example: foresight gate decide 1 --json")
def decide(phase: PhaseArgument, data: DataOption = DATA, as_json: JsonOption = False) -> None:
    """Decide a phase on its newest evaluation and record the decision; decided before, it is shown as recorded."""
    from orchestration.compare import clip_values
    from orchestration.documents import DocumentError
    from orchestration.plan.programme import load

    with exits():
        path = _document(data, phase)
        if not path.exists():
            raise DocumentError(f"no evaluation of phase {phase} at {path}; `foresight run --data {data}` makes one")
        evaluation = _evaluation(path)
        pins = {"dataset": data, **clip_values.pin(evaluation, path), **_data_now(data)}
        decision = (log := _log()).decide(load(), evaluation, pins=pins, phase=_phase(phase))
    _copy(log)
    _show(decision, as_json)


@gate_app.command(
    epilog='Example: foresight gate approve 1 --by "A. Chair" --why "IoU is short by .01" --until 2030-01-31'
)
def approve(
    phase: PhaseArgument,
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is never empty.")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Its last day, YYYY-MM-DD (UTC).")
    ] = None,
    data: DataOption = DATA,
    as_json: JsonOption = False,
) -> None:
    """Let the programme go on past a phase's gate, as a signed event beside the decision.

    Without --until it answers the decision that stands now, and ends with the phase's next decision.
    """
    from orchestration.record.decisions import last_day

    with exits():
        log = _log()
        decision = log.latest(phase, dataset=data)
        profile = str(decision.pins["profile"]) if decision else None
        override = log.approve(phase, by, why, last_day(until or ""), dataset=data, profile=profile)
    _copy(log)
    if as_json:
        print_json({"schema": "foresight.override/1", **override.document()})
        return
    said = f"which is {decision.verdict}" if decision else "which is not decided yet"
    typer.echo(f"Phase {phase}, {said}, is overridden by {override.by}, {_until(override.until)}: {override.why}")


@gate_app.command(epilog="Example: foresight gate replay --evaluation evaluation.json --set 1.spatial_iou.target=0.7")
def replay(
    evaluation: Annotated[
        str,
        typer.Option(
            "--evaluation",
            metavar="FILE",
            help="An evaluation document; or an old one's MLflow run id, or phase1.",
        ),
    ],
    programme: Annotated[
        Path | None, typer.Option("--programme", metavar="FILE", help="Other thresholds than the programme's.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PHASE.METRIC.target=X", help="One other target or failure threshold; repeatable."
        ),
    ] = None,
    data: DataOption = DATA,
    as_json: JsonOption = False,
) -> None:
    """Say what a gate would decide on an old evaluation, perhaps with other thresholds. Nothing is recorded or trained.

    With other thresholds, the rows that come out other than under the programme as it stands are named.
    """
    from orchestration.compare import sides
    from orchestration.gates import gate, what_if
    from orchestration.plan.programme import load

    with exits():
        asked, given = load(programme), sides.evaluation(Home.find(), data, evaluation)
        asked = what_if.changed(asked, [what_if.parse(text, asked) for text in changes or ()])
        decision, turned = gate.decide(asked, given), None
        if programme is not None or changes:
            before = gate.decide(load(), given)
            turned = what_if.turned(before, decision)
            asked_for: dict[str, JsonValue] = {
                "verdict_as_it_stands": before.verdict,
                "changed": [{"metric": one.metric, "before": one.before, "after": one.after} for one in turned],
            }
            decision = gate.decide(asked, given, pins={"what_if": asked_for})
    _show(decision, as_json)
    if turned is not None and not as_json:
        typer.echo(f"What if: {before.verdict} -> {decision.verdict}. " + ("" if turned else "No row changes."))
        for one in turned:
            typer.echo(f"  {one}")


@gate_app.command(epilog="Example: foresight gate log --json")
def log(as_json: JsonOption = False) -> None:
    """List all decisions and overrides in order, and verify that none was edited; a broken record exits 1."""
    with exits():
        record = _log()
        broken = record.verify() or _cut(record)
        entries = _entries(record)
    if as_json:
        print_json({"schema": "foresight.log/1", "intact": broken is None, "broken": broken, "entries": entries})
    else:
        _print_log(entries)
    if broken:
        typer.echo(
            f"foresight: the record is broken at {broken}; restore foresight.db from a copy, trust nothing after it",
            err=True,
        )
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{len(entries)} entries, the chain holds.")


def _cut(record: DecisionLog) -> str | None:
    """What only a second witness sees: the record's end cut off, or all of it written anew."""
    from orchestration.record.mirror import MirrorError, strangers

    try:
        lost = strangers(Home.find(), record)
    except MirrorError as error:
        typer.echo(f"foresight: {error}", err=True)
        return None
    return f"its end or throughout: MLflow has {', '.join(lost[:3])}, which are not in it" if lost else None


def _log() -> DecisionLog:
    from orchestration.record.decisions import DecisionLog
    from orchestration.record.store import Store

    return DecisionLog(Store(Home.find().database))


def _document(data: str, phase: int) -> Path:
    return Home.find().run(data, f"phase{phase}") / "evaluation.json"


def _data_now(data: str) -> dict[str, JsonValue]:
    """The version of the data that lies here now, where it was all made here."""
    from orchestration.data.workspace import Workspace, remote_of
    from orchestration.jobs import DATA, data_version

    home = Home.find()
    versions = Workspace(home.workspace(data), remote_of(home)).versions()
    if not set(DATA) <= versions.keys():
        return {}
    return {"data_version": data_version({stage: versions[stage] for stage in DATA})}


def _evaluation(path: Path) -> Evaluation:
    from orchestration.documents import read_evaluation

    return read_evaluation(path)


def _phase(phase: int) -> Phase:
    return cast("Phase", phase)


def _copy(log: DecisionLog) -> None:
    """Copy the record to MLflow and Dagster; it stands whether that works now or only later."""
    from orchestration.record.mirror import catch_up

    for line in catch_up(Home.find(), log):
        typer.echo(f"foresight: {line}", err=True)


def _until(until: dt.date | None) -> str:
    return f"until {until}" if until else "until the phase's next decision"


def _entries(record: DecisionLog) -> list[dict[str, Any]]:
    entries = [
        {
            "kind": "decision",
            "at": at.isoformat(),
            "phase": one.phase,
            "data": one.pins.get("dataset"),
            "document": one.document(),
        }
        for at, one in record.decisions()
    ]
    entries += [
        {
            "kind": "override",
            "at": one.at.isoformat(),
            "phase": one.phase,
            "data": one.dataset,
            "document": one.document(),
        }
        for one in record.overrides()
    ]
    return sorted(entries, key=lambda entry: entry["at"])


def _show(decision: Decision, as_json: bool) -> None:
    from orchestration.gates.board import criteria_table
    from orchestration.plan.programme import load

    if as_json:
        print_json(decision.document())
    else:
        wide().print(criteria_table(decision, load()))


def _print_log(entries: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("time (UTC)", "phase", "data", "what", "by", "why"):
        table.add_column(column, no_wrap=column != "why")
    for entry in entries:
        document, at = entry["document"], entry["at"][:16].replace("T", " ")
        if entry["kind"] == "decision":
            open_rows = [
                row["metric"] for row in document["criteria"] if row["outcome"] != "GO" and "@6" not in row["metric"]
            ]
            what, by, why = document["verdict"], "the gate", ", ".join(open_rows) or "every criterion"
        else:
            what, by, why = f"override {document['until'] or ''}".strip(), document["by"], document["why"]
        # A person's words are not rich's markup: a bracket in a reason must not be what the log breaks on.
        table.add_row(at, str(entry["phase"]), entry["data"] or "-", what, Text(by), Text(why))
    wide().print(table)
