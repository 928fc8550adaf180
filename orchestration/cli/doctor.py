"""`foresight doctor`: what this machine has and lacks for each profile. It changes nothing."""

import os
import shutil
from typing import Annotated, Any

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home, HomeError
from orchestration.profile import PROFILES, Profile, ProfileError, load

GB = 2**30
FREE_GB = {"cpu": 5, "cuda": 250}


def doctor(
    profile: Annotated[str, typer.Option(help="Look at this profile only.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Say what this machine has and lacks for each profile. Exits 1 when the profile asked for, or laptop, cannot run.

    Example: foresight doctor --profile a100
    """
    with exits():
        names = [profile] if profile else sorted((path.stem for path in PROFILES.glob("*.yaml")), reverse=True)
        found = {name: examine(load(name)) for name in names}
    if as_json:
        print_json({"schema": "foresight.doctor/1", "profiles": found, "stack": servers()})
    else:
        _print({f"profile {name}": rows for name, rows in found.items()} | {"foresight stack": servers()})
    needed = profile or "laptop"
    if not all(row["fine"] for row in found[needed]):
        lacking = "; ".join(row["what"] for row in found[needed] if not row["fine"])
        typer.echo(f"foresight: profile {needed} cannot run here: {lacking}", err=True)
        raise typer.Exit(1)


def examine(profile: Profile) -> list[dict[str, Any]]:
    """What a profile needs, each with what is there and what to do."""
    return [*_machine(profile), *_database(), *_objects(), *_standing(profile), *_fetched()]


def servers() -> list[dict[str, Any]]:
    """What `foresight stack` needs; no profile is refused without it."""
    from infra.stack import postgres, ray, seaweedfs

    rows = []
    for name, lacking in (("PostgreSQL", postgres.lacking()), ("S3", seaweedfs.lacking()), ("Ray", ray.lacking())):
        found, _, remedy = lacking.partition(": ")
        rows.append(_row(f"{name} for the stack", found or "there", not lacking, remedy))
    return rows


def _machine(profile: Profile) -> list[dict[str, Any]]:
    home = Home.find()
    place = next(folder for folder in (home.root, *home.root.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free / GB
    needed = FREE_GB[profile.device]
    rows = [
        _row("CPU cores", f"{os.cpu_count()}", True),
        _row(
            "free disk",
            f"{free:.0f} GB at {place}",
            free >= needed,
            f"free {needed} GB or set FORESIGHT_HOME elsewhere",
        ),
    ]
    if profile.device == "cuda":
        rows.append(_gpu())
    return rows


def _database() -> list[dict[str, Any]]:
    """The database that $FORESIGHT_DATABASE names, if it does; the home's own file is made when it is needed."""
    if not os.environ.get("FORESIGHT_DATABASE"):
        return []
    from orchestration.record.database import AddressError, Database, StoreError

    what, remedy = "database", "start it, or correct or unset FORESIGHT_DATABASE"
    try:
        database = Database(Home.find().database)
        with database.read():
            return [_row(what, f"{database} answers", True)]
    except (AddressError, StoreError) as error:
        return [_row(what, " ".join(str(error).split()), False, remedy)]


def _objects() -> list[dict[str, Any]]:
    """The store that $FORESIGHT_OBJECTS names, if it does."""
    what, remedy = "object store", "mend it, or correct the AWS_* variables or FORESIGHT_OBJECTS"
    try:
        url = Home.find().objects
    except HomeError as error:
        return [_row(what, str(error), False, remedy)]
    if url is None:
        return []
    from dataclasses import replace

    from orchestration.objects.store import AddressError, ObjectError, open_store

    try:
        store = replace(open_store(url), attempts=2)
        next(store.keys(), None)
        return [_row(what, f"{store} answers", True)]
    except (AddressError, ObjectError) as error:
        return [_row(what, " ".join(str(error).split()), False, remedy)]


def _gpu() -> dict[str, Any]:
    import torch

    from orchestration.plan.programme import load as programme

    if not torch.cuda.is_available():
        return _row("GPU", "none that torch sees", False, "run this profile where there is an A100")
    device = torch.cuda.get_device_properties(0)
    memory = device.total_memory / GB
    vram = programme().budget.vram_gb
    needed = f"training needs {vram.training:g} GB (§{vram.section})"
    return _row("GPU", f"{device.name}, {memory:.0f} GB", memory >= vram.training, needed)


def _standing(profile: Profile) -> list[dict[str, Any]]:
    rows = []
    for name in type(profile.weights).model_fields:
        try:
            folder = profile.weights.folder(name, fetch=False)
        except ProfileError as error:
            there, (found, _, remedy) = False, str(error).partition("; ")
        else:
            there = any(folder.rglob("*.safetensors"))
            found, remedy = (str(folder), "") if there else (f"no *.safetensors in {folder}", "put the weights there")
        rows.append(
            _row(f"weights of {name}", found, there, "`foresight standins train`" if profile.standins else remedy)
        )
    return rows


def _fetched() -> list[dict[str, Any]]:
    from models.weights import verify

    return [
        _row(f"fetched {name}", why or "there, hash right", not why, "`foresight weights fetch`")
        for name, why in verify().items()
    ]


def _row(what: str, found: str, fine: bool, remedy: str = "") -> dict[str, Any]:
    return {"what": what, "found": found, "fine": fine, "remedy": "" if fine else remedy}


def _print(tables: dict[str, list[dict[str, Any]]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for title, rows in tables.items():
        table = Table(
            "",
            "what",
            "found",
            "what to do",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            title=title,
            title_justify="left",
        )
        for row in rows:
            table.add_row("[green]ok[/]" if row["fine"] else "[red]lacks[/]", row["what"], row["found"], row["remedy"])
        console.print(table)
