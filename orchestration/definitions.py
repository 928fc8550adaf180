"""Everything Dagster knows of this programme: assets, checks, jobs, sensors, schedules (design §3).

Loading it takes under 3 s: nothing here imports torch, MLflow, DVC or Great Expectations; a test holds that.
"""

import dagster as dg

from assets import evaluation, experiments, features, gates, ingest, phase1, phase2, phase3, predictor, report, studies
from orchestration import groups, profile
from orchestration.data.datasets import GENERATED, REAL, Dataset, known
from orchestration.gates.approval import approve_gate
from orchestration.home import Home
from orchestration.jobs import PREDICTOR
from orchestration.people.telling import teller
from orchestration.plan.programme import load as programme
from orchestration.plan.weeks import zone as zone_of
from orchestration.reconciling import reconcile_orphans
from orchestration.record.copying import copy_the_record
from orchestration.resources import Foresight
from orchestration.schedules import schedules
from orchestration.sensors import sensors
from orchestration.studies import declared

PROGRAMME, ON_DEMAND = "programme", "on_demand"


def build(home: Home, profile_name: str) -> dg.Definitions:
    """The definitions of one home under one profile."""
    datasets = known(home)
    training = [dataset for dataset in datasets if dataset.trains]
    plan = programme()
    checkpoints = {int(number): phase.decision.week for number, phase in plan.phases.items()}
    zone = zone_of(plan.timeline)
    return dg.Definitions(
        assets=[asset for dataset in datasets for asset in of(dataset)],
        asset_checks=[check for dataset in datasets for check in (*ingest.checks(dataset), *features.checks(dataset))],
        sensors=[
            *(sensor for dataset in training for sensor in sensors(dataset)),
            teller(),
            copy_the_record,
            reconcile_orphans,
        ],
        schedules=[schedule for dataset in training for schedule in schedules(dataset, checkpoints, zone)],
        jobs=[
            approve_gate,
            dg.define_asset_job(
                PROGRAMME,
                selection=dg.AssetSelection.all() - _on_demand(training),
                description="The whole programme: what `foresight run` and `make demo` materialize.",
            ),
            dg.define_asset_job(
                ON_DEMAND, description="Any asset, predictors and studies too: what is made when somebody asks for it."
            ),
            *(
                dg.define_asset_job(f"{dataset.name}__premise_audit", selection=[groups.key(dataset.name, "premise")])
                for dataset in training
            ),
            *(
                dg.define_asset_job(f"{dataset.name}__experiment_{name}", selection=[groups.key(dataset.name, name)])
                for dataset in training
                for name in declared()
            ),
        ],
        resources={"foresight": Foresight(home_folder=str(home.root), profile_name=profile_name)},
        executor=dg.in_process_executor,
    )


def _on_demand(training: list[Dataset]) -> dg.AssetSelection:
    """What no run makes unless it is asked for by name."""
    names = (PREDICTOR, *declared())
    return dg.AssetSelection.assets(*(groups.key(dataset.name, name) for dataset in training for name in names))


def of(dataset: Dataset) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of one dataset, in the order of the programme."""
    data = [*ingest.assets(dataset), *features.assets(dataset)]
    if not dataset.trains:
        return [*data, evaluation.outside(dataset)]
    after = [groups.key(REAL, "evaluation")] if dataset.name == GENERATED else []
    phases = [one for stage in (phase1, phase2, phase3, predictor, studies) for one in stage.assets(dataset)]
    judged = [*evaluation.assets(dataset), *gates.assets(dataset), *gates.overrides(dataset)]
    return [*data, *experiments.assets(dataset), *phases, *judged, report.asset(dataset, after)]


defs = build(Home.find(), profile.chosen())
