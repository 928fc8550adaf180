"""`foresight bench cache`: what int8 saves and what it costs."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.bench.options import SCHEMA, Json, verdict
from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from orchestration.bench.cache_effect import Effect


def cache(
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="The dataset.")] = "moving_shapes",
    as_json: Json = False,
) -> None:
    """DINOv2's cached tokens in int8 beside fp16: bytes, cosine, the size of 100,000 clips, and the effect on Phase 1.

    Example: foresight bench cache --json
    """
    with exits():
        from orchestration.bench.cache import measure, open_store
        from orchestration.bench.cache_effect import on_phase1
        from orchestration.home import Home

        home = Home.find()
        store = open_store(home, data)
        sizes, effects = measure(store), on_phase1(home, data, store)
    if as_json:
        phase1 = None if effects is None else {name: effect.document() for name, effect in effects.items()}
        document = {"schema": SCHEMA, "bench": "cache", "dataset": data, **sizes.document()}
        print_json({**document, "phase1": phase1})
        return
    told = ", ".join(f"{precision} {size:,.0f} bytes a clip" for precision, size in sizes.bytes_a_clip.items())
    typer.echo(f"{sizes.clips} clips of {data}{', encoded by a stand-in' if sizes.standin else ''}")
    typer.echo(f"{told}; int8 is {sizes.ratio:.3f} of float16")
    met = verdict(sizes.close_enough)
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
