"""May a phase be dispatched? (design §7)

Asked again at every dispatch, whatever Dagster says: its blocking checks hold only within one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration.programme import Programme

if TYPE_CHECKING:
    from orchestration.decisions import DecisionLog, Override


class ClearanceRefused(RuntimeError):
    """A phase that may not be dispatched (exit 3)."""

    exit_code = 3


@dataclass(frozen=True)
class Clearance:
    """Whether a phase may be dispatched, and because of what; by whose override, if by one."""

    allowed: bool
    because: str
    override: Override | None = None

    def require(self) -> Clearance:
        """This clearance, or ClearanceRefused."""
        if not self.allowed:
            raise ClearanceRefused(self.because)
        return self


def clearance(
    phase: int, log: DecisionLog, programme: Programme, *, dataset: str | None = None, profile: str | None = None
) -> Clearance:
    """Phase N needs the GO of phase N-1, for the same data and profile, or an override that still counts."""
    if phase not in programme.phases:
        raise ValueError(f"there is no phase {phase}: give {', '.join(map(str, programme.phases))}")
    before = phase - 1
    if before < 1:
        return Clearance(True, f"phase {phase} is the first: no gate stands before it")
    decision = log.latest(before, dataset=dataset, profile=profile)
    if decision is not None and decision.verdict == "GO":
        return Clearance(True, f"phase {before} is GO (decision {decision.sha256[:12]})")
    said = f"phase {before} is {decision.verdict} ({decision.action})" if decision else f"phase {before} is not decided"
    override = log.live_override(before, dataset=dataset, profile=profile)
    if override is not None:
        until = f" until {override.until}" if override.until else ""
        return Clearance(True, f"{said}, overridden by {override.by}{until}: {override.why}", override)
    expired = [one for one in log.overrides(before) if one.until is not None]
    lapsed = f" (the override by {expired[-1].by} ended on {expired[-1].until})" if expired else ""
    remedy = (
        f"`foresight gate decide {before}`"
        if decision is None
        else f"`foresight gate approve {before} --by NAME --why REASON`"
    )
    return Clearance(False, f"phase {phase} may not start: {said}{lapsed}; {remedy}")
