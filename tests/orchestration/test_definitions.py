"""The definitions load at once and hold the whole programme."""

import subprocess
import sys

import pytest

from orchestration.definitions import build
from orchestration.home import REPOSITORY, Home

HEAVY = ("torch", "mlflow", "dvc", "great_expectations", "transformers", "diffusers", "ray", "scipy", "matplotlib")


def test_loading_the_definitions_imports_nothing_heavy():
    code = f"import sys, orchestration.definitions; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")), "laptop").get_repository_def()


def test_every_asset_has_an_owner_a_kind_a_group_and_a_description(repository):
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name[0].isdigit(), key
        assert len(node.description or "") > 80, key


def test_groups_are_in_the_order_of_the_programme(repository):
    graph = repository.asset_graph
    groups = {
        key.path[-1]: graph.get(key).group_name for key in graph.get_all_asset_keys() if key.path[0] == "moving_shapes"
    }
    order = ["clips", "dinov2", "phase1", "phase2", "phase3", "report"]
    assert sorted(groups[name] for name in order) == [groups[name] for name in order]


def test_nothing_runs_by_itself_until_a_person_starts_it(repository):
    assert {sensor.default_status.value for sensor in repository.sensor_defs} == {"STOPPED"}
    assert {schedule.default_status.value for schedule in repository.schedule_defs} == {"STOPPED"}
    assert len(repository.schedule_defs) == 4


def test_a_phase_waits_for_the_gate_before_it(repository):
    import dagster as dg

    for phase in (2, 3):
        parents = repository.asset_graph.get(dg.AssetKey(["moving_shapes", f"phase{phase}"])).parent_keys
        assert dg.AssetKey(["moving_shapes", f"phase{phase - 1}_gate"]) in parents


def test_the_page_can_load_every_definition(tmp_path):
    import dagster as dg

    dg.Definitions.validate_loadable(build(Home(tmp_path), "laptop"))
