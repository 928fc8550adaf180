"""`foresight stack`: PostgreSQL, S3, MLflow, a Ray cluster and Dagster as plain processes on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.exits import exits
from orchestration.home import Home


def stack(
    home: Annotated[
        str, typer.Option(metavar="DIR", help="Whose servers; none: $FORESIGHT_HOME, else .foresight.")
    ] = "",
    dagster_port: Annotated[int, typer.Option(help="Port of Dagster's page.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's server.")] = 5000,
    ray_port: Annotated[int, typer.Option(help="Port of Ray's page and job server.")] = 8265,
) -> None:
    """Start all of them on loopback and stay until Ctrl-C. They end together and leave nothing running.

    Example: foresight stack --home /srv/foresight
    """
    with exits():
        from infra.stack.stack import Ports, serve

        whose = Home(Path(home).expanduser().resolve()) if home else Home.find()
        serve(whose, Ports(dagster_port, mlflow_port, ray_port), lambda line: typer.echo(line))
