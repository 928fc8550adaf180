"""The web pages as plain processes on loopback: Dagster's webserver and daemon, and MLflow's.

They start together and end together: on Ctrl-C, on SIGTERM, or when one of them ends. A port in use is seen before
anything starts, so that nothing is left running.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from infra import processes
from infra.processes import HOST, Asked, Server, page_answers, require_free, started
from infra.stack import dagster, mlflow
from orchestration.dispatch.local import worker_environment
from orchestration.home import Home
from orchestration.instance import prepare


def serve(home: Home, dagster_port: int, mlflow_port: int) -> None:
    """Serve until asked to end.

    Raises:
        ServerError: a port is in use, a page did not come up, or one of them ended; all have ended then.
    """
    served = home.tracking_uri.startswith(("http://", "https://"))
    for name, port in (("Dagster", dagster_port), *(() if served else [("MLflow", mlflow_port)])):
        require_free(f"{name}'s page", port, f"--{name.lower()}-port")
    record = home.tracking_uri if served else f"http://{HOST}:{mlflow_port}"
    try:
        with processes.until_asked(), pages(home, dagster_port, None if served else mlflow_port) as servers:
            print(
                f"Dagster  http://{HOST}:{dagster_port}\nMLflow   {record}\nCtrl-C ends what was started.", flush=True
            )
            processes.watch(servers)
    except Asked:
        print("ended", flush=True)


@contextmanager
def pages(home: Home, dagster_port: int, mlflow_port: int | None) -> Iterator[list[Server]]:
    """Those of a home; without a port for MLflow its server is another's, and Dagster's alone are started."""
    prepare(home)
    home.mlflow.mkdir(parents=True, exist_ok=True)
    logs, environment = home.dagster / "ui", {**worker_environment(), **mlflow.LEAN, "DAGSTER_HOME": str(home.dagster)}
    with ExitStack() as held:
        servers = held.enter_context(dagster.serving(logs, dagster_port, environment))
        if mlflow_port is not None:
            servers = [*servers, held.enter_context(_record(home, logs, mlflow_port, environment))]
        yield servers


def _record(home: Home, logs: Path, port: int, environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    """MLflow's page over the home's own file."""
    options = {"backend-store-uri": home.tracking_uri, "default-artifact-root": home.artifacts}
    return started(
        "MLflow",
        mlflow.command(port, options),
        logs / "mlflow.log",
        answers=lambda: page_answers(f"http://{HOST}:{port}/"),
        environment=environment,
    )
