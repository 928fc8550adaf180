"""The budget as one document: what the ledger's book adds up to by phase, experiment, person and device (design §8).

`foresight budget`, the report, Dagster and MLflow all show this one.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestration.budget.forecast import Forecast, again
from orchestration.budget.reservations import FUZZ, OPEN, Approval, Book, Reservation
from orchestration.plan.programme import GpuHours
from orchestration.record.store import stamp

EVALUATION = "/evaluation"
"""What the experiment of a phase's evaluation adds to that of its training."""


def document(book: Book, hours: GpuHours, ahead: Mapping[str, Forecast], now: dt.datetime) -> dict[str, Any]:
    """The document `foresight.budget/1`.

    Args:
        ahead: the hours to its last step, of each run that goes on or waits for a person.
    """
    account = _Account(book, hours, ahead, now)
    phases = [account.phase(int(phase), cap) for phase, cap in sorted(hours.phases.items())]
    held, price = list(book.held.values()), hours.price.usd_per_hour
    sums = {name: sum(row[name] for row in phases) for name in ("used_gpu_hours", "reserved_gpu_hours", "cpu_hours")}
    return {
        "schema": "foresight.budget/1",
        "phases": phases,
        **sums,
        "used_usd": sum(row["used_usd"] for row in phases),
        "reserved_usd": sum(row["reserved_usd"] for row in phases),
        "cap_usd": sum(row["cap_usd"] for row in phases),
        "usd_per_gpu_hour": price,
        "warning": {
            "section": hours.warn.section,
            "at_gpu_hours": hours.warn.at,
            "passed": book.total() > hours.warn.at + FUZZ,
        },
        "devices": account.by(held, lambda one: one.device),
        "experiments": account.by(held, lambda one: one.experiment or f"phase{one.phase}"),
        "people": account.by(held, lambda one: one.person or "unnamed"),
        "reservations": [account.entry(one) for one in held],
        "waiting": [account.waits(work, one) for work, one in book.waiting().items()],
        "approvals": [_approval(one) for one in book.approvals],
    }


class _Account:
    def __init__(self, book: Book, hours: GpuHours, ahead: Mapping[str, Forecast], now: dt.datetime) -> None:
        self.book, self.ahead, self.now = book, ahead, now
        self.section, self.price = hours.section, hours.price.usd_per_hour
        self.caps = {int(phase): cap for phase, cap in hours.phases.items()}

    def phase(self, phase: int, cap: float) -> dict[str, Any]:
        mine = [one for one in self.book.held.values() if one.phase == phase]
        over, still = [one for one in mine if one.state not in OPEN], [one for one in mine if one.state in OPEN]
        used, reserved = sum(one.gpu_hours for one in over), sum(one.gpu_hours for one in still)
        return {
            "phase": phase,
            "cap_gpu_hours": cap,
            "section": self.section,
            "used_gpu_hours": used,
            "reserved_gpu_hours": reserved,
            "left_gpu_hours": cap - used - reserved,
            "used_usd": used * self.price,
            "reserved_usd": reserved * self.price,
            "cap_usd": cap * self.price,
            "cpu_hours": sum(one.wall_hours for one in over if one.gpus == 0),
        }

    def by(self, held: Iterable[Reservation], name: Callable[[Reservation], str]) -> dict[str, dict[str, float]]:
        sums: dict[str, dict[str, float]] = defaultdict(lambda: {"gpu_hours": 0.0, "wall_hours": 0.0, "usd": 0.0})
        for one in held:
            sums[name(one)]["gpu_hours"] += one.gpu_hours
            sums[name(one)]["wall_hours"] += one.wall_hours
            sums[name(one)]["usd"] += one.gpu_hours * self.price
        return dict(sums)

    def entry(self, one: Reservation) -> dict[str, Any]:
        entry: dict[str, Any] = {
            **one.__dict__,
            "work": one.work,
            "reserved_at": stamp(one.reserved_at),
            "committed_at": stamp(one.committed_at) if one.committed_at else None,
            "gpu_hours": one.gpu_hours,
            "usd": one.gpu_hours * self.price,
            "foreseen": [{**seen.__dict__, "at": stamp(seen.at)} for seen in one.foreseen],
            "forecast_error": one.error,
        }
        if one.state == "committed":
            ahead, left = self.ahead[one.key], one.max_hours - one.elapsed(self.now)
            entry["forecast"] = {**ahead.__dict__, "enough": ahead.fits(left)}
            entry["until_gate"] = self.until_gate(one)
        return entry

    def until_gate(self, one: Reservation) -> dict[str, Any]:
        """Hours until the phase can be decided: what is left of this run, and its evaluation as those before took."""
        evaluates = one.experiment.endswith(EVALUATION)
        experiment = one.experiment if evaluates else one.experiment + EVALUATION
        dataset = one.key.split("/")[0]
        evaluation = again(
            [
                past.wall_hours
                for past in self.book.held.values()
                if past.ended == "done"
                and (past.experiment, past.device, past.key.split("/")[0]) == (experiment, one.device, dataset)
            ]
        )
        spent = one.elapsed(self.now)
        whole = evaluation.less(spent) if evaluates else self.ahead[one.key].then(evaluation)
        others = self.book.total(one.phase) - one.gpu_hours
        left = (self.caps[one.phase] - others) / one.gpus - spent if one.gpus else None
        return {
            **whole.__dict__,
            "evaluations_measured": evaluation.samples,
            "left_hours": left,
            "enough": "yes" if left is None else whole.fits(left),
        }

    def waits(self, work: str, one: Reservation) -> dict[str, Any]:
        """Work that stopped: what it has used in all its attempts, and what it would need."""
        return {
            "work": work,
            "key": one.key,
            "phase": one.phase,
            "experiment": one.experiment,
            "max_hours": one.max_hours,
            "wall_hours": sum(other.wall_hours for other in self.book.attempts()[work]),
            "needs": dict(self.ahead[one.key].__dict__),
        }


def _approval(one: Approval) -> dict[str, Any]:
    return {**one.__dict__, "at": stamp(one.at)}
