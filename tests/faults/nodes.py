"""A Ray cluster of three nodes on this machine, each with its own processes and its own disk; any can be killed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestration.home import REPOSITORY
from tests.faults.learners import SCRATCH


class Nodes:
    """One node for whoever sends the work, two with a CPU each for workers."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder, self._started = folder, 0
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.workers: dict[Path, Any] = {}
        self.fill()

    @property
    def address(self) -> str:
        return self.cluster.address

    def fill(self) -> None:
        """Start nodes until there are two for workers."""
        while len(self.workers) < 2:
            scratch = self.folder / f"disk-{self._started}"
            scratch.mkdir()
            self._started += 1
            self.workers[scratch] = self.cluster.add_node(num_cpus=1, env_vars={SCRATCH: str(scratch)})

    def kill(self, scratch: Path) -> None:
        """SIGKILL to all processes of a node; its disk is gone with it."""
        node = self.workers.pop(scratch)
        raylet = node.all_processes["raylet"][0].process.pid
        family = psutil.Process(raylet).children(recursive=True)
        self.cluster.remove_node(node, allow_graceful=False)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def shutdown(self) -> None:
        self.cluster.shutdown()


@pytest.fixture(scope="module")
def nodes(s3_alone, tmp_path_factory) -> Iterator[Nodes]:
    """The nodes, which reach the S3 server; $RAY_ADDRESS names their cluster."""
    with pytest.MonkeyPatch.context() as patched:
        sources = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        known = {**s3_alone.environment, "PYTHONPATH": os.pathsep.join(filter(None, sources))}
        # A cluster that lost a node is told so soon, and a training that lacks one gives up soon.
        known |= {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "3"}
        known |= {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "15", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}
        for name, value in known.items():
            patched.setenv(name, value)
        found = Nodes(tmp_path_factory.mktemp("nodes"))
        try:
            patched.setenv("RAY_ADDRESS", found.address)
            yield found
        finally:
            found.shutdown()
