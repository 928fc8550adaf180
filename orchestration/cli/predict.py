"""`foresight predict`: what follows the first frames of a clip, and whether it came so (design §11; §1.5)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.exits import exits, print_json

if TYPE_CHECKING:
    from orchestration.prediction.document import PredictionDocument
    from orchestration.prediction.plan import Placement
    from orchestration.prediction.predict import Predicted


def predict(
    clip: Annotated[
        str, typer.Argument(metavar="[CLIP|FOLDER]", help="A video, a folder of videos, or a held-out clip's id.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where videos, conditioning and numbers are written.")
    ] = None,
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="The data set that was trained on.")] = (
        "moving_shapes"
    ),
    profile: Annotated[
        str, typer.Option(help="Where the weights are now; else the training's. With --plan, what is placed.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the noise; the same seed gives the same video.")] = 0,
    verify: Annotated[bool, typer.Option("--verify", help="Hold the prediction against what came.")] = False,
    at_end: Annotated[
        bool, typer.Option("--at-end", help="The context is the film's last frames; nothing after it is known.")
    ] = False,
    without: Annotated[str, typer.Option(metavar="dinov2|qwen", help="Leave an encoder out.")] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Print which network would lie on which device, and do nothing else.")
    ] = False,
    devices: Annotated[
        str, typer.Option(metavar="GB[,GB..]", help="With --plan: devices of these sizes, not this machine's.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Predict the frames that follow a clip's context. A predictor is trained by `foresight run --until predictor`.

    Examples: foresight predict heldout-000003 --out next/ --verify
    foresight predict clips/ --out next/ --seed 7 --json
    foresight predict --plan --profile a100 --devices 24,24
    """
    if plan:
        _plan(profile, devices, as_json)
        return
    with exits():
        if not clip or out is None:
            raise ValueError("give a clip and --out DIR, or --plan")
        if devices:
            raise ValueError("--devices says what --plan places on; a prediction uses this machine's devices")
        from orchestration.display import Display
        from orchestration.home import Home
        from orchestration.prediction.predict import predict as predicted
        from orchestration.progress import Progress

        with Display(typer.get_text_stream("stderr"), 1, quiet=as_json) as display:
            display.begin("predict")

            def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
                display.progress(Progress("predict", what, done, total, numbers))

            found = predicted(
                clip, out, Home.find(), dataset=data, profile=profile, seed=seed, verify=verify, at_end=at_end,
                without=without, progress=progress,
            )  # fmt: skip
        if as_json:
            print_json(_documents(found))
        else:
            for name, document in found.documents.items():
                _print(document, out / name)
        if found.failed:
            name, why = next(iter(found.failed.items()))
            raise RuntimeError(f"{len(found.failed)} clips of {clip} were not predicted, the first {name}: {why}")


def _documents(found: "Predicted") -> dict[str, object]:
    """One clip's document, or those of a folder with what failed."""
    documents = {name: document.document() for name, document in found.documents.items()}
    if "" in documents:
        return documents[""]
    return {"schema": "foresight.predictions/1", "clips": documents, "failed": found.failed}


def _plan(profile: str, devices: str, as_json: bool) -> None:
    with exits():
        from orchestration.prediction.plan import devices_of, document, loads
        from orchestration.profile import load

        given = load(profile)
        placed = document(given, loads(given, devices_of(devices, given)))
    if as_json:
        print_json(placed.document())
    else:
        _print_plan(placed)


def _print_plan(placed: "Placement") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("device", "network", "weights, GB", "work, GB", "at the peak, GB"):
        table.add_column(column, justify="left" if column in ("device", "network") else "right")
    for one in placed.devices:
        for name in one.networks:
            table.add_row(one.device, name.name, f"{name.weights_gb:.3f}", f"{name.work_gb:.3f}", "")
        table.add_row(one.device, "in all", "", "", f"{one.needed_gb:.1f} of {one.capacity_gb:.1f}", end_section=True)
    Console(highlight=False).print(table)
    for note in placed.notes:
        typer.echo(note)


def _print(document: "PredictionDocument", folder: Path) -> None:
    ahead, latency = document.horizon, document.latency
    typer.echo(
        f"{document.clip.name}: {ahead.predicted_frames} frames after the first {ahead.context_frames}, "
        f"{ahead.seconds:.2f} s ahead"
    )
    if document.verification is not None:
        typer.echo(f"{document.verification.verdict}: {document.verification.why}")
    parts = ", ".join(
        f"{name} {one.seconds:.3f}" + ("" if one.proposed_s is None else f" (proposed {one.proposed_s:g})")
        for name, one in latency.components.items()
    )
    typer.echo(
        f"seconds: {parts}; serial {latency.serial_s:.3f} (proposed {latency.proposed_serial_s:g}), "
        f"parallel {latency.parallel_s:.3f} (proposed {latency.proposed_parallel_s:g})"
    )
    for note in document.notes:
        typer.echo(note)
    for name in (*document.files, "prediction.json"):
        typer.echo(str(folder / name))
