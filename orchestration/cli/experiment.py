"""`foresight experiment`: what was declared in config/experiments/, run, judged and recorded (design §11)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli import study
from orchestration.cli.exits import exits, print_json
from orchestration.home import Home
from orchestration.studies import declared
from orchestration.terminal import print_decision, wide

if TYPE_CHECKING:
    from orchestration.experiments.documents import ExperimentDecision, PremiseDocument

experiment_app = typer.Typer(no_args_is_help=True, help="Run the experiments that were declared before they are run.")

ProfileOption = Annotated[str, typer.Option(help="laptop, a100, or a path to a profile's YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
APPROVABLE = ("premise",)


@experiment_app.command(epilog="Example: foresight experiment premise --profile laptop --json")
def premise(
    profile: ProfileOption = "",
    data: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="A dataset or a folder of clips that the phases train on.")
    ] = "moving_shapes",
    as_json: JsonOption = False,
) -> None:
    """Audit what the pivot rests on: the VLM lacks what DINOv2 supplies, and its stream is aligned with the decoder.

    Made up to date with the data it needs; what stands already is not measured again. The page lies in the home.
    """
    with exits():
        from orchestration.data.datasets import find
        from orchestration.experiments.documents import read_premise
        from orchestration.jobs import PREMISE
        from orchestration.profile import load
        from orchestration.record.opened import experiments
        from orchestration.run import run

        home = Home.find()
        dataset = find(home, data)
        if not dataset.trains:
            raise ValueError(f"--data {data}: nothing is trained on it, so no probe either; give another dataset")
        run(home, profile=profile, data=data, until=PREMISE, quiet=as_json)
        folder, name = home.run(dataset.name, PREMISE), load(profile).name
        measured = read_premise(folder / "audit.json")
        decision = [one for _, one in experiments(home).decisions(PREMISE, profile=name)][-1]
        override = experiments(home).live_override(PREMISE, profile=name)
    if as_json:
        print_json(
            {
                "schema": "foresight.experiment_run/1",
                "measured": measured.document(),
                "decision": {**decision.document(), "sha256": decision.sha256},
                "override": override.document() if override else None,
                "page": str(folder / "page.html"),
            }
        )
        return
    _print(measured, decision)
    if override and decision.verdict != "stands":
        typer.echo(f"Overridden by {override.by}: {override.why}")
    typer.echo(f"Page: {folder / 'page.html'}")


for _name in declared():
    experiment_app.command(_name, epilog=f"Example: foresight experiment {_name} --profile a100 --plan")(
        study.command(_name)
    )
experiment_app.command("list", epilog="Example: foresight experiment list --json")(study.listed)


@experiment_app.command(
    epilog='Example: foresight experiment approve premise --profile a100 --by "A. Chair" --why "we want DINOv2"'
)
def approve(
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help=f"One of: {', '.join(APPROVABLE)}")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is never empty.")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Its last day, YYYY-MM-DD (UTC).")
    ] = None,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let Phase 1 start although the premise does not stand, as a signed event beside the decision.

    Without --until it answers the decision that stands now, and ends with the next one.
    """
    with exits():
        from orchestration.profile import load
        from orchestration.record.opened import experiments

        if name not in APPROVABLE:
            raise ValueError(f"{name}: nothing waits for this experiment; give {', '.join(APPROVABLE)}")
        home, found = Home.find(), load(profile)
        made = experiments(home).decisions(name, profile=found.name)
        signed = experiments(home).approve(name, by, why, _date(until), profile=found.name)
    if as_json:
        print_json({"schema": "foresight.experiment_override/1", **signed.document()})
        return
    said = f"which is decided: {made[-1][1].verdict}" if made else "which is not decided yet"
    lasts = f"until {signed.until}" if signed.until else "until its next decision"
    typer.echo(f"The {name} in profile {found.name}, {said}, is overridden by {signed.by}, {lasts}: {signed.why}")


def _date(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise ValueError(f"--until {text}: not a date; give YYYY-MM-DD") from None


def _print(measured: PremiseDocument, decision: ExperimentDecision) -> None:
    from rich import box
    from rich.table import Table

    from orchestration.experiments.words import NAMES

    console = wide()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Q2: the detection probe", title_justify="left")
    for column in ("read in", "weights", "Box IoU", "95% interval", "mAP@0.5", "95% interval", "clips"):
        table.add_column(column, justify="left" if column in ("read in", "weights") else "right", no_wrap=True)
    for name, reading in measured.localisation.items():
        weights = "stand-in" if reading.standin else "real"
        table.add_row(NAMES[name], weights, *_cells(reading.bbox_iou), *_cells(reading.map50), str(reading.bbox_iou.n))
    if measured.localisation:
        console.print(table)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Q1: CKA, VLM and decoder", title_justify="left")
    for column in ("form", "clips", "CKA", "95% interval", "permuted, 95%", "p", "Gaussians, 95%"):
        table.add_column(column, justify="left" if column == "form" else "right", no_wrap=True)
    for one in measured.alignment:
        nulls = [f"{null.low:.3f} .. {null.high:.3f}" if null.draws else "-" for null in (one.permuted, one.gaussian)]
        p = "-" if one.p is None else f"{one.p:.3f}"
        table.add_row(one.form, str(one.n), *_cells(one.cka), nulls[0], p, nulls[1])
    console.print(table)
    print_decision(console, measured, decision)


def _cells(metric: Any) -> tuple[str, str]:
    if metric.value is None:
        return "-", "-"
    return f"{metric.value:.3f}", "-" if metric.low is None else f"{metric.low:.3f} .. {metric.high:.3f}"
