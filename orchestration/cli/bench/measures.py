"""`foresight bench measure`, `intervals` and `fvd`: what an evaluation costs, and can its numbers be believed (§6)?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.bench.options import SCHEMA, Json, verdict
from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from models.evaluation.fvd_bias import Bias


def measure(
    clips: Annotated[int, typer.Option(min=4, help="Generated clips.")] = 32,
    few: Annotated[int, typer.Option(min=2, help="Of them behind LPIPS (vgg) and FVD.")] = 8,
    as_json: Json = False,
) -> None:
    """Clips a second of an evaluation, where its time goes, and a count of frames that a network looked at twice.

    Example: foresight bench measure --clips 16
    """
    with exits():
        from models.bench.measure import measure as measured
        from orchestration.display import Display
        from orchestration.progress import Progress

        with Display(typer.get_text_stream("stderr"), 1, quiet=as_json) as display:

            def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
                display.progress(Progress("measure", what, done, total, numbers))

            found = measured(clips, min(few, clips), progress)
    if as_json:
        looks = {what: vars(one) for what, one in found.looks.items()}
        figures = {**vars(found), "looks": looks, "clips_per_s": found.clips_per_s, "once": found.once}
        print_json({"schema": SCHEMA, "bench": "measure", **figures})
        return
    whole = sum(found.seconds.values())
    typer.echo(
        f"{clips} generated clips in {len(found.sets)} sets: {', '.join(found.sets)}; with stand-ins, this machine"
    )
    typer.echo(f"{found.clips_per_s:.1f} clips/s, {whole:.1f} s in all")
    for family, seconds in sorted(found.seconds.items(), key=lambda one: -one[1]):
        about = f", {found.few} clips" if family in ("LPIPS (vgg)", "FVD") else ""
        typer.echo(f"  {seconds / whole:6.1%}  {family}{about}")
    for what, one in found.looks.items():
        typer.echo(f"{what}: {one.given} given, {one.different} different, {one.looked} looked at")
    typer.echo(f"nothing looked at twice (goal): {verdict(found.once)}")


def intervals(
    trials: Annotated[int, typer.Option(min=100, help="Simulated evaluations of each kind and size.")] = 2000,
    as_json: Json = False,
) -> None:
    """How often a 95% interval holds the truth, for each kind of value an evaluation has and for 20 to 128 clips.

    Example: foresight bench intervals --trials 500
    """
    with exits():
        from models.evaluation.coverage import KINDS, LEAST, MOST, measure
        from orchestration.display import Display
        from orchestration.progress import Progress

        with Display(typer.get_text_stream("stderr"), 1, quiet=as_json) as display:

            def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
                display.progress(Progress("intervals", what, done, total, numbers))

            table = measure(trials=trials, progress=progress)
    if as_json:
        cells = [
            {**vars(one), "share": one.share, "low": one.uncertainty[0], "high": one.uncertainty[1], "holds": one.holds}
            for one in table
        ]
        goal = {"least": LEAST, "most": MOST}
        kinds = {name: kind.says for name, kind in KINDS.items()}
        print_json({"schema": SCHEMA, "bench": "intervals", "goal": goal, "kinds": kinds, "table": cells})
        return
    for name, kind in KINDS.items():
        typer.echo(f"{name}: {kind.says}")
        for one in (one for one in table if one.kind == name):
            low, high = one.uncertainty
            sides = f"truth below {one.below / trials:.1%}, above {one.above / trials:.1%}"
            told = f"{one.share:.1%} of {trials} ({low:.1%} .. {high:.1%}), {sides}; {verdict(one.holds)}"
            typer.echo(f"  {one.n:4d} clips: {told}")
    typer.echo(f"goal: a 95% interval holds the truth in {LEAST:.0%} to {MOST:.0%} of evaluations")


def fvd(
    clips: Annotated[
        int, typer.Option(min=16, help="Generated clips; I3D takes a second or two a clip on a CPU.")
    ] = 96,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Also write a figure (PNG).")] = None,
    as_json: Json = False,
) -> None:
    """FVD between two sets of the same sort of clip, whose true distance is 0, against the number of clips.

    Example: foresight bench fvd --clips 64 --out fvd_bias.png
    """
    with exits():
        from models.evaluation.fvd import ENOUGH, logits
        from models.evaluation.fvd_bias import bias
        from models.evaluation.i3d import I3D
        from orchestration.display import Display
        from orchestration.profile import load
        from orchestration.progress import Progress
        from orchestration.reactions import generated

        network = I3D()
        with Display(typer.get_text_stream("stderr"), 1, quiet=as_json) as display:

            def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
                display.progress(Progress("fvd", what, done, total, numbers))

            table = bias(logits(network, generated(load("laptop"), clips).frames, progress))
        if out:
            _draw(out, table, ENOUGH, clips)
    if as_json:
        rows = [{**vars(row), "gates": row.gates} for row in table]
        print_json({"schema": SCHEMA, "bench": "fvd", "clips": clips, "table": rows})
        return
    typer.echo(f"{clips} generated clips, halved at random; the true distance of any two halves is 0")
    for row in table:
        between = "-" if row.measured is None else f"{row.measured[0]:.3g} (sd {row.measured[1]:.2g})"
        modelled = f"{row.modelled[0]:.3g} (sd {row.modelled[1]:.2g})"
        told = f"between clips {between}; between draws of their normal {modelled}"
        typer.echo(f"N {row.n:5d}: {told}{'' if row.gates else f'; fvd_small{row.n}, gates nothing'}")


def _draw(path: Path, table: "list[Bias]", enough: int, clips: int) -> None:
    from orchestration.report.figures import fvd_bias

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fvd_bias(table, enough, f"FVD where the truth is 0: {clips} generated clips, I3D's logits"))
