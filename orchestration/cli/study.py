"""`foresight experiment c2|q3|c3|q4|q5|c4`: one study, run, judged and recorded; its price before it spends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home
from orchestration.terminal import print_decision, wide

if TYPE_CHECKING:
    from orchestration.experiments.documents import ExperimentDecision
    from orchestration.studies.declaration import StudyDeclaration
    from orchestration.studies.documents import StudyDocument
    from orchestration.studies.plan import StudyPlan

WORDS = {
    "c2": "Does a small adapter bridge the latent spaces? Streams, fusions, queries, routes, encoders, sizes (5.1).",
    "q3": "Does injection disturb time? Flicker with and without the spatial stream (5.2).",
    "c3": "What does each stream know of the future? Semantic and spatial, apart and together (5.3).",
    "q4": "How many clips are needed? Quality against their number, with a fitted curve (5.4).",
    "q5": "How far ahead? Spatial and semantic quality by step, each with its usable limit (5.5).",
    "router": "Which clips need the hybrid, and what is saved where the VLM alone does? The first fallback (4.3).",
    "c4": "Does pixel verification raise accuracy? Decisions with and without it (5.6).",
}


def command(name: str) -> Any:
    """The command of one study."""

    def run_study(
        profile: Annotated[str, typer.Option(help="laptop, a100, or a path to a profile's YAML file.")] = "",
        data: Annotated[
            str, typer.Option(metavar="NAME|DIR", help="A dataset or a folder of clips that the phases train on.")
        ] = "moving_shapes",
        plan: Annotated[bool, typer.Option("--plan", help="Print the cells and the price, and run nothing.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Spend GPU hours without being asked.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    ) -> None:
        with exits():
            from orchestration.plan.programme import load as programme
            from orchestration.profile import load as load_profile
            from orchestration.studies.declaration import load
            from orchestration.studies.plan import plan as plan_of

            declared, found = load(name), load_profile(profile)
            planned = plan_of(declared, found, programme())
            if plan:
                print_json(_document(planned)) if as_json else _print_plan(declared, planned)
                return
            if found.budget.gpus and not yes:
                _ask(declared, planned)
            _run(declared, profile, found.name, data, as_json)

    run_study.__doc__ = f"""{WORDS[name]}

    Declared in config/experiments/{name}.yaml. Made up to date with the data and trainings that it starts from; a cell
    that stands is not measured again. The page lies in the home.
    """
    return run_study


def listed(
    profile: Annotated[str, typer.Option(help="Whose verdicts; laptop where none is named.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """List the experiments with their hypotheses and latest verdicts."""
    with exits():
        from orchestration.profile import load as load_profile
        from orchestration.record.opened import experiments
        from orchestration.studies import declared
        from orchestration.studies.declaration import load

        log, found = experiments(Home.find()), load_profile(profile)
        rows = []
        for name in declared():
            one = load(name)
            made = log.decisions(name, profile=found.name)
            current = bool(made) and made[-1][1].pins["declaration_sha256"] == one.sha256
            rows.append(
                {
                    "name": name,
                    "title": one.title,
                    "section": one.section,
                    "hypothesis": one.hypothesis.says,
                    "verdict": made[-1][1].verdict if made else None,
                    "declaration_is_that_of_the_verdict": current if made else None,
                }
            )
    if as_json:
        print_json({"schema": "foresight.experiments/1", "profile": found.name, "experiments": rows})
        return
    for row in rows:
        verdict = row["verdict"] or "not run yet"
        changed = ", declared anew since" if row["declaration_is_that_of_the_verdict"] is False else ""
        typer.echo(f"{row['name']}  {verdict}{changed}  {row['title']} (§{row['section']})")


def _document(planned: StudyPlan) -> dict[str, Any]:
    """A plan as programs read it."""
    return {
        "schema": "foresight.study_plan/1",
        **{**vars(planned), "cells": list(planned.cells)},
        "gpu_hours": planned.gpu_hours,
        "usd": planned.usd,
    }


def _ask(declared: StudyDeclaration, planned: StudyPlan) -> None:
    """Show the price and wait for a person's word.

    Raises:
        ValueError: nobody is there to ask.
    """
    import sys

    if not sys.stdin.isatty():
        raise ValueError(
            f"experiment {declared.name} reserves {planned.gpu_hours:g} GPU-hours ({planned.usd:,.0f} USD) and "
            "nobody is there to ask; give --yes, or see --plan"
        )
    _print_plan(declared, planned)
    typer.confirm("Spend this?", abort=True)


def _print_plan(declared: StudyDeclaration, planned: StudyPlan) -> None:
    typer.echo(f"{declared.title} (§{declared.section}), profile {planned.profile}")
    typer.echo(f"{len(planned.cells)} cells: {', '.join(planned.cells)}")
    typer.echo(
        f"At most {planned.max_hours:g} h on {planned.gpus} GPUs: {planned.gpu_hours:g} GPU-hours, "
        f"{planned.usd:,.0f} USD"
    )


def _run(declared: StudyDeclaration, profile: str, name: str, data: str, as_json: bool) -> None:
    from orchestration.data.datasets import find
    from orchestration.record.opened import experiments
    from orchestration.run import run
    from orchestration.studies.documents import read_study

    home = Home.find()
    dataset = find(home, data)
    if not dataset.trains:
        raise ValueError(f"--data {data}: nothing is trained on it, so there is nothing to study; give another dataset")
    run(home, profile=profile, data=data, until=declared.name, quiet=as_json)
    folder = home.run(dataset.name, declared.name)
    measured = read_study(folder / "study.json", declared.name)
    decision = [one for _, one in experiments(home).decisions(declared.name, profile=name)][-1]
    if as_json:
        said = {"measured": measured.document(), "decision": {**decision.document(), "sha256": decision.sha256}}
        print_json({"schema": "foresight.study_run/1", **said, "page": str(folder / "page.html")})
        return
    _print(measured, decision)
    typer.echo(f"Page: {folder / 'page.html'}")


def _print(measured: StudyDocument, decision: ExperimentDecision) -> None:
    from rich import box
    from rich.table import Table

    console = wide()
    for one in measured.tables:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=one.title, title_justify="left")
        for number, column in enumerate(one.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in one.rows:
            table.add_row(*row)
        console.print(table)
    print_decision(console, measured, decision)
