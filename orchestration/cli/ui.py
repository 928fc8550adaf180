"""`foresight ui`: Dagster's and MLflow's web pages over what the runs of this home have made."""

import os
from typing import Annotated

import typer

from orchestration.cli.exits import exits
from orchestration.home import Home
from orchestration.profile import located


def ui(
    profile: Annotated[str, typer.Option(help="The profile of what is materialized from the page.")] = "",
    dagster_port: Annotated[int, typer.Option(help="Port of Dagster's page.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's page.")] = 5000,
) -> None:
    """Start both on 127.0.0.1 and stay until Ctrl-C. They end together.

    Example: foresight ui --profile laptop --dagster-port 3001
    """
    with exits():
        from infra.ui import serve

        os.environ["FORESIGHT_PROFILE"] = located(profile)
        serve(Home.find(), dagster_port, mlflow_port)
