"""A home whose workers are stand-ins of a few lines: what they would write, without the minutes."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration.budget.reservations import Reservation
from orchestration.data.datasets import GENERATED, Dataset
from orchestration.dispatch import local
from orchestration.home import REPOSITORY, Home
from orchestration.jobs import DATA, PREMISE
from orchestration.profile import PROFILES
from orchestration.record import mirror
from orchestration.record.opened import ledger
from orchestration.resources import Foresight
from tests.orchestration.experiments.audits import audit

DATASET = Dataset(GENERATED, GENERATED)


class Workers:
    """Takes the place of a process: writes what a stage would leave, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.stops: Exception | None = None
        """What the next phase's worker ends with, in place of a result."""
        self.seconds: list[float] = []
        """How long each phase's worker was allowed to take."""
        self.audit: dict[str, Any] = {}
        """What the audit of the premise would measure, beyond what stands in its sample."""

    def __call__(self, context, command, *, cwd, each=None, left=None):
        stage = command.split("orchestration.worker ")[1].split()[0]
        self.commands.append(stage)
        if "--job" in command:
            return self._phase(Path(command.split("--job ")[1]))
        params = yaml.safe_load((cwd / "params.yaml").read_text())
        for out in {"clips": ["data"], "latents": ["latents"], "shards": ["shards"]}.get(stage, [f"features/{stage}"]):
            (cwd / out).mkdir(parents=True, exist_ok=True)
            (cwd / out / "content").write_text(json.dumps(params[stage]))
        if stage == "clips":
            (cwd / "clips.json").write_text(json.dumps({"params": params["clips"], "files": ""}))
        return {"clips": 3}

    def _phase(self, job):
        said = json.loads(job.read_text())
        self.commands[-1] += f" {said['dataset']}"
        self.seconds.append(said["allowed_s"])
        if self.stops:
            stopped, self.stops = self.stops, None
            raise stopped
        if said["stage"] == PREMISE:
            measured = audit(profile=said["profile"]["name"], weights=said["weights"], **self.audit)
            (job.parent / "audit.json").write_text(json.dumps(measured.document()))
        made = {"runs": {"dino_only": "run"}, "checkpoints": {"dino_only": "checkpoint"}}
        return {"numbers": {"loss": 0.5}, "pictures": [], **made}


def booked(home: Home) -> list[Reservation]:
    """The reservations in order, but those of the features."""
    return [one for one in ledger(home).reservations() if one.experiment not in DATA]


@pytest.fixture
def workers(monkeypatch):
    made = Workers()
    monkeypatch.setattr(local, "run", made)
    monkeypatch.setattr(mirror, "to_mlflow", lambda *_: [])
    return made


@pytest.fixture
def foresight(tmp_path):
    """A home under a laptop profile whose weights are a few bytes."""
    weights = tmp_path / "weights"
    table = yaml.safe_load((PROFILES / "laptop.yaml").read_text())
    vae = REPOSITORY / table["weights"]["vae"]
    for name in table["weights"]:
        folder = weights / name / ("transformer" if name == "ltx" else "")
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_text(name)
        table["weights"][name] = str(weights / name)
    shutil.copy(vae / "config.json", weights / "vae")
    profile = tmp_path / "laptop.yaml"
    profile.write_text(yaml.safe_dump(table))
    return Foresight(home_folder=str(tmp_path / "home"), profile_name=str(profile))


@pytest.fixture
def home(foresight) -> Home:
    return foresight.home


@pytest.fixture
def materialize(foresight):
    """Materialize assets by name, whatever lies upstream of them; the metadata and the data version of the last one."""
    from orchestration.definitions import of

    assets = {asset.key.path[-1]: asset for asset in of(DATASET)}

    def go(*names, config=None):
        chosen = [dg.AssetKey([GENERATED, name]) for name in names]
        done = dg.materialize(
            list(assets.values()), selection=chosen, resources={"foresight": foresight}, run_config=config
        )
        return done.asset_materializations_for_node(f"{GENERATED}__{names[-1]}")[0]

    return go
