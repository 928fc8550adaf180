"""A home with a record worth a backup: decisions, an override, and a run that was paid for."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.budget.ledger import Ledger
from orchestration.home import Home
from orchestration.plan.programme import load
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.orchestration.evaluations import evaluation, metric


@dataclass(frozen=True)
class Standing:
    """What a person would ask of a record."""

    decisions: list[str | None]
    overrides: int
    used_gpu_hours: float
    broken: str | None


def fill(home: Home, ious: tuple[float, ...] = (0.80, 0.60), run: str = "run") -> None:
    """Decide Phase 1 once for each value, let it pass, and pay for a run of 3 hours on two GPUs."""
    store = Store(home.database)
    log, ledger = DecisionLog(store), Ledger(store, load())
    for iou in ious:
        log.decide(load(), evaluation(1, spatial_iou=metric(iou)))
    log.approve(1, "Chair", "agreed on Monday")
    ledger.reserve(run, phase=1, gpus=2, max_hours=10, device="a100")
    ledger.commit(run)
    ledger.settle(run, wall_hours=3)


def standing(home: Home) -> Standing:
    """What its record says now."""
    store = Store(home.database)
    log = DecisionLog(store)
    made = log.decisions()
    return Standing(
        decisions=[decision.sha256 for _, decision in made],
        overrides=len(log.overrides()),
        used_gpu_hours=Ledger(store, load()).summary()["used_gpu_hours"],
        broken=log.verify(),
    )
