"""Phase and gate assets: not run twice, not dispatched past a gate, and an override is a person's recorded word."""

import json

import pytest

from orchestration.clearance import ClearanceRefused
from orchestration.phase_stage import PhaseError
from orchestration.record import decisions
from tests.assets.conftest import DATASET
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
    from orchestration.ledger import Ledger
    from orchestration.programme import load
    from orchestration.store import Store

    held = Ledger(Store(home.database), load()).reservations()
    assert [(one.phase, one.state) for one in held] == [(1, "settled")]
