"""Does a study's hypothesis stand? One pure function from the declaration and what was measured (ADR 24).

Each claim is judged by a whole interval. All hold: it stands. One fails: it falls. Otherwise it is open. Nothing here
reads a clock, a file or a database.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.documents import MetricValue
from orchestration.experiments.decision import decided, untrusted, verdict_of, verdict_said
from orchestration.experiments.documents import Claim, ExperimentDecision, Outcome, Verdict
from orchestration.studies.declaration import ClaimRule, StudyDeclaration
from orchestration.studies.documents import StudyDocument

VERDICTS: dict[Verdict, str] = {
    "stands": "the hypothesis stands",
    "falls": "the hypothesis falls",
    "open": "whether the hypothesis stands is open",
}


def decide(
    declaration: StudyDeclaration, measured: StudyDocument, *, standins_decide: Sequence[str]
) -> ExperimentDecision:
    """The decision on one study.

    Args:
        standins_decide: the profiles in which stand-ins may decide (config/programme.yaml); elsewhere they leave every
            claim open, whatever they measured.
    """
    closed = untrusted(declaration.sha256, measured, standins_decide)
    claims = []
    for rule in declaration.rule:
        value = measured.values.get(rule.value)
        outcome, why = ("open", closed) if closed else judge(rule, value, declaration.min_clips.at)
        claims.append(Claim(claim=rule.claim, says=rule.says, section=rule.section, outcome=outcome, why=why))
    said = verdict_said(VERDICTS, measured, verdict_of([claim.outcome for claim in claims]))
    return decided(declaration.name, declaration.sha256, measured, claims, f"{said} {measured.finding}")


def judge(rule: ClaimRule, value: MetricValue | None, least: int) -> tuple[Outcome, str]:
    """What a claim's rule makes of its value, measured on `least` clips or more."""
    if value is None or value.value is None or value.low is None or value.high is None:
        return "open", f"{rule.value}: not measured"
    if value.n < least:
        return "open", f"{rule.value}: {value.n} clips, fewer than {least}"
    said = f"{rule.value} {value.value:.3f} ({value.low:.3f} .. {value.high:.3f}, {value.n} clips)"
    wholly_above, wholly_below = value.low > rule.line, value.high < rule.line
    holds, fails = (wholly_above, wholly_below) if rule.above is not None else (wholly_below, wholly_above)
    side = "above" if wholly_above else "below" if wholly_below else "across"
    return "holds" if holds else "fails" if fails else "open", f"{said}, {side} {rule.line:g}"
