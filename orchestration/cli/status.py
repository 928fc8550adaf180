"""`foresight status`: what stands now: stages and gates, timeline and risks, budget, and who has not been told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home
from orchestration.terminal import wide

if TYPE_CHECKING:
    from orchestration.gates.clearance import Clearance
    from orchestration.record.decisions import DecisionLog


def status(
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="The dataset.")] = "moving_shapes",
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Two runs, clip by clip: phase2/hybrid, phase2/vae_roundtrip, an evaluation.json, an MLflow run id.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show what stands now, or how two runs differ. Reads only what the runs left; nothing is started.

    Example: foresight status --compare phase2/hybrid phase2/dino_only
    """
    with exits():
        if compare is not None:
            from orchestration.cli import compare as comparison

            found, show = comparison.compared(Home.find(), data, *compare), comparison.show
        else:
            found, show = gather(Home.find(), data), _print
    if as_json:
        print_json(found)
    else:
        show(found)


def gather(home: Home, data: str) -> dict[str, Any]:
    """The status as one document."""
    from orchestration import times
    from orchestration.budget.ledger import Ledger
    from orchestration.data.datasets import known
    from orchestration.gates.clearance import clearance
    from orchestration.plan import outlook
    from orchestration.plan.programme import load
    from orchestration.plan.standing import standing
    from orchestration.record.opened import decisions
    from orchestration.record.store import Store

    if not home.root.is_dir():
        raise ValueError(f"{home.root}: nothing has run here yet; start with `foresight run`, or set FORESIGHT_HOME")
    if data not in (names := [dataset.name for dataset in known(home)]):
        raise ValueError(f"--data {data}: no such dataset; there are {', '.join(names)}")
    log, programme = decisions(home), load()
    phases = []
    for phase, plan in programme.phases.items():
        decision = log.latest(phase, dataset=data)
        profile = str(decision.pins["profile"]) if decision and "profile" in decision.pins else None
        override = log.live_override(phase, dataset=data, profile=profile)
        cleared = clearance(phase, log, programme, dataset=data) if phase > 1 else _premise(home, data)
        folder = home.run(data, f"phase{phase}")
        phases.append(
            {
                "phase": int(phase),
                "name": plan.name,
                "trained": (folder / "result.json").is_file(),
                "evaluated": (folder / "evaluation.json").is_file(),
                "verdict": decision.verdict if decision else None,
                "action": decision.action if decision else None,
                "overridden_by": override.by if override and decision and decision.verdict != "GO" else None,
                "may_start": cleared.allowed,
                "because": cleared.because,
            }
        )
    budget = Ledger(Store(home.database), programme).summary()
    plan, risks = standing(home, data, programme)
    return {
        "schema": "foresight.status/1",
        "home": str(home.root),
        "data": data,
        "phases": phases,
        "budget": {
            name: budget[name] for name in ("used_gpu_hours", "reserved_gpu_hours", "cpu_hours", "used_usd", "phases")
        },
        "running": [one for one in budget["reservations"] if one["state"] == "committed"],
        "timeline": outlook.timeline_document(plan),
        "risks": [outlook.risk_document(one) for one in risks],
        "untold": _untold(home, log),
        "seconds": times.read(home),
        "report": str(home.report) if home.report.is_file() else None,
    }


def _premise(home: Home, data: str) -> Clearance:
    """Whether Phase 1 may start in the profile that a run would take."""
    from orchestration.experiments import declaration
    from orchestration.gates.clearance import premise_clearance
    from orchestration.profile import load
    from orchestration.record.opened import experiments

    profile = load()
    return premise_clearance(
        experiments(home), declaration.load(), dataset=data, profile=profile.name, standins=profile.standins
    )


def _untold(home: Home, log: DecisionLog) -> list[dict[str, Any]]:
    """Notices that a channel has not taken though it was tried."""
    import datetime as dt

    from orchestration.people.notices import due
    from orchestration.people.notify_config import load

    waiting = due(log, load(home), dt.datetime.now(dt.UTC), at_once=True)
    return [
        {"about": one.notice.subject, "channel": one.channel.name, "failed": one.failed}
        for one in waiting
        if one.failed
    ]


def _print(found: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from orchestration.gates.board import STYLE
    from orchestration.plan import outlook

    console = wide(100)
    title = f"{found['data']} in {found['home']}"
    table = Table(
        "phase",
        "trained",
        "measured",
        "gate",
        "action",
        "next",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=title,
        title_justify="left",
    )
    for row in found["phases"]:
        verdict = row["verdict"]
        gate = f"[{STYLE[verdict]}]{verdict}[/]" if verdict else "not decided"
        gate += f", overridden by {row['overridden_by']}" if row["overridden_by"] else ""
        may = "may start" if row["may_start"] else "may not start"
        done = {True: "yes", False: "no"}
        table.add_row(
            f"{row['phase']} {row['name']}",
            done[row["trained"]],
            done[row["evaluated"]],
            gate,
            row["action"] or "-",
            may,
        )
    console.print(table)
    console.print(outlook.timeline_table(found["timeline"]))
    console.print(outlook.risk_table(found["risks"]))
    budget = found["budget"]
    console.print(
        f"GPU-hours used {budget['used_gpu_hours']:g}, reserved {budget['reserved_gpu_hours']:g};"
        f" {budget['used_usd']:g} USD; CPU-hours {budget['cpu_hours']:.2f}"
    )
    for one in found["running"]:
        ahead = one["forecast"]["hours"]
        said = "no throughput measured yet" if ahead is None else f"{ahead * 60:.0f} min to go"
        console.print(f"going on: {one['key']}, {said}")
    for one in found["untold"]:
        console.print(f"not told: {one['about']}, by {one['channel']}, after {one['failed']} tries; `foresight notify`")
    if found["report"]:
        console.print(f"Report: {found['report']}")
