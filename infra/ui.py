"""The web pages as plain processes on loopback: Dagster's webserver and daemon, and MLflow's.

They start together and end together: on Ctrl-C, on SIGTERM, or when one of them ends. A port in use is seen before
anything starts, so that nothing is left running.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from infra import processes
from infra.processes import HOST, Asked, Server, page_answers, require_free, started
from infra.stack import dagster, mlflow
from orchestration.dispatch import worker_environment
from orchestration.home import Home
from orchestration.instance import prepare


def serve(home: Home, dagster_port: int, mlflow_port: int) -> None:
    """Serve until asked to end.

    Raises:
        ServerError: a port is in use, a page did not come up, or one of them ended; all have ended then.
    """
    for name, port in (("Dagster", dagster_port), ("MLflow", mlflow_port)):
        require_free(f"{name}'s page", port, f"--{name.lower()}-port")
    try:
        with processes.until_asked(), pages(home, dagster_port, mlflow_port) as servers:
            print(
                f"Dagster  http://{HOST}:{dagster_port}\nMLflow   http://{HOST}:{mlflow_port}\nCtrl-C ends both.",
                flush=True,
            )
            processes.watch(servers)
    except Asked:
        print("ended", flush=True)


@contextmanager
def pages(home: Home, dagster_port: int, mlflow_port: int) -> Iterator[list[Server]]:
    """All of them, over what the runs of a home have made."""
    prepare(home)
    home.mlflow.mkdir(parents=True, exist_ok=True)
    logs, environment = home.dagster / "ui", {**worker_environment(), **mlflow.LEAN, "DAGSTER_HOME": str(home.dagster)}
    options = {"backend-store-uri": home.tracking_uri, "default-artifact-root": (home.mlflow / "artifacts").as_uri()}
    with ExitStack() as held:
        servers = held.enter_context(dagster.serving(logs, dagster_port, environment))
        record = started(
            "MLflow",
            mlflow.command(mlflow_port, options),
            logs / "mlflow.log",
            answers=lambda: page_answers(f"http://{HOST}:{mlflow_port}/"),
            environment=environment,
        )
        yield [*servers, held.enter_context(record)]
