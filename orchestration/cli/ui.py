"""`foresight ui`: Dagster's and MLflow's web pages over what the runs of this home have made."""

from typing import Annotated

import typer

from orchestration.cli.exits import exits
from orchestration.home import Home


def ui(
    dagster_port: Annotated[int, typer.Option(help="Port of Dagster's page.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's page.")] = 5000,
) -> None:
    """Start both on 127.0.0.1 and stay until Ctrl-C. They end together.

    Example: foresight ui --dagster-port 3001
    """
    with exits():
        from infra.ui import serve

        code = serve(Home.find(), dagster_port, mlflow_port)
    if code:
        raise typer.Exit(code)
