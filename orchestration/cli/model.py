"""`foresight model`: what a profile's system has and needs, before a weight is fetched or a GPU rented (design §11)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from orchestration.system.description import Description
    from orchestration.system.promised import Line

WIDTH = 100
COLOURS = {"within": "green", "over": "red", "unknown": "yellow"}

model_app = typer.Typer(no_args_is_help=True, help="Describe the networks, their memory, storage and cost.")


@model_app.callback()
def model() -> None:
    """What a profile's system has and needs."""


@model_app.command(epilog="Example: foresight model describe --profile a100 --fusion as_written")
def describe(
    profile: Annotated[str, typer.Option(metavar="NAME|FILE", help="a100, laptop, or a profile's YAML file.")] = "",
    fusion: Annotated[
        str, typer.Option(metavar="NAME", help="proposed, as_written, qformer, concat, film or perceiver.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Parameters by component and what each phase trains, estimated memory, storage and GPU-hours, against the budgets.

    No weights are read and no GPU is needed; sizes come from the configurations in the profile's folders of weights,
    where these are there, else from the published ones.
    """
    from rich.console import Console

    with exits():
        from orchestration.plan.programme import load as programme
        from orchestration.profile import load
        from orchestration.system.description import describe as of

        given = load(profile)
        with warnings.catch_warnings(), Console(stderr=True).status("...") as status:
            warnings.simplefilter("ignore", UserWarning)  # of kernels that a trace would not have taken anyway
            found = of(given, programme(), fusion, lambda what: status.update(f"{what} ..."))
    if as_json:
        print_json(found.document())
    else:
        _print(found, Console(highlight=False, width=WIDTH))


def _print(found: Description, console: Console) -> None:
    from rich.markup import escape

    from orchestration.system.description import NOTES

    about = " with stand-ins" if found.standins else ""
    console.print(f"[bold]profile {escape(found.profile)}[/]{about}, fusion {escape(found.fusion)}")
    if found.over_budget:
        console.print("The profile goes over the parameter budget on purpose (fusion.over_budget).")
    components = _table("Components", ("component", "parameters", "what it is for", "sizes from"))
    for one in found.components:
        components.add_row(one.name, f"{one.parameters:,}", one.role, escape(one.source))
    console.print(components)
    tables = {
        "Trained parameters": (found.trainable, "{:,.0f}"),
        "GPU memory, estimated, GB": (found.memory, "{:.1f}"),
        "Storage, GB": (found.storage, "{:.2f}"),
        "GPU-hours": (found.gpu_hours, "{:g}"),
    }
    for title, (lines, form) in tables.items():
        console.print(_lines(title, lines, form))
    for note in NOTES:
        console.print(f"[dim]{note}[/]")


def _lines(title: str, lines: list[Line], form: str) -> Table:
    table = _table(title, ("what", "value", "budget", "§", "verdict", "made of"))
    for line in lines:
        value, cap = ("-" if number is None else form.format(number) for number in (line.value, line.cap))
        verdict = f"[{COLOURS[line.verdict]}]{line.verdict}[/]"
        table.add_row(line.name, value, cap, line.section, verdict, _made_of(line))
    return table


def _made_of(line: Line) -> str:
    form = "{:,.0f}" if line.unit == "parameters" else "{:.3g}"
    parts = ", ".join(f"{name} {form.format(value)}" for name, value in line.parts.items())
    return "; ".join(filter(None, (line.note, parts)))


def _table(title: str, columns: tuple[str, ...]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for column in columns:
        number = column in ("parameters", "value", "budget")
        table.add_column(column, justify="right" if number else "left", no_wrap=number or column in ("what", "verdict"))
    return table
