"""`foresight`: the command line. A command is a module or a package, imported when called, so that help is quick."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import typer
from typer.core import TyperGroup


@dataclass(frozen=True)
class Entry:
    """Where a command lies, and the line that `foresight --help` shows of it."""

    attribute: str
    says: str


ENTRIES = {
    "doctor": Entry("doctor", "Say what this machine has and lacks for each profile."),
    "run": Entry("run", "Run the programme, from raw clips to three gate decisions and a report."),
    "status": Entry("status", "Show what stands: stages, gates, budget."),
    "gate": Entry("gate_app", "Decide, show, override and replay the gates; verify their record."),
    "fallback": Entry("fallback", "Judge Phase 2 by a fallback of the proposal's worst case; opens no phase."),
    "budget": Entry("budget_app", "Show hours, money and storage used, reserved and left; approve more hours."),
    "experiment": Entry("experiment_app", "Run the experiments that were declared before they are run."),
    "notify": Entry("notify", "Tell people of the gates that wait for them, through file, webhook and e-mail."),
    "measure": Entry("measure", "Compare two clips, or two folders of clips, by every metric they allow."),
    "predict": Entry("predict", "Predict what follows the first frames of a clip, and hold it against what came."),
    "explain": Entry("explain", "Show which stream each output region of a clip listened to."),
    "reactions": Entry("reactions", "Show what each metric sees of clips spoiled in known ways, and what it does not."),
    "model": Entry("model_app", "Describe the networks: parameters, memory, storage and cost, against the budgets."),
    "report": Entry("report", "Write the chair's page as one HTML file."),
    "backup": Entry("backup", "Copy the state that cannot be made again: record, Dagster, MLflow, documents."),
    "restore": Entry("restore", "Put a backup back, whole or not at all, and verify the record."),
    "ui": Entry("ui", "Start Dagster's and MLflow's web pages on this machine."),
    "stack": Entry("stack", "Start PostgreSQL, S3, MLflow, a Ray cluster and Dagster on this machine."),
    "standins": Entry("standins_app", "Train or verify the stand-ins of the laptop profile."),
    "weights": Entry("weights_app", "Fetch or verify the weights of the metrics and of MobileSAM, and the real clips."),
    "bench": Entry("bench_app", "Measure what this project promises of its own speed."),
}


class Lazy(TyperGroup):
    """A group that knows its commands by name and imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command as the list of commands shows it: enough for help, and nothing is imported."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return click.Command(cmd_name, help=ENTRIES[cmd_name].says)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was called, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and command else command, rest


def load(name: str) -> click.Command:
    """The command itself."""
    found: Callable[..., Any] | typer.Typer = getattr(
        importlib.import_module(f"orchestration.cli.{name}"), ENTRIES[name].attribute
    )
    if not isinstance(found, typer.Typer):
        holder = typer.Typer(add_completion=False)
        holder.command(name)(found)
        found = holder
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=Lazy,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Foresight runs the hybrid video programme: from raw clips to a signed gate decision.",
)


@app.callback()
def foresight() -> None:
    """State lives under .foresight/ in the working folder, or in $FORESIGHT_HOME."""


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
