"""`foresight bench`: figures about this project's own speed. Ratios are of one run on one machine."""

from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from orchestration.cache_effect import Effect

bench_app = typer.Typer(no_args_is_help=True, help="Measure what this project promises of its own speed.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@bench_app.command()
def dagster(as_json: Json = False) -> None:
    """The last run that made phases, over its workers' own time: what going through Dagster costs. Goal: at most 1.15.

    Example: foresight bench dagster
    """
    with exits():
        from orchestration.home import Home
        from orchestration.overhead import of_last_full_run

        found = of_last_full_run(Home.find())
    if as_json:
        print_json({"schema": "foresight.bench/1", "bench": "dagster", **vars(found), "ratio": found.ratio})
        return
    typer.echo(f"run {found.run_seconds:.1f} s, workers {found.worker_seconds:.1f} s in {found.stages} stages")
    typer.echo(f"ratio {found.ratio:.3f} (goal: at most 1.15)")


@bench_app.command()
def definitions(
    repeats: Annotated[int, typer.Option(min=1, help="Fresh processes to start.")] = 5, as_json: Json = False
) -> None:
    """Seconds that a fresh process takes to load Dagster's definitions. Goal: under 3.

    Example: foresight bench definitions --repeats 3
    """
    import subprocess
    import sys
    import time

    times = []
    with exits():
        for _ in range(repeats):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import orchestration.definitions"], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    if as_json:
        print_json({"schema": "foresight.bench/1", "bench": "definitions", "seconds": times, "median": median(times)})
        return
    typer.echo(f"definitions load in {median(times):.2f} s, median of {repeats} (goal: under 3 s)")


@bench_app.command()
def cache(
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="The dataset.")] = "moving_shapes",
    as_json: Json = False,
) -> None:
    """DINOv2's cached tokens in int8 beside fp16: bytes, cosine, the size of 100,000 clips, and the effect on Phase 1.

    Example: foresight bench cache --json
    """
    with exits():
        from orchestration.cache import measure, open_store
        from orchestration.cache_effect import on_phase1
        from orchestration.home import Home

        home = Home.find()
        store = open_store(home, data)
        sizes, effects = measure(store), on_phase1(home, data, store)
    if as_json:
        phase1 = None if effects is None else {name: effect.document() for name, effect in effects.items()}
        document = {"schema": "foresight.bench/1", "bench": "cache", "dataset": data, **sizes.document()}
        print_json({**document, "phase1": phase1})
        return
    told = ", ".join(f"{precision} {size:,.0f} bytes a clip" for precision, size in sizes.bytes_a_clip.items())
    typer.echo(f"{sizes.clips} clips of {data}{', encoded by a stand-in' if sizes.standin else ''}")
    typer.echo(f"{told}; int8 is {sizes.ratio:.3f} of float16")
    met = "met" if sizes.close_enough else "missed"
    typer.echo(f"cosine: least {sizes.least_cosine:.6f}, mean {sizes.mean_cosine:.6f} (goal: least 0.999; {met})")
    for one in sizes.projections():
        size = "as measured" if one.size == "measured" else "of 5 x 256 x 1536"
        cap = f"{one.verdict} the {one.cap_gigabytes:g} GB of §{one.section}"
        typer.echo(f"100,000 clips {size}, {one.precision}: {one.gigabytes:.1f} GB, {cap}")
    for name, effect in (effects or {}).items():
        typer.echo(f"Phase 1 {name}, {effect.difference.n} held-out clips: {_values(effect)}")
    if effects is None:
        typer.echo("Phase 1 has no checkpoint here; its effect on it shows after `foresight run --until phase1`")


def _values(effect: "Effect") -> str:
    change = effect.difference
    if change.value is None:
        return "undefined on these clips"
    between = "" if change.low is None else f" [{change.low:+.2g}, {change.high:+.2g}]"
    return f"float16 {effect.float16.value:.4f}, int8 {effect.int8.value:.4f}, difference {change.value:+.2g}{between}"
