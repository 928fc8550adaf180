"""`foresight run`: the programme through Dagster, in this process, into the instance that the UI shows (design §11).

Dagster and the workers write to a log under the home; the terminal belongs to the progress alone.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

import dagster as dg

from orchestration import selection
from orchestration.data.datasets import find
from orchestration.definitions import ON_DEMAND, PROGRAMME, build
from orchestration.display import Display
from orchestration.groups import PHASES
from orchestration.home import Home
from orchestration.instance import instance
from orchestration.jobs import PREDICTOR
from orchestration.lock import hold
from orchestration.plan.programme import load as programme
from orchestration.profile import load as load_profile
from orchestration.progress import listeners
from orchestration.studies import STUDIES
from orchestration.system import fusion_budget
from orchestration.worker import one_line

REFUSALS = {"ClearanceRefused", "BudgetRefused", "OverBudgetError", "StoppedAtReservation", "WorkerRefused"}


class RunError(RuntimeError):
    """A run that did not come to its end; the line says where and why."""


class RunRefused(RunError):
    """A run that a gate or the budget stopped (exit 3)."""

    exit_code = 3


@dataclass
class Outcome:
    """What a run did."""

    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each stage, in the order they ended."""
    made: dict[str, bool] = field(default_factory=dict)
    """Whether a stage had to be made, or stood already."""
    failures: dict[str, str] = field(default_factory=dict)
    refused: bool = False


def run(
    home: Home,
    *,
    profile: str = "",
    data: str = "",
    until: str = "",
    override: tuple[str, str] = ("", ""),
    quiet: bool = False,
) -> Outcome:
    """Materialize the programme and show how it goes.

    Raises:
        RunError: a stage failed; RunRefused: a gate or the budget stopped it; RunningError: another run is going on.
        OverBudgetError: the fusion has more parameters than §2.2 allows; nothing was started.
    """
    given = load_profile(profile)
    fusion_budget.require(given, programme())
    dataset = find(home, data) if data else None
    with hold(home.lock, "foresight run"), _own_output(home) as terminal:
        definitions = build(home, profile or given.name)
        job = definitions.resolve_job_def(ON_DEMAND if until in (PREDICTOR, *STUDIES) else PROGRAMME)
        keys = selection.wanted(
            definitions.resolve_asset_graph().materializable_asset_keys, selection.datasets_of(dataset), until
        )
        outcome = Outcome(str(uuid.uuid4()))
        with Display(terminal, len(keys), quiet=quiet) as display, instance(home) as made:
            made.add_event_listener(outcome.run_id, lambda entry: _note(entry, outcome, display))
            listeners.append(display.progress)
            try:
                job.execute_in_process(
                    instance=made,
                    run_id=outcome.run_id,
                    asset_selection=keys,
                    run_config=_overrides(keys, override),
                    raise_on_error=False,
                    tags={"foresight/profile": given.name},
                )
            finally:
                listeners.remove(display.progress)
    if outcome.failures:
        where, why = next(iter(outcome.failures.items()))
        kind = RunRefused if outcome.refused else RunError
        raise kind(f"{where}: {why} (the whole log: {home.dagster / 'run.log'})")
    return outcome


def _note(entry: dg.EventLogEntry, outcome: Outcome, display: Display) -> None:
    """Take one event of the run: a stage that begins, is made, ends or fails."""
    event = entry.dagster_event
    if event is None or event.step_key is None:
        return
    stage = event.step_key.replace("__", "/")
    if event.is_step_start:
        outcome.seconds[stage] = -time.monotonic()
        display.begin(stage)
    elif event.is_step_materialization:
        flag = event.step_materialization_data.materialization.metadata.get("made_now")
        outcome.made[stage] = bool(flag.value) if flag is not None else True
    elif event.is_step_success:
        outcome.seconds[stage] = outcome.seconds.pop(stage) + time.monotonic()
        display.end(stage, outcome.seconds[stage], made=outcome.made.get(stage, True))
    elif event.is_step_failure:
        outcome.seconds[stage] = outcome.seconds.pop(stage, -time.monotonic()) + time.monotonic()
        chain = list(_chain(event.step_failure_data.error))
        outcome.refused |= any(error.cls_name in REFUSALS for error in chain)
        own = [error for error in chain if not (error.cls_name or "").startswith("Dagster")]
        outcome.failures[stage] = _message(next(iter(own or chain), None))  # what lies deeper says no remedy
        display.fail(stage, outcome.failures[stage])


def _chain(error: Any) -> Iterator[Any]:
    """An error as Dagster keeps it, and what it was raised from."""
    while error is not None:
        yield error
        error = error.cause


def _message(error: Any) -> str:
    """The error's own words: Dagster puts the name of its class in front."""
    text = one_line(RuntimeError(getattr(error, "message", "") or "it failed without a word"))
    return text.removeprefix(f"{getattr(error, 'cls_name', '')}: ").split(f"{getattr(error, 'cls_name', '')}: ", 1)[-1]


def _overrides(keys: list[dg.AssetKey], override: tuple[str, str]) -> dict[str, object]:
    """The launch configuration of the gates: who lets the programme go on, and why."""
    by, why = override
    gates = [key for key in keys if key.path[-1] in {f"phase{phase}_gate" for phase in PHASES}]
    if not by:
        return {}
    return {"ops": {"__".join(key.path): {"config": {"override_by": by, "override_why": why}} for key in gates}}


@contextmanager
def _own_output(home: Home) -> Iterator[TextIO]:
    """Keep the terminal for the progress: what Dagster, DVC and the workers print goes to a file."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    log = os.open(home.dagster / "run.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    terminal = os.fdopen(os.dup(kept[0]), "w", encoding="utf-8", errors="replace")
    try:
        yield terminal
    finally:
        terminal.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        os.close(kept[0])
        os.close(kept[1])
