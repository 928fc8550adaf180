"""`foresight measure`: every metric that two clips, or two folders of clips, allow (design §11)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    import numpy as np

    from models.evaluation.measure import Captioner
    from models.evaluation.metric import Metric
    from models.evaluation.segmenter import Segmenter


def measure(
    reference: Annotated[Path, typer.Argument(help="A video, or a folder of videos: how it should be.")],
    generated: Annotated[Path, typer.Argument(help="A video, or a folder with the same names: how it is.")],
    profile: Annotated[
        str,
        typer.Option(
            help="Add what needs a profile's networks: Spatial IoU by its segmenter, semantic consistency by its VLM."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Compare frame with frame. Clips of other lengths or sizes are refused: nothing is cut or resized on the way.

    Examples: foresight measure true.mp4 made.mp4
    foresight measure true/ made/ --profile laptop --json
    """
    with exits():
        from models.evaluation.measure import measure as measured
        from models.evaluation.pairs import find_pairs, read_pairs
        from orchestration.display import Display
        from orchestration.progress import Progress

        pairs, left_out = find_pairs(reference, generated)
        with Display(typer.get_text_stream("stderr"), 1, quiet=as_json) as display:

            def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
                display.progress(Progress("measure", what, done, total, numbers))

            groups = read_pairs(pairs, progress)
            networks = _Networks.of(profile) if profile else _Networks()
            metrics = measured(
                groups, segmenter=networks.segmenter, captioner=networks.captioner, progress=progress
            )  # fmt: skip
    if as_json:
        print_json(
            {
                "schema": "foresight.measure/1",
                "reference": str(reference),
                "generated": str(generated),
                "n_clips": len(pairs),
                "left_out": left_out,
                "profile": profile or None,
                "standins": networks.standins,
                "metrics": {name: metric.document() for name, metric in metrics.items()},
            }
        )
        return
    _print(metrics, len(pairs), left_out)
    if networks.standins:
        typer.echo("spatial_iou and semantic_consistency are by stand-ins: small models that know generated clips only")


@dataclass(frozen=True)
class _Networks:
    """What a profile adds."""

    segmenter: "Segmenter | None" = None
    captioner: "Captioner | None" = None
    standins: bool = False

    @classmethod
    def of(cls, name: str) -> "_Networks":
        import torch

        from models.encoders.registry import load_encoder
        from models.evaluation.segmenter import Segmenter
        from orchestration.profile import load

        profile = load(name)
        segmenter = Segmenter.load(profile.weights.folder("segmenter"))
        vlm: Any = load_encoder("qwen", profile.weights.folder("qwen"), stride=1).to(profile.device)

        def captions(frames: "np.ndarray") -> list[str]:
            parts = torch.from_numpy(frames).split(profile.evaluation.batch)
            return [text for part in parts for text in vlm.caption(part.to(profile.device))]

        return cls(segmenter, captions, segmenter.standin or vlm.standin)


def _print(metrics: dict[str, "Metric"], clips: int, left_out: list[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("metric", "value", "95% interval", "n"):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for name, metric in metrics.items():
        value = "undefined" if metric.value is None else f"{metric.value:.4g}"
        interval = "-" if metric.low is None else f"{metric.low:.4g} .. {metric.high:.4g}"
        table.add_row(name, value, interval, str(metric.n))
    console = Console(highlight=False)
    console.print(table)
    for name, metric in metrics.items():
        console.print(Text.assemble((name, "bold"), f": {metric.protocol}"))
    typer.echo(f"{clips} clips compared" if clips != 1 else "1 clip compared: a value without an interval")
    if left_out:
        typer.echo(f"{len(left_out)} reference clips have no generated one and do not count, the first {left_out[0]}")
