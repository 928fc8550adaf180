"""Does the pivot's premise stand? One pure function from the declaration and what was measured (design §4.10, §7).

Three claims, each judged by whole intervals: the VLM does not say where things are, DINOv2 does, and the VLM's stream
is aligned with the decoder. All hold: it stands. One fails: it falls. Otherwise it is open. Nothing here reads a
clock, a file or a database.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.documents import MetricValue
from orchestration.experiments.decision import decided, untrusted, verdict_of
from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.experiments.documents import Claim, ExperimentDecision, Outcome, PremiseDocument
from orchestration.experiments.words import NAMES, finding

Judged = tuple[Outcome, str]


def decide(
    declaration: PremiseDeclaration, measured: PremiseDocument, *, standins_decide: Sequence[str]
) -> ExperimentDecision:
    """The decision on one audit.

    Args:
        standins_decide: the profiles in which stand-ins may decide (config/programme.yaml); elsewhere they leave every
            claim open, whatever they measured.
    """
    closed = untrusted(declaration.sha256, measured, standins_decide)
    rule = declaration.rule
    parts = (
        ("lacks_place", "The VLM does not say where things are", rule.lacks_place.section, _lacks_place),
        ("supplied", "DINOv2 says what the VLM does not", rule.supplied.section, _supplied),
        ("aligned", "The VLM's stream is aligned with the decoder", rule.aligned.section, _aligned),
    )
    claims = []
    for name, says, section, judge in parts:
        outcome, why = ("open", closed) if closed else judge(declaration, measured)
        claims.append(Claim(claim=name, says=says, section=section, outcome=outcome, why=why))
    verdict = verdict_of([claim.outcome for claim in claims])
    return decided(declaration.name, declaration.sha256, measured, claims, finding(declaration, measured, verdict))


def _lacks_place(declaration: PremiseDeclaration, measured: PremiseDocument) -> Judged:
    rule, least = declaration.rule.lacks_place, declaration.rule.min_clips.at
    outcomes: list[Judged] = []
    for encoder in rule.encoders:
        reading = measured.localisation.get(encoder)
        value = reading.bbox_iou if reading else None
        outcomes.append(_below(NAMES[encoder], value, rule.holds_below, rule.fails_above, least))
    return _all(outcomes)


def _below(what: str, value: MetricValue | None, holds: float, fails: float, least: int) -> Judged:
    """Where things are is not said: wholly below one line it holds, wholly above the other it fails."""
    found = _bounds(value, least)
    if isinstance(found, str):
        return "open", f"{what}: {found}"
    low, high = found
    said = f"{what}: Bounding Box IoU {_said(value)}"
    if high < holds:
        return "holds", f"{said}, below {holds:g}"
    if low > fails:
        return "fails", f"{said}, above {fails:g}"
    return "open", f"{said}, neither wholly below {holds:g} nor above {fails:g}"


def _supplied(declaration: PremiseDeclaration, measured: PremiseDocument) -> Judged:
    rule, least = declaration.rule.supplied, declaration.rule.min_clips.at
    outcomes: list[Judged] = []
    for other in rule.over:
        found = measured.difference(rule.encoder, other)
        value = found.bbox_iou if found else None
        outcomes.append(_above(f"{NAMES[rule.encoder]} less {NAMES[other]}", value, rule.margin, least))
    return _all(outcomes)


def _above(what: str, value: MetricValue | None, margin: float, least: int) -> Judged:
    found = _bounds(value, least)
    if isinstance(found, str):
        return "open", f"{what}: {found}"
    low, high = found
    said = f"{what}: {_said(value)}"
    if low > margin:
        return "holds", f"{said}, above {margin:g}"
    if high < margin:
        return "fails", f"{said}, below {margin:g}"
    return "open", f"{said}, across {margin:g}"


def _aligned(declaration: PremiseDeclaration, measured: PremiseDocument) -> Judged:
    rule, found = declaration.rule.aligned, measured.at("unbiased")
    if not found:
        return "open", "CKA: not measured"
    last = found[-1]
    if last.n < rule.min_n:
        return "open", f"CKA on {last.n} clips: fewer than {rule.min_n}"
    if last.cka.value is None or last.cka.low is None or last.permuted.high is None or last.p is None:
        return "open", f"CKA on {last.n} clips: undefined, one side does not vary"
    said = f"unbiased CKA {_said(last.cka)} on {last.n} clips, permuted up to {last.permuted.high:.3f}"
    if last.p > rule.level:
        return "fails", f"{said}: no more than chance (p {last.p:.3f})"
    if last.cka.low > last.permuted.high:
        return "holds", f"{said} (p {last.p:.3f})"
    return "open", f"{said}: its interval reaches into chance"


def _all(outcomes: Sequence[Judged]) -> Judged:
    """A claim over several encoders: one failure decides, and all must hold; the reasons of what decided."""
    words = {outcome for outcome, _ in outcomes}
    decided: Outcome = "fails" if "fails" in words else "open" if "open" in words else "holds"
    return decided, "; ".join(why for outcome, why in outcomes if outcome == decided)


def _bounds(value: MetricValue | None, least: int) -> tuple[float, float] | str:
    """Both ends of an interval, or why nothing is to be judged by it."""
    if value is None or value.value is None or value.low is None or value.high is None:
        return "not measured"
    return f"{value.n} clips, fewer than {least}" if value.n < least else (value.low, value.high)


def _said(value: MetricValue | None) -> str:
    return f"{value.value:.3f} ({value.low:.3f} .. {value.high:.3f})" if value else ""
