"""A small programme over S3 and a Ray cluster: its data made once, a home of its own for each test."""

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from infra.stack.seaweedfs import S3
from orchestration.budget.ledger import Ledger
from orchestration.home import REPOSITORY, Home
from orchestration.plan.programme import load
from orchestration.profile import PROFILES
from orchestration.record.store import Store
from tests.stack.orchestrator import DIE
from tests.stack.servers import RayNodes, RestartableMlflow, jobs_client

SMALL = {
    "clips": {"train": 16, "heldout": 8, "per_shard": 16},
    "phase1": {"steps": 6, "checkpoint_every": 2},
    "evaluation": {"clips": 8, "sampling_steps": 2, "vgg_clips": 4, "fvd_clips": 2, "resamples": 200},
}
ON_RAY = {"backend": "ray", "stages": {"training": {"gpus": [{"kind": "A100-80GB"}], "retries": 1}}}


@dataclass(frozen=True)
class Remote:
    """One programme: where its state is, and how it is asked to do something."""

    root: Path
    environment: dict[str, str]

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    @property
    def ledger(self) -> Ledger:
        return Ledger(Store(self.environment["FORESIGHT_DATABASE"]), load())

    def profile(self, dispatch: dict | None = None, **sections: dict) -> Path:
        """A profile of this programme's sizes, with what a test changes."""
        table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
        for name, changes in {**SMALL, **sections}.items():
            table[name] = {**table.get(name, {}), **SMALL.get(name, {}), **changes}
        path = self.root / f"{uuid.uuid4().hex[:6]}.yaml"
        path.write_text(yaml.safe_dump(table | {"name": "small", "dispatch": dispatch or {}}))
        return path

    def start(self, profile: Path, *names: str, die: bool = False) -> subprocess.Popen[str]:
        """An orchestration that makes these assets, in a process of its own."""
        command = [sys.executable, "-m", "tests.stack.orchestrator", str(profile), *names, *([DIE] if die else [])]
        return subprocess.Popen(
            command, env=self.environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def go(self, profile: Path, *names: str) -> None:
        """The same, to its end, which must be good."""
        process = self.start(profile, *names)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said[-4000:]

    def jobs(self) -> list:
        """The cluster's jobs of this programme."""
        place = self.environment["FORESIGHT_OBJECTS"]
        return [
            one
            for one in jobs_client(self.environment).list_jobs()
            if (one.metadata or {}).get("foresight.place") == place
        ]

    def another(self, root: Path) -> "Remote":
        """A second orchestration of the same programme: a home of its own, the same record, objects and cluster."""
        shutil.copytree(self.root / "home" / "data", root / "home" / "data", symlinks=True)
        return Remote(root, {**self.environment, "FORESIGHT_HOME": str(root / "home")})


@pytest.fixture(scope="session")
def remote_made(tmp_path_factory, s3_server: S3, ray_nodes: RayNodes, mlflow_server: RestartableMlflow) -> Remote:
    """A programme whose data is made: the raw clips here, all else by jobs of the cluster."""
    root = tmp_path_factory.mktemp("remote")
    environment = {
        **os.environ,
        **s3_server.environment,
        **ray_nodes.environment,
        "FORESIGHT_HOME": str(root / "home"),
        "FORESIGHT_OBJECTS": f"s3://{s3_server.bucket('dispatch')}/{uuid.uuid4().hex[:8]}",
        "FORESIGHT_DATABASE": f"sqlite:///{root / 'record.db'}",
        **mlflow_server.environment,
    }
    remote = Remote(root, environment)
    remote.go(remote.profile(ON_RAY), "clips", "shards")
    remote.go(remote.profile(), "dinov2", "qwen", "latents")
    return remote


@pytest.fixture
def remote(remote_made: Remote, ray_nodes: RayNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """The programme for one test: its data, and a record in which nothing has happened."""
    ray_nodes.mend()
    for name, value in ray_nodes.environment.items():
        monkeypatch.setenv(name, value)
    fresh = {"FORESIGHT_DATABASE": f"sqlite:///{tmp_path / 'record.db'}"}
    other = remote_made.another(tmp_path)
    return Remote(other.root, other.environment | fresh)
