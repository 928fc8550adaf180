"""A Ray cluster as plain processes on loopback: a head and workers, each a node with an address of its own (design §9).

Ray takes 127.0.0.1 for "find the address of this machine" and would listen there; 127.0.0.2, 127.0.0.3 and on are
loopback too, and it keeps them. Some of its ports are bound to every address all the same, so every call needs a token.

The head's tables are in RocksDB: one that is restarted knows the jobs and the nodes that it had.
"""

import hashlib
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.processes import HOST, Server, ServerError, free_ports, started
from infra.stack.secret_files import write_secret

LACKING = "no Ray here: install PyPI's package `ray[default,train]`"
STORE_BYTES = 150_000_000
"""Of shared memory for each node's object store; large data goes through S3."""
KIND = "accelerator_type:"


@dataclass(frozen=True)
class Node:
    """What a node declares. Nothing is looked up: it may say that it has a GPU where there is none, for tests."""

    gpu_kind: str = "A100-80GB"
    gpus: int = 1
    cpus: int = 2


@dataclass(frozen=True)
class Cluster:
    """What the nodes of one cluster share."""

    folder: Path
    """Of logs, of the head's tables and of each node's scratch."""
    port: int
    """Of the head's GCS."""
    dashboard_port: int
    client_port: int
    token: Path
    sockets: Path
    """Ray's own folder, the same for all nodes of one machine: it looks for the logs of all where the head's are."""

    @property
    def environment(self) -> dict[str, str]:
        """What Ray's clients read."""
        return {
            "RAY_API_SERVER_ADDRESS": f"http://{HOST}:{self.dashboard_port}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
        }

    def nodes(self) -> dict[str, str]:
        """ALIVE or DEAD by the address of each node, as the head sees them; none while it does not answer."""
        answer = self._ask("/nodes?view=summary")
        rows = [row["raylet"] for row in answer["data"]["summary"]] if answer else []
        return {row["nodeManagerAddress"]: row["state"] for row in sorted(rows, key=lambda row: row["startTimeMs"])}

    def _ask(self, path: str) -> dict | None:
        request = urllib.request.Request(f"http://{HOST}:{self.dashboard_port}{path}")
        request.add_header("Authorization", f"Bearer {self.token.read_text(encoding='utf-8')}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None


@contextmanager
def cluster(folder: Path, dashboard_port: int, token: str) -> Iterator[Cluster]:
    """The ports, the token's file and the folders of a cluster that has no node yet.

    Raises:
        ServerError: Ray is lacking.
    """
    if lacking():
        raise ServerError(LACKING)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port, client_port = free_ports(2)
    path = write_secret(folder / "token", token)
    # The kernel refuses sockets with paths beyond 107 bytes, and Ray's lie deep in this folder.
    sockets = Path(f"/tmp/fs-ray-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}")
    shutil.rmtree(sockets, ignore_errors=True)
    sockets.mkdir(mode=0o700)
    try:
        yield Cluster(folder, port, dashboard_port, client_port, path, sockets)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def head(shared: Cluster, node: Node) -> Iterator[Server]:
    """The head, itself a node; started again over the same cluster, it goes on from its tables."""
    tables = shared.folder / "gcs"
    tables.mkdir(exist_ok=True)
    # Ray takes the workers that outlive a head for a head that runs, when this file names the same address.
    (shared.sockets / "ray_current_cluster").unlink(missing_ok=True)
    options = {
        "port": shared.port,
        "dashboard-host": HOST,
        "dashboard-port": shared.dashboard_port,
        "ray-client-server-port": shared.client_port,
    }
    patient = {"RAY_JOB_START_TIMEOUT_SECONDS": str(30 * 86400)}  # a job waits for its GPU; Ray fails it after 15 min
    kept = {**patient, "RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(tables)}
    with _node(shared, node, 0, ["--head"], options, kept) as server:
        yield server


@contextmanager
def worker(shared: Cluster, node: Node, number: int) -> Iterator[Server]:
    """The `number`th worker, from 1 on; the head must be there."""
    with _node(shared, node, number, [], {"address": f"{address(0)}:{shared.port}"}, {}) as server:
        yield server


def address(number: int) -> str:
    """The address of a node: 0 is the head."""
    return f"127.0.0.{number + 2}"


def scratch(shared: Cluster, number: int) -> Path:
    """The folder that a node's jobs have for themselves; no other node uses it."""
    return shared.folder / f"node-{number}"


def lacking() -> str:
    """What to install, when it is not here; else nothing."""
    return "" if _program().is_file() else LACKING


def _program() -> Path:
    return Path(sys.executable).parent / "ray"


@contextmanager
def _node(
    shared: Cluster, node: Node, number: int, flags: list[str], options: Mapping[str, object], more: Mapping[str, str]
) -> Iterator[Server]:
    name = f"Ray worker {number}" if number else "Ray head"
    (agent_port,) = free_ports(1)
    place = scratch(shared, number)
    place.mkdir(exist_ok=True)
    declared: dict[str, object] = {
        **options,
        "node-ip-address": address(number),
        "dashboard-agent-listen-port": agent_port,  # of each node its own, or their logs are lost
        "temp-dir": shared.sockets,
        "object-store-memory": STORE_BYTES,
        "include-log-monitor": "false",
        "num-cpus": node.cpus,
        "num-gpus": node.gpus,
        "resources": json.dumps({f"{KIND}{node.gpu_kind}": node.gpus}),
    }
    command = [_program(), "start", "--block", "--disable-usage-stats", *flags]
    path = os.pathsep.join([str(_program().parent), os.environ.get("PATH", "")])  # a job's `python` is this one
    environment = {**os.environ, **shared.environment, **more, "PATH": path, "TMPDIR": str(place)}
    with started(
        name,
        [*command, *(f"--{option}={value}" for option, value in declared.items())],
        shared.folder / f"{name.lower().replace(' ', '-')}.log",
        answers=lambda: shared.nodes().get(address(number)) == "ALIVE",
        environment=environment,
        cwd=place,
    ) as server:
        yield server
