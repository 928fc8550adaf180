"""What stands in a home, for the timeline and the risks: when each phase began and passed, what its runs measured.

Read from where each fact is kept: the ledger (a phase begins with its first reservation), the decisions and overrides,
and the history that a run writes at every step.
"""

import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestration.budget.ledger import Ledger
from orchestration.home import Home
from orchestration.jobs import DATA
from orchestration.plan.programme import Programme
from orchestration.plan.risks import RiskState, Signals, Training, assess
from orchestration.plan.timeline import PhaseDates, Timeline, timeline
from orchestration.plan.weeks import first_day, zone
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store


class StandingError(ValueError):
    """A file of a run that cannot be read."""


def standing(
    home: Home, dataset: str, programme: Programme, now: dt.datetime | None = None
) -> tuple[Timeline, list[RiskState]]:
    """Timeline and risks of one dataset's programme."""
    records, here = Store(home.database), zone(programme.timeline)
    log = DecisionLog(records)
    starts = _starts(Ledger(records, programme), dataset)
    dates = {phase: _dates(log, dataset, phase, starts.get(phase), here) for phase in programme.phases}
    noted = [at for one in dates.values() for at in (one.began, one.decided) if at is not None]
    today = (now or dt.datetime.now(dt.UTC)).astimezone(here).date()
    plan = timeline(programme, dates, today, first_day(), min(noted, default=None))
    latest = {phase: log.latest(phase, dataset=dataset) for phase in programme.phases}
    signals = Signals(
        timeline=plan,
        decisions={phase: decision for phase, decision in latest.items() if decision is not None},
        trainings=[run for phase in programme.phases for run in _trainings(home.run(dataset, f"phase{phase}"), phase)],
    )
    return plan, assess(programme, signals)


def _starts(ledger: Ledger, dataset: str) -> dict[int, dt.datetime]:
    """Features are made ahead, for a phase that has not begun."""
    starts: dict[int, dt.datetime] = {}
    for one in ledger.reservations():
        if one.key.startswith(f"{dataset}/") and one.experiment not in DATA:
            starts.setdefault(one.phase, one.reserved_at)
    return starts


def _dates(log: DecisionLog, dataset: str, phase: int, began: dt.datetime | None, here: ZoneInfo) -> PhaseDates:
    """A phase has passed with the first GO of those that stand now, or with the override of what it is."""
    decided = log.decisions(phase, dataset=dataset)
    passed = None
    for at, decision in reversed(decided):
        if decision.verdict != "GO":
            break
        passed = at
    if decided and passed is None and (override := log.live_override(phase, dataset=dataset)):
        passed = override.at

    def day(moment: dt.datetime | None) -> dt.date | None:
        return None if moment is None else moment.astimezone(here).date()

    first = decided[0][0] if decided else None
    return PhaseDates(day(began or first), day(first), day(passed))


def _trainings(folder: Path, phase: int) -> list[Training]:
    """The runs of a phase that have begun: one, or one an arm."""
    arms = sorted((folder / "arms").glob("*")) if (folder / "arms").is_dir() else []
    found = [(path, arm) for path, arm in [(folder, ""), *((path, path.name) for path in arms)]]
    return [
        Training(phase, arm, _history(path), _steps(folder, phase), (path / "non_finite.json").is_file())
        for path, arm in found
        if (path / "history.jsonl").is_file()
    ]


def _history(folder: Path) -> list[dict[str, float]]:
    """Its whole lines; the last one may still be in the writing."""
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError as error:
        raise StandingError(f"{folder / 'history.jsonl'}: damaged ({error}); train in a folder of its own") from error


def _steps(folder: Path, phase: int) -> int:
    """How many steps the job asked for."""
    path = folder / "job.json"
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["profile"][f"phase{phase}"]["steps"])
    except (OSError, ValueError, KeyError) as error:
        raise StandingError(f"{path}: says no number of steps for phase {phase} ({error!r}); run it again") from error
