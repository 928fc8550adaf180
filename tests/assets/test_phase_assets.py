"""Phase and gate assets: not run twice, not dispatched past a gate, and an override is a person's recorded word."""

import json
from pathlib import Path

import pytest
import yaml

from models.fusion.budget import OverBudgetError
from orchestration import tracking
from orchestration.budget.allowance import StoppedAtReservation
from orchestration.budget.ledger import BudgetRefused
from orchestration.gates.clearance import ClearanceRefused
from orchestration.phase_stage import PhaseError
from orchestration.record.opened import decisions, ledger
from tests.assets.conftest import DATASET, booked
from tests.orchestration.evaluations import evaluation

DATA = ("clips", "shards", "dinov2", "qwen", "latents")
SIGNED = {"override_by": "demo", "override_why": "to show the rest"}
OVERRIDE = {"ops": {"moving_shapes__phase1_gate": {"config": SIGNED}}}


@pytest.fixture
def trained(materialize, workers):
    materialize(*DATA)
    materialize("phase1")
    workers.commands.clear()


def evaluated(home, **changes):
    """An evaluation of phase 1 as its worker would leave it."""
    path = home.run(DATASET.name, "phase1") / "evaluation.json"
    path.write_text(json.dumps(evaluation(1, **changes).document()))


def test_a_phase_that_stands_is_not_run_again(trained, materialize, workers):
    made = materialize("phase1")
    assert workers.commands == []
    assert made.metadata["made_now"].value is False


def test_a_phase_whose_data_changed_is_run_again(trained, materialize, workers, foresight):
    (foresight.profile.weights.folder("vae") / "model.safetensors").write_text("another")
    materialize(*DATA)
    materialize("phase1")
    assert workers.commands == ["latents", "phase1 moving_shapes"]


def test_whose_masks_will_judge_is_fixed_before_training(trained, materialize, foresight, home):
    """The training's job names the hashes of both segmenters; exchanged after it, they judge nothing of it."""
    job = json.loads((home.run(DATASET.name, "phase1") / "job.json").read_text())
    segmenter = foresight.profile.weights
    assert job["weights"]["segmenter"] == segmenter.sha256("segmenter")
    assert len(job["weights"]["mobile_sam"]) == 64
    (segmenter.folder("segmenter") / "model.safetensors").write_text("another")
    with pytest.raises(PhaseError, match="phase1, which was trained before segmenter became what it is now"):
        materialize("phase1_evaluation")


def test_the_next_phase_is_refused_without_a_decision(trained, materialize):
    with pytest.raises(ClearanceRefused, match="phase 1 is not decided"):
        materialize("phase2")


def test_a_gate_that_is_not_go_stops_the_next_phase_and_an_override_lets_it_on(trained, materialize, home, workers):
    evaluated(home)
    materialize("phase1_gate")
    with pytest.raises(ClearanceRefused):
        materialize("phase2")
    made = materialize("phase1_gate", config=OVERRIDE)
    assert made.metadata["override"].value["by"] == "demo"
    assert made.metadata["verdict"].value != "GO"
    materialize("phase2")
    assert workers.commands == ["phase2 moving_shapes"]


def test_the_same_evaluation_is_decided_and_overridden_once(trained, materialize, home):
    evaluated(home)
    for _ in range(2):
        materialize("phase1_gate", config=OVERRIDE)
    log = decisions(home)
    assert len(log.decisions(1)) == 1
    assert len(log.overrides(1)) == 1


def test_a_dispatch_is_paid_for_in_the_ledger(trained, home):
    [held] = booked(home)
    assert (held.phase, held.state, held.ended, held.experiment) == (1, "settled", "done", "phase1")


def test_a_phase_that_stops_at_its_reservation_goes_on_when_a_person_has_approved_hours(materialize, workers, home):
    materialize(*DATA)
    workers.stops = StoppedAtReservation("phase1: its time was up after step 120 of 200; run again, it goes on there")
    with pytest.raises(StoppedAtReservation, match=r"step 120 of 200.*budget approve moving_shapes/phase1/\w+ --hours"):
        materialize("phase1")
    folder = home.run(DATASET.name, "phase1")
    (folder / "checkpoints").mkdir()
    workers.commands.clear()
    with pytest.raises(BudgetRefused, match="stopped at the end of its 2 h"):
        materialize("phase1")
    assert workers.commands == []
    ledger(home).approve("moving_shapes/phase1", 0.5, "A. Chair", "it still learns")
    materialize("phase1")
    assert workers.commands == ["phase1 moving_shapes"]
    assert workers.seconds == [pytest.approx(7200, abs=60), pytest.approx(1800, abs=60)]
    assert (folder / "checkpoints").is_dir(), "what was done is kept"
    assert [one.ended for one in booked(home)] == ["stopped", "done"]


def test_an_evaluation_is_an_experiment_of_its_own(trained, materialize, home):
    evaluated(home)
    materialize("phase1_evaluation")
    assert [one.experiment for one in booked(home)] == ["phase1", "phase1/evaluation"]


def test_the_budget_is_mirrored_to_mlflow_once_for_each_reservation(trained, materialize, home, monkeypatch):
    import mlflow

    def mirrored():
        return mlflow.search_runs(experiment_names=["budget"], output_format="list")

    held = {one.key: one for one in ledger(home).reservations()}
    assert {run.info.run_name for run in mirrored()} == set(held)
    run = mirrored()[0]
    one = held[run.info.run_name]
    assert (run.data.tags["ended"], run.data.tags["person"]) == ("done", one.person)
    assert run.data.metrics["wall_hours"] == one.wall_hours
    document = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/budget.json")
    assert one.key in {entry["key"] for entry in document["reservations"]}
    evaluated(home)
    materialize("phase1_evaluation")
    assert len(mirrored()) == len(held) + 1


def test_a_mirror_that_breaks_breaks_no_run(materialize, workers, home, monkeypatch):
    monkeypatch.setattr(tracking, "spent", lambda *_: (_ for _ in ()).throw(OSError("MLflow is away")))
    materialize(*DATA)
    made = materialize("phase1")
    assert made.metadata["made_now"].value is True
    assert "budget" not in made.metadata
    assert [one.ended for one in booked(home)] == ["done"]


def test_a_fusion_over_the_budget_is_not_dispatched_unless_on_purpose(materialize, workers, foresight):
    materialize(*DATA)
    workers.commands.clear()
    table = yaml.safe_load(Path(foresight.profile_name).read_text())
    for over, commands in ((False, []), (True, ["phase1 moving_shapes"])):
        table["fusion"] = {"named": "as_written", "over_budget": over}
        Path(foresight.profile_name).write_text(yaml.safe_dump(table))
        if over:
            assert materialize("phase1").metadata["fusion"].value.endswith("on purpose: fusion.over_budget")
        else:
            with pytest.raises(OverBudgetError, match="over the budget of 50,000,000"):
                materialize("phase1")
        assert workers.commands == commands
