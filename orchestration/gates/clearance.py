"""May a phase be dispatched? (design §7)

Asked again at every dispatch, whatever Dagster says: its blocking checks hold only within one run. On a record that
somebody edited nothing is dispatched: a NO_GO may have been made a GO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration.plan.programme import Programme

if TYPE_CHECKING:
    from orchestration.experiments.declaration import PremiseDeclaration
    from orchestration.experiments.record import ExperimentLog, ExperimentOverride
    from orchestration.record.decisions import DecisionLog, Override


class ClearanceRefused(RuntimeError):
    """A phase that may not be dispatched (exit 3)."""

    exit_code = 3


@dataclass(frozen=True)
class Clearance:
    """Whether a phase may be dispatched, and because of what; by whose override, if by one."""

    allowed: bool
    because: str
    override: Override | ExperimentOverride | None = None

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
    if broken := log.verify():
        return Clearance(False, f"phase {phase} may not start: the record is broken at {broken}; `foresight gate log`")
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


def premise_clearance(
    log: ExperimentLog,
    declaration: PremiseDeclaration,
    *,
    dataset: str,
    profile: str,
    standins: bool,
    weights: Mapping[str, str] | None = None,
) -> Clearance:
    """Phase 1 needs the premise to stand on real weights, or a person's override (design §4.10).

    Args:
        standins: whether the profile runs on stand-ins: what they say of the premise holds nothing up.
        weights: those that are there now; a decision on others does not count. None: not asked.
    """
    decision = log.standing(declaration, profile=profile, dataset=dataset, weights=weights)
    if standins:
        said = f"for stand-ins it {_PREMISE[decision.verdict]}" if decision else "it is not decided"
        return Clearance(True, f"phase 1 on stand-ins waits for no premise ({said})")
    decided = decision is not None and not decision.pins["standins"]
    if decision is not None and decided and decision.verdict == "stands":
        return Clearance(True, f"the premise stands (decision {decision.sha256[:12]})")
    if decision is None:
        said = "the premise is not decided"
    else:
        said = f"the premise {_PREMISE[decision.verdict]}" if decided else "the premise was audited on stand-ins only"
    override = log.live_override(declaration.name, profile=profile)
    if override is not None:
        until = f" until {override.until}" if override.until else ""
        return Clearance(True, f"{said}, overridden by {override.by}{until}: {override.why}", override)
    if not decided:
        remedy = f"`foresight experiment premise --profile {profile}` decides it, on real weights"
    else:
        remedy = f"`foresight experiment approve premise --profile {profile} --by NAME --why REASON` lets it start"
    return Clearance(False, f"phase 1 may not start: {said}; {remedy}")


_PREMISE = {"stands": "stands", "falls": "falls", "open": "is open"}
