"""What a stage needs, by Ray's names; and which GPUs of several are asked for."""

import pytest

from orchestration.dispatch.needs import ROLES, Dispatch, Gpus, Needs
from orchestration.profile import load
from orchestration.worker import STAGES
from tests.orchestration.dispatch.fakes import Client, cluster_of


def test_the_laptop_has_processes_and_the_a100_profile_what_the_proposal_names():
    assert load("laptop").dispatch.backend == "subprocess"
    dispatch = load("a100").dispatch
    assert dispatch.backend == "ray"
    assert [gpus.kind for gpus in dispatch.needs("phase3").gpus] == ["A100-80GB"]
    evaluation = [(gpus.kind, gpus.count) for gpus in dispatch.needs("evaluate").gpus]
    assert evaluation == [("A100-40GB", 1), ("A10-24GB", 2)]


def test_every_stage_but_the_raw_clips_has_a_role():
    assert set(STAGES) - set(ROLES) == {"clips"}


def test_what_is_not_said_needs_no_gpu():
    assert Dispatch().needs("phase1").resources(None) == {"CPU": 1.0, "memory": 2.0 * 2**30}


def test_a_kind_is_asked_for_by_a_share_of_its_nodes_resource():
    asked = Needs(cpus=8, memory_gib=64).resources(Gpus(kind="A10-24GB", count=2))
    assert asked == {"CPU": 8.0, "memory": 64.0 * 2**30, "GPU": 2.0, "accelerator_type:A10-24GB": 0.001}


A100, A10 = Gpus(kind="A100-40GB"), Gpus(kind="A10-24GB", count=2)


@pytest.mark.parametrize(
    ("nodes", "chosen"),
    [
        ([{"GPU": 1.0, "accelerator_type:A100-40GB": 1.0}], A100),
        ([{"GPU": 2.0, "accelerator_type:A10-24GB": 1.0}], A10),
        ([{"GPU": 1.0, "accelerator_type:A10-24GB": 1.0}], A100),
        ([], A100),
    ],
)
def test_the_first_kind_that_a_node_has_enough_of_is_taken_else_the_first_is_waited_for(nodes, chosen, monkeypatch):
    cluster = cluster_of(Client())
    monkeypatch.setattr(cluster, "_nodes", lambda: nodes)
    assert cluster.choose([A100, A10]) == chosen
