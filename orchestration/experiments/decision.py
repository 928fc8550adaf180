"""What every experiment's decision shares, whatever its rule: what may decide at all, the verdict, the pins (§7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestration.experiments.documents import Claim, ExperimentDecision, Measurement, Outcome, Verdict


def verdict_of(outcomes: Sequence[Outcome]) -> Verdict:
    """One claim that fails brings it down; all must hold for it to stand."""
    if "fails" in outcomes:
        return "falls"
    return "stands" if outcomes and set(outcomes) == {"holds"} else "open"


def verdict_said(words: Mapping[Verdict, str], measured: Measurement, verdict: Verdict) -> str:
    """The verdict as a sentence, of stand-ins where it is theirs; `words` says what each means."""
    said = f"for these stand-ins {words[verdict]}." if measured.standins else f"{words[verdict]}."
    return said[0].upper() + said[1:]


def untrusted(declaration_sha256: str, measured: Measurement, standins_decide: Sequence[str]) -> str | None:
    """Why nothing of what was measured may decide, if so.

    Args:
        standins_decide: the profiles in which stand-ins may decide (config/programme.yaml).
    """
    if measured.declaration_sha256 != declaration_sha256:
        return "measured under another declaration; run it again"
    if measured.standins and measured.profile not in standins_decide:
        return f"made with stand-ins, which decide nothing of profile {measured.profile}"
    return None


def decided(
    experiment: str, declaration_sha256: str, measured: Measurement, claims: Sequence[Claim], finding: str
) -> ExperimentDecision:
    """The decision that these claims make, with what it was decided on."""
    return ExperimentDecision(
        schema="foresight.experiment_decision/1",  # pyright: ignore[reportCallIssue]
        experiment=experiment,
        verdict=verdict_of([claim.outcome for claim in claims]),
        claims=tuple(claims),
        finding=finding,
        pins={
            "profile": measured.profile,
            "standins": measured.standins,
            "dataset": measured.dataset,
            "data_version": measured.data_version,
            "code_commit": measured.code_commit,
            "weights": dict(measured.weights),
            "declaration_sha256": declaration_sha256,
            "document_sha256": measured.sha256,
        },
    )
