"""A study whose time is up within a training stops as one does between two cells: it asks, and goes on later."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from models.training.loop import OutOfTime
from orchestration.budget.allowance import StoppedAtReservation
from orchestration.home import Home
from orchestration.studies import router, stage
from orchestration.studies.declaration import load
from tests.orchestration.studies import small


def test_a_training_that_is_out_of_time_is_no_failure(tmp_path, monkeypatch):
    def ends(cell, bench):
        raise OutOfTime("phase2 hybrid", 3, 9)

    monkeypatch.setattr(router, "measure", ends)
    monkeypatch.setattr(stage.tracking, "child", lambda *_: nullcontext(SimpleNamespace(id="run")))
    declared = load("router")
    study = stage._Run(small.job(Home(tmp_path)), declared, lambda *_: None, lambda: math.inf)
    cell = router.cells(declared.planned, study.sizes)[0]
    with pytest.raises(StoppedAtReservation, match=r"cell hybrid: .* after step 3 of 9; run again, it goes on there"):
        study._cell(cell, "mark", {})
    assert (stage.kept.folder(study.job.out, cell.name) / "fingerprint").read_text() == "mark"
