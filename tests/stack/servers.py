"""The servers of the stack for tests: one of each for the session, started when the first test asks for it.

`s3_server`, `mlflow_server` and `ray_nodes` live as long as the session and say in `.environment` what their clients
read; `s3`, `mlflow` and `ray_cluster` put that into the environment of one test.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.processes import HOST, Server, free_ports
from infra.stack import mlflow as mlflow_servers
from infra.stack import ray, seaweedfs
from tests.postgres import Postgres

NODES = (ray.Node("A100-80GB"), ray.Node("A100-80GB"))
"""The head and one worker."""


@dataclass
class RestartableMlflow:
    """A running server that can go away and come back; clients keep its address."""

    folder: Path
    port: int
    store: str
    artifacts: str
    keys: dict[str, str]
    held: ExitStack = field(default_factory=ExitStack)
    running: mlflow_servers.Mlflow | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.url}

    def start(self) -> None:
        self.running = self.held.enter_context(
            mlflow_servers.serving(self.folder, self.port, self.store, self.artifacts, self.keys)
        )

    def stop(self) -> None:
        self.held.close()


@dataclass
class RayNodes:
    """A head and a worker that tests may kill; `mend` starts what is dead."""

    cluster: ray.Cluster
    keys: dict[str, str]
    """What the machines of the nodes have in their environment, for their workers: no job is given it."""
    nodes: dict[int, Server] = field(default_factory=dict)
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def environment(self) -> dict[str, str]:
        return self.cluster.environment

    def scratch(self, number: int) -> Path:
        """The folder that a node's jobs have for themselves."""
        return ray.scratch(self.cluster, number)

    def kill(self, number: int) -> None:
        """End a node and all that runs on it as a power cut would; 0 is the head."""
        self.nodes[number].kill()

    def mend(self) -> None:
        """Start the nodes that are not there, the head first."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.keys.items():
                patch.setenv(name, value)
            for number, node in enumerate(NODES):
                server = self.nodes.get(number)
                if server is None or server.process.poll() is not None:
                    served = ray.worker(self.cluster, node, number) if number else ray.head(self.cluster, node)
                    self.nodes[number] = self.held.enter_context(served)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where the servers of this session keep what they keep; short, and open to PostgreSQL's own user."""
    folder = Path(tempfile.mkdtemp(prefix="foresight-stack-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3_server(server_folder: Path) -> Iterator[seaweedfs.S3]:
    """One S3 for the session; make a bucket of your own with `.bucket(name)`."""
    if seaweedfs.lacking():
        pytest.skip(seaweedfs.lacking())
    (port,) = free_ports(1)
    with seaweedfs.serving(server_folder / "s3", port, secrets.token_hex(10), secrets.token_hex(20)) as server:
        yield server


@pytest.fixture
def s3(s3_server: seaweedfs.S3, monkeypatch: pytest.MonkeyPatch) -> seaweedfs.S3:
    """The session's S3, its endpoint and keys in this test's environment."""
    return _named(s3_server, monkeypatch)


@pytest.fixture(scope="session")
def mlflow_server(server_folder: Path, s3_server: seaweedfs.S3, postgres: Postgres) -> Iterator[RestartableMlflow]:
    """One MLflow for the session: tables in PostgreSQL, artifacts in S3."""
    (port,) = free_ports(1)
    password = {"PGPASSWORD": postgres.password}
    store = postgres.running.address("mlflow")
    artifacts = f"s3://{s3_server.bucket('mlflow')}/artifacts"
    server = RestartableMlflow(server_folder / "mlflow", port, store, artifacts, s3_server.environment | password)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mlflow(mlflow_server: RestartableMlflow, monkeypatch: pytest.MonkeyPatch) -> RestartableMlflow:
    """The session's MLflow, its address in this test's environment."""
    return _named(mlflow_server, monkeypatch)


@pytest.fixture(scope="session")
def ray_nodes(server_folder: Path, s3_server: seaweedfs.S3) -> Iterator[RayNodes]:
    """A head and a worker for the session, each with an A100-80GB that it only declares and with the keys of S3."""
    if ray.lacking():
        pytest.skip(ray.lacking())
    (dashboard,) = free_ports(1)
    with ray.cluster(server_folder / "ray", dashboard, secrets.token_hex(32)) as cluster:
        made = RayNodes(cluster, s3_server.environment)
        with made.held:
            made.mend()
            yield made


@pytest.fixture
def ray_cluster(ray_nodes: RayNodes, monkeypatch: pytest.MonkeyPatch) -> RayNodes:
    """The session's cluster, whole, its address and token in this test's environment."""
    ray_nodes.mend()
    return _named(ray_nodes, monkeypatch)


def jobs_client(environment: dict[str, str]):
    """A client of a cluster's jobs.

    Ray reads the way of authentication once, when it is loaded, and this process loaded it before the cluster was.
    """
    from ray.job_submission import JobSubmissionClient

    token = Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text().strip()
    address = environment["RAY_API_SERVER_ADDRESS"]
    return JobSubmissionClient(address, headers={"Authorization": f"Bearer {token}"})


def _named(server, monkeypatch: pytest.MonkeyPatch):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server
