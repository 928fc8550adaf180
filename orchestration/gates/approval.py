"""`approve_gate`: a person lets the programme go on past a gate, from Dagster's launchpad.

The override is recorded first and copied then; an empty name or reason, or a day that is past, fails the run and
records nothing. `foresight gate approve` does the same from a terminal.
"""

import dagster as dg
from pydantic import Field

from orchestration.data.datasets import GENERATED, DatasetError, known
from orchestration.gates import gate_stage
from orchestration.record.decisions import last_day
from orchestration.record.opened import decisions
from orchestration.resources import APPROVE, Foresight


class Approval(dg.Config):
    """Who lets which gate pass, and why."""

    phase: int = Field(ge=1, le=3, description="the phase whose gate is passed: 1, 2 or 3")
    by: str = Field(description="the name that answers for it")
    why: str = Field(description="the reason, as it will stand in the log and in the report; never empty")
    until: str = Field(default="", description="its last day, YYYY-MM-DD (UTC); empty: until the phase's next decision")
    dataset: str = Field(default=GENERATED, description="the data set whose programme goes on, by its name")


@dg.op(description="Record the override, signed, beside the decision that stands.")
def sign(context: dg.OpExecutionContext, config: Approval, foresight: Foresight) -> None:
    if config.dataset not in (names := [dataset.name for dataset in known(foresight.home)]):
        raise DatasetError(f"{config.dataset}: no such data set; there are {', '.join(names)}")
    log, profile, until = decisions(foresight.home), foresight.profile.name, last_day(config.until)
    override = log.approve(config.phase, config.by, config.why, until, dataset=config.dataset, profile=profile)
    context.log.warning(f"phase {override.phase} overridden by {override.by}: {override.why}")
    context.add_output_metadata(gate_stage.override_metadata(override.document()))
    gate_stage.copy(context, foresight)


@dg.job(name=APPROVE, description=(__doc__ or "").strip())
def approve_gate() -> None:
    sign()
