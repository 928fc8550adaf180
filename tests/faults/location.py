"""The gate path as a code location of its own: real sensors, gates, decision log and record; training is two lines.

What stands in: a phase writes that it was launched, its evaluation is a document of the fixtures, and MLflow is a folder
of names. `at` is where a process that runs this code is to die.
"""

import json
import os
import signal
from types import SimpleNamespace

import dagster as dg

from assets import gates
from orchestration import gate_stage, groups, tracking
from orchestration.datasets import GENERATED, Dataset
from orchestration.groups import PHASES
from orchestration.home import Home
from orchestration.resources import Foresight
from orchestration.sensors import sensors
from tests.orchestration.evaluations import document, metric

DATASET = Dataset(GENERATED, GENERATED)
DECISION_WRITTEN = "DECISION_WRITTEN"
at = {"die": ""}


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


def mirrored(home: Home, decision, override) -> None:
    """In place of MLflow; the decision is in the log by now."""
    if at["die"] == DECISION_WRITTEN:
        os.kill(os.getpid(), signal.SIGKILL)
    folder = home.mlflow / "mirrored"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / decision.sha256).touch()


if not os.environ.get("FAULTS_WITH_MLFLOW"):
    tracking.decided = mirrored
gate_stage.evaluation_job = lambda *_: SimpleNamespace(data_version="data-1", weights={"vae": "ab"})


def _phase(phase: int) -> list[dg.AssetsDefinition]:
    @dg.asset(key=groups.key(DATASET.name, f"phase{phase}"))
    def train(context: dg.AssetExecutionContext, foresight: Foresight) -> None:
        with (foresight.home.root / "launched").open("a") as file:
            file.write(f"{phase} {context.run_id}\n")

    @dg.asset(key=groups.key(DATASET.name, f"phase{phase}_evaluation"), deps=[train])
    def evaluate(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        made = evaluated(foresight.home, phase, context.run_id)
        return dg.MaterializeResult(metadata={"evaluation": dg.MetadataValue.json(made)})

    return [train, evaluate]


defs = dg.Definitions(
    assets=[*(asset for phase in PHASES for asset in _phase(phase)), *gates.assets(DATASET)],
    sensors=sensors(DATASET),
    resources={"foresight": Foresight(home_folder=str(Home.find().root), profile_name="laptop")},
    executor=dg.in_process_executor,
)
