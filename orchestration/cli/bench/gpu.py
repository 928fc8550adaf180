"""`foresight bench latency` and `vram`: the proposal's components on a GPU, and small ones where there is none."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.bench.options import SCHEMA, Json
from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from models.bench.figures import CallFigure, Goal, LeftOut, PhaseFigure
    from models.bench.setting import Setting

Size = Annotated[
    str | None, typer.Option(metavar="SIZE", help="true or small; without it, true where there is a GPU, else small.")
]


def latency(size: Size = None, as_json: Json = False) -> None:
    """p50 and p95 of each component of Appendix D.1 and of the whole, one clip at a time, with random weights.

    Example: foresight bench latency --size small
    """
    with exits():
        from models.bench.figures import time_goals
        from models.bench.inference import measure
        from models.bench.setting import setting

        at = setting(size)
        calls, left_out = measure(at)
    _figures("latency", at, calls, [], time_goals(calls, judged=at.size == "true"), left_out, as_json)


def vram(size: Size = None, as_json: Json = False) -> None:
    """Peak memory of inference and of each training phase, and seconds of a training step, with random weights.

    Example: foresight bench vram --size small
    """
    with exits():
        from models.bench import inference, training
        from models.bench.figures import memory_goals
        from models.bench.setting import setting

        at = setting(size)
        calls, not_called = inference.measure(at)
        phases, not_trained = training.measure(at)
        goals = memory_goals(calls, phases, judged=at.size == "true")
    _figures("vram", at, calls, phases, goals, [*not_called, *not_trained], as_json)


def _figures(
    name: str,
    at: "Setting",
    calls: "list[CallFigure]",
    phases: "list[PhaseFigure]",
    goals: "list[Goal]",
    left_out: "list[LeftOut]",
    as_json: bool,
) -> None:
    from models.bench.words import lines, verdicts

    if as_json:
        figures = {"inference": calls, "training": phases, "goals": goals, "left_out": left_out}
        told = {key: [vars(item) for item in items] for key, items in figures.items()}
        print_json({"schema": SCHEMA, "bench": name, "setting": at.told, **told})
        return
    typer.echo("\n".join([at.told, *lines(calls, phases), *verdicts(goals, left_out)]))
