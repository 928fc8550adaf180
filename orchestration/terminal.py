"""Where tables are printed: as wide as the terminal; in a pipe or a log, wide enough for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.experiments.documents import ExperimentDecision, Measurement


def wide(width: int = 120) -> Console:
    """The terminal's console; where there is no terminal, one of so many columns."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=width)


def print_decision(console: Console, measured: Measurement, decision: ExperimentDecision) -> None:
    """An experiment's claims with their outcomes, its finding, and what stood in."""
    from orchestration.experiments.words import STANDINS

    for claim in decision.claims:
        section = claim.section if claim.section == "house" else f"§{claim.section}"
        console.print(f"[bold]{claim.outcome}[/]  {claim.says} ({section}): {claim.why}")
    console.print(f"\n{decision.finding}")
    if measured.standins:
        console.print(f"[bold]Made with stand-ins.[/] {STANDINS}")
