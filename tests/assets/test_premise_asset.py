"""The premise asset decides before Phase 1 spends: on real weights Phase 1 waits for it, or for a person."""

from pathlib import Path

import pytest
import yaml

from orchestration.gates.clearance import ClearanceRefused
from orchestration.jobs import PREMISE
from orchestration.record.opened import experiments
from tests.assets.conftest import booked
from tests.assets.test_phase_assets import DATA

FALLS = {"iou": {"qwen_premerge": 0.58}}


@pytest.fixture
def real(foresight):
    """The same home under a profile that is called a100 and says that its weights are no stand-ins."""
    path = Path(foresight.profile_name)
    table = yaml.safe_load(path.read_text()) | {"name": "a100", "standins": False}
    path.write_text(yaml.safe_dump(table))
    return foresight


def test_the_audit_is_recorded_paid_for_and_not_made_twice(materialize, workers, home, foresight):
    materialize(*DATA, PREMISE)
    made = materialize(PREMISE)
    assert workers.commands.count("premise moving_shapes") == 1
    assert made.metadata["made_now"].value is False
    assert made.metadata["verdict"].value == "stands"
    assert len(experiments(home).decisions(PREMISE)) == 1
    [held] = booked(home)
    assert (held.experiment, held.phase, held.max_hours, held.state) == (PREMISE, 1, 0.5, "settled")


def test_phase_1_waits_on_real_weights_and_goes_on_once_the_premise_stands(materialize, workers, real):
    materialize(*DATA)
    with pytest.raises(ClearanceRefused, match="the premise is not decided; `foresight experiment"):
        materialize("phase1")
    materialize(PREMISE)
    materialize("phase1")
    assert workers.commands[-2:] == ["premise moving_shapes", "phase1 moving_shapes"]


def test_an_audit_of_stand_ins_does_not_clear_the_a100(materialize, workers, real):
    workers.audit = {"standins": True}
    made = materialize(*DATA, PREMISE)
    assert made.metadata["verdict"].value == "open"
    with pytest.raises(ClearanceRefused, match="the premise was audited on stand-ins only"):
        materialize("phase1")


def test_a_premise_that_falls_holds_phase_1_until_a_person_signs(materialize, workers, real):
    workers.audit = FALLS
    materialize(*DATA, PREMISE)
    with pytest.raises(ClearanceRefused, match="the premise falls; `foresight experiment approve premise"):
        materialize("phase1")
    experiments(real.home).approve(PREMISE, "Chair", "DINOv2 is wanted anyway", profile="a100")
    made = materialize("phase1")
    assert "overridden by Chair: DINOv2 is wanted anyway" in made.metadata["cleared_because"].value


def test_other_weights_make_the_premise_undecided_again(materialize, workers, real):
    materialize(*DATA, PREMISE)
    (real.profile.weights.folder("qwen") / "model.safetensors").write_text("another Qwen")
    materialize(*DATA)
    with pytest.raises(ClearanceRefused, match="the premise is not decided"):
        materialize("phase1")
    materialize(PREMISE)
    materialize("phase1")


def test_on_the_laptop_nothing_waits_for_it(materialize, workers):
    made = materialize(*DATA, "phase1")
    assert "on stand-ins waits for no premise" in made.metadata["cleared_because"].value


def test_the_audit_comes_before_phase_1_in_the_graph_and_has_a_job(tmp_path):
    import dagster as dg

    from orchestration.definitions import build
    from orchestration.home import Home

    repository = build(Home(tmp_path / "another"), "laptop").get_repository_def()
    graph = repository.asset_graph
    key = dg.AssetKey(["moving_shapes", PREMISE])
    assert key in graph.get(dg.AssetKey(["moving_shapes", "phase1"])).parent_keys
    groups = [graph.get(dg.AssetKey(["moving_shapes", name])).group_name for name in ("qwen", PREMISE, "phase1")]
    assert groups == sorted(groups)
    assert len(set(groups)) == 3
    assert repository.has_job("moving_shapes__premise_audit")
    assert not graph.has(dg.AssetKey(["real", PREMISE]))
