"""`foresight run`: the programme, or a part of it, through Dagster (design §11)."""

from typing import Annotated

import typer

from orchestration.cli.exits import exits, print_json
from orchestration.home import Home


class OverrideError(ValueError):
    """An override that says only half of what it must."""


def run(
    profile: Annotated[str, typer.Option(help="laptop, a100, or a path to a profile's YAML file.")] = "",
    data: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="A dataset or a folder of clips; none: generated, then real clips.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="STAGE", help="The last stage to make, such as shards or phase1.")] = "",
    override_by: Annotated[
        str, typer.Option(metavar="NAME", help="Who answers for going on past a gate that is not GO.")
    ] = "",
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason; it stands in the log and in the report.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Run the programme. What stands already, from the same inputs and code, is not made again.

    Example: foresight run --data moving_shapes --until phase1
    """
    with exits():
        if bool(override_by) != bool(why):
            raise OverrideError("--override-by and --why go together: say who goes on past the gate, and why")
        from orchestration.run import run as go

        home = Home.find()
        outcome = go(home, profile=profile, data=data, until=until, override=(override_by, why), quiet=as_json)
    if as_json:
        stages = [
            {"stage": stage, "seconds": s, "made": outcome.made.get(stage)} for stage, s in outcome.seconds.items()
        ]
        print_json({"schema": "foresight.run/1", "run_id": outcome.run_id, "stages": stages})
        return
    from orchestration.summary import print_summary

    print_summary(home, outcome.seconds, outcome.made)
