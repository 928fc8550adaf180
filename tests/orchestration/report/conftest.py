"""A home in which the programme has run up to Phase 2."""

import datetime as dt
import json
from pathlib import Path

import pytest

from orchestration.documents import Evaluation
from orchestration.home import Home
from orchestration.plan import programme
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.orchestration.report import sample

TIMES = {
    "moving_shapes/dinov2": 31.0,
    "moving_shapes/phase1": 181.0,
    "moving_shapes/phase1_evaluation": 38.0,
    "moving_shapes/phase2": 402.0,
    "real/shards": 3.0,
}


class Ran:
    """A home, and what tests do to it."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.log = DecisionLog(Store(self.home.database))

    def evaluated(self, evaluation: Evaluation, dataset: str = "moving_shapes") -> None:
        folder = self.home.run(dataset, f"phase{evaluation.phase}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "evaluation.json").write_text(json.dumps(evaluation.document()), encoding="utf-8")

    def decided(self, evaluation: Evaluation) -> None:
        self.evaluated(evaluation)
        self.log.decide(programme.load(), evaluation, pins={"dataset": "moving_shapes"})

    def overridden(self, phase: int, why: str, until: dt.date | None = None) -> None:
        self.log.approve(phase, "A. Chair", why, until, dataset="moving_shapes")


@pytest.fixture
def empty(tmp_path: Path) -> Ran:
    return Ran(tmp_path / "home")


@pytest.fixture
def ran(empty: Ran) -> Ran:
    empty.decided(sample.phase1())
    empty.decided(sample.phase2())
    sample.pictures(empty.home, 1)
    empty.home.times.write_text(json.dumps(TIMES))
    return empty
