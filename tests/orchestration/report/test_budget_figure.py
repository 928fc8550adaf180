"""The budget's figure: what is there is drawn, and nothing else has to be."""

import pytest

from orchestration.budget.ledger import Ledger
from orchestration.budget.storage import document
from orchestration.plan.programme import load
from orchestration.record.store import Store
from orchestration.report.figures.budget import budget_figure
from tests.orchestration.ledgers import Clock
from tests.orchestration.report.test_figures import size


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    return Ledger(Store(tmp_path / "foresight.db"), load(), clock)


def trained(ledger, clock, key, end=True):
    ledger.reserve(key, phase=1, gpus=1, max_hours=5, device="a100", experiment="phase1")
    ledger.commit(key)
    for step in range(1, 11):
        clock.pass_hours(0.1)
        ledger.heartbeat(key, step, 10)
    if end:
        ledger.settle(key)


def test_an_empty_budget_is_drawn(ledger, tmp_path):
    alone = size(budget_figure(ledger.summary()))
    from orchestration.home import Home

    with_storage = size(budget_figure({**ledger.summary(), "storage": document(Home(tmp_path))}))
    assert with_storage[0] == alone[0]
    assert with_storage[1] > alone[1]


def test_a_run_that_was_foreseen_has_a_line(ledger, clock):
    before = size(budget_figure(ledger.summary()))
    trained(ledger, clock, "clips/phase1/abc/1")
    one = size(budget_figure(ledger.summary()))
    trained(ledger, clock, "clips/phase1/abd/1", end=False)
    two = size(budget_figure(ledger.summary()))
    assert before[1] < one[1] < two[1]
