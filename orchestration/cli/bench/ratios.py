"""`foresight bench encode` and `train`: this project's code over the bare networks; `extract`: two workers over one.

Each compares in one run on one machine.
"""

from typing import Annotated

import typer

from orchestration.cli.bench.options import SCHEMA, Json, verdict
from orchestration.cli.exits import exits, print_json


def encode(
    encoder: Annotated[str, typer.Option(metavar="NAME", help="dinov2 or qwen.")] = "dinov2", as_json: Json = False
) -> None:
    """Extraction of a stand-in's features over its bare forward, and peak memory at 100 and at 1,000 generated clips.

    Example: foresight bench encode --encoder qwen
    """
    with exits():
        from models.bench import encode as bench

        found = bench.measure(encoder)
    if as_json:
        goals = {"ratio": bench.GOAL, "growth": bench.FLAT}
        figures = {**vars(found), "ratio": found.ratio, "growth": found.growth, "goals": goals}
        print_json({"schema": SCHEMA, "bench": "encode", **figures})
        return
    typer.echo(f"{encoder}, a stand-in, {found.clips} generated clips on this machine")
    typer.echo(f"extraction {found.extraction:.1f} clips/s, the bare forward {found.bare:.1f} clips/s")
    typer.echo(f"ratio {found.ratio:.3f} (goal: at least {bench.GOAL:g}; {verdict(found.ratio >= bench.GOAL)})")
    peaks = ", ".join(f"{size / 1e6:,.0f} MB at {clips:,} clips" for clips, size in found.peaks.items())
    flat = f"goal: at most {bench.FLAT:g}; {verdict(found.growth <= bench.FLAT)}"
    typer.echo(f"peak resident memory of a fresh process: {peaks}; ratio {found.growth:.3f} ({flat})")


def train(as_json: Json = False) -> None:
    """The loop's step over a bare one on a small Phase 1 of the laptop profile; shares of data and checkpoints.

    Example: foresight bench train --json
    """
    with exits():
        from models.bench import loop as bench
        from models.training.config import LoopConfig
        from orchestration.profile import load

        profile = load("laptop")
        found = bench.measure(LoopConfig(**profile.phase1.model_dump()), profile.fusion.choices())
    shares = {"step": found.ratio, "data_wait": found.data_wait, "checkpoint": found.checkpoint_share}
    if as_json:
        figures = {**vars(found), "shares": shares, "goals": bench.GOALS}
        print_json({"schema": SCHEMA, "bench": "train", **figures})
        return
    typer.echo(f"Phase 1 with stand-ins on this machine, {found.steps} steps a run")
    typer.echo(f"step {found.loop:.3f} s, bare {found.bare:.3f} s; a checkpoint {found.checkpoint:.3f} s")
    for name, share in shares.items():
        goal = bench.GOALS[name]
        typer.echo(f"{name.replace('_', ' ')}: {share:.4f} (goal: at most {goal:g}; {verdict(share <= goal)})")


def extract(
    encoder: Annotated[str, typer.Option(metavar="NAME", help="dinov2, qwen or latents.")] = "dinov2",
    clips: Annotated[int, typer.Option(min=32, help="Generated clips, 16 a shard.")] = 512,
    as_json: Json = False,
) -> None:
    """Extraction by one and by two workers of a Ray cluster: clips a second, and the share lost to their start-up.

    Example: foresight bench extract --clips 256
    """
    with exits():
        from orchestration.bench import extraction as bench

        found = bench.measure(encoder, clips)
    if as_json:
        paces = [{**vars(one), "clips_per_s": one.clips_per_s, "lost": one.lost} for one in found.paces]
        figures = {"encoder": encoder, "paces": paces, "linear": found.linear, "goal": bench.GOAL}
        print_json({"schema": SCHEMA, "bench": "extract", **figures})
        return
    typer.echo(f"{encoder}, a stand-in, {clips} generated clips on this machine; each worker has one CPU")
    for one in found.paces:
        whole = one.startup_s + one.extraction_s
        told = f"{one.clips_per_s:.1f} clips/s, start-up {one.startup_s:.1f} s of {whole:.1f} s ({one.lost:.0%} lost)"
        typer.echo(f"{one.workers} worker{'' if one.workers == 1 else 's'}: {told}")
    met = verdict(found.linear >= bench.GOAL)
    typer.echo(
        f"{found.paces[-1].workers} workers over linear: {found.linear:.3f} (goal: at least {bench.GOAL:g}; {met})"
    )
