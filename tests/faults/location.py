"""The gate path as a code location of its own: real sensors, gates, decision log and record; training is two lines.

What stands in: a phase writes that it was launched, its evaluation is a document of the fixtures, and MLflow's run is a
name in a folder. `at` says where a process that runs this code is to die, and what is to be away when a gate begins;
a file `hold.NAME` in the home holds a process there until it is gone.
"""

import datetime as dt
import json
import os
import signal
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import dagster as dg

from assets import gates
from orchestration import groups, sensors, tracking
from orchestration.data.datasets import GENERATED, Dataset
from orchestration.gates import gate_stage
from orchestration.groups import PHASES
from orchestration.home import Home
from orchestration.record import mirror
from orchestration.record.decisions import DecisionLog
from orchestration.resources import Foresight
from tests.orchestration.evaluations import document, metric

DATASET = Dataset(GENERATED, GENERATED)
DECISION_WRITTEN = "DECISION_WRITTEN"
INSTALLED = "FAULTS_INSTALLED"
at = {"die": "", "away": ""}


def evaluated(home: Home, phase: int, run: str) -> dict:
    """An evaluation that no other is like; phase 1 is GO, and with phase 2 the programme ends."""
    spoilt = {"lpips": metric(0.6)} if phase == 2 else {}
    made = {**document(phase, **spoilt), "runs": {"hybrid": run}}
    folder = home.run(DATASET.name, f"phase{phase}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(made))
    return made


def materialization(phase: int, made: dict) -> dg.AssetMaterialization:
    """What the asset of an evaluation reports."""
    key = groups.key(DATASET.name, f"phase{phase}_evaluation")
    return dg.AssetMaterialization(key, metadata={"evaluation": dg.MetadataValue.json(made)})


def mirrored(home: Home, log: DecisionLog) -> list:
    """In place of MLflow's runs; the decision is in the log by now."""
    if at["die"] == DECISION_WRITTEN:
        os.kill(os.getpid(), signal.SIGKILL)
    held(home, "decision")
    folder = home.mlflow / "mirrored"
    folder.mkdir(parents=True, exist_ok=True)
    for _, decision in log.decisions():
        (folder / decision.sha256).touch()
    return []


def held(home: Home, name: str) -> None:
    """Stay here as long as the file is there; `held.NAME` says that somebody does."""
    while (home.root / f"hold.{name}").exists():
        (home.root / f"held.{name}").touch()
        time.sleep(0.05)


def required(home: Home, really=tracking.require) -> None:
    """A gate begins: what is to be away goes now, as a volume that is unmounted would."""
    if at["away"]:
        take_away(files(home)[at["away"]])
    really(home)


def files(home: Home) -> dict[str, Path]:
    """What can be away."""
    return {"database": home.root / "foresight.db", "mlflow": home.mlflow / "mlflow.db"}


def take_away(path: Path) -> None:
    """A folder lies where the file was; `bring_back` undoes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(path.with_suffix(".away"))
    path.mkdir()


def bring_back(path: Path) -> None:
    """The file is where it was."""
    path.rmdir()
    if path.with_suffix(".away").exists():
        path.with_suffix(".away").rename(path)


def looked(path: Path, really=sensors.look):
    """A tick has begun."""
    held(Home.find(), "tick")
    return really(path)


def install() -> None:
    """Put all of it in place, in a process that is there for nothing else."""
    mirror.to_mlflow, tracking.require, sensors.look = mirrored, required, looked
    gate_stage.evaluation_job = lambda *_: SimpleNamespace(data_version="data-1", weights={"vae": "ab"})
    sensors.fail_orphans = partial(sensors.fail_orphans, grace=15.0)
    sensors.FIRST_WAIT = dt.timedelta(seconds=1)


if os.environ.get(INSTALLED):  # a code server or a run worker of Dagster's
    install()


def _phase(phase: int) -> list[dg.AssetsDefinition]:
    @dg.asset(key=groups.key(DATASET.name, f"phase{phase}"))
    def train(context: dg.AssetExecutionContext, foresight: Foresight) -> None:
        with (foresight.home.root / "launched").open("a") as file:
            file.write(f"{context.run.tags[sensors.FOR]}\n")

    @dg.asset(key=groups.key(DATASET.name, f"phase{phase}_evaluation"), deps=[train])
    def evaluate(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        made = evaluated(foresight.home, phase, context.run_id)
        return dg.MaterializeResult(metadata={"evaluation": dg.MetadataValue.json(made)})

    return [train, evaluate]


DECIDE, LAUNCH = (f"{DATASET.name}__{name}" for name in ("decide_phase1", "launch_next_phase"))
MADE = [sensor for sensor in sensors.sensors(DATASET) if sensor.name in (DECIDE, LAUNCH)]
for sensor in MADE:  # switched on, and as quick as the daemon looks
    sensor._min_interval, sensor._default_status = 1, dg.DefaultSensorStatus.RUNNING

defs = dg.Definitions(
    assets=[*(asset for phase in PHASES for asset in _phase(phase)), *gates.assets(DATASET)],
    sensors=MADE,
    resources={"foresight": Foresight(home_folder=dg.EnvVar("FORESIGHT_HOME"), profile_name="laptop")},
    executor=dg.in_process_executor,
)
