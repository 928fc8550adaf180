"""Phase 2's second question: do the combined streams exceed each single one (§4.4)?

The rule is `single_stream` of config/programme.yaml. A gain is the hybrid against an arm on the same clips, positive
when the hybrid is better. It is read from `arms[ARM][NAME_gain]`, the interval of the paired differences; where an
evaluation has none, it is bounded from the two intervals, which is wider and so decides less often, never more. That
the clips are the same is read from the hashes that the evaluation pins for its per-clip values; an evaluation from
before those shows it where both arms were measured on every one of its clips.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.documents import Evaluation, MetricValue, Phase
from orchestration.plan.programme import Bar, Programme

Compared = tuple[str, Bar, MetricValue | None, str | None]


def compared(programme: Programme, evaluation: Evaluation, phase: Phase) -> Iterator[Compared]:
    """(row name, bar, gain, why it may not gate) for each comparison the programme asks of this phase."""
    rule = programme.phases[phase].single_stream
    if rule is None:
        return
    asked = [(arm, name, 0.0) for arm, names in rule.exceeds.items() for name in names]
    asked += [(arm, name, -margin) for arm, margins in rule.keeps.items() for name, margin in margins.items()]
    for arm, name, line in asked:
        bar = Bar(metric=f"{name}_gain", better="higher", target=line, failure=line, section=rule.section)
        value, why = over(programme, evaluation, arm, name)
        yield f"{name}_gain@{arm}", bar, value, why


def over(programme: Programme, evaluation: Evaluation, arm: str, name: str) -> tuple[MetricValue | None, str | None]:
    """The hybrid's gain over an arm in one metric, and why it may not gate, if so."""
    arms = {str(key): value for key, value in evaluation.arms.items()}
    if missing := [needed for needed in ("hybrid", arm) if needed not in arms]:
        return None, f"arm {' and '.join(missing)} not evaluated"
    hybrid, other = arms["hybrid"].get(name), arms[arm].get(name)
    gain = arms[arm].get(f"{name}_gain")
    if hybrid is None or other is None:
        return None, f"not measured on {'hybrid' if hybrid is None else arm}"
    if hybrid.n != other.n:
        return gain, f"arms not measured on the same clips: hybrid on {hybrid.n}, {arm} on {other.n}"
    if hybrid.protocol != other.protocol:
        return gain, f"arms measured by different protocols: {hybrid.protocol!r}, {other.protocol!r}"
    if lacking := programme.metrics[name].foreign(hybrid.protocol):
        return gain, f"arms measured by another protocol ({hybrid.protocol!r}), not the one by {', '.join(lacking)}"
    if why := _unpaired(evaluation, arm):
        return gain, why
    if gain is None:
        if evaluation.per_clip is None and hybrid.n != evaluation.n_clips:
            return None, f"nothing shows that the {hybrid.n} of {evaluation.n_clips} clips are the same on both arms"
        gain = bounded(hybrid, other, programme.metrics[name].better)
    return gain, _distrust(gain, programme.metrics[name].min_n, evaluation.n_clips)


def bounded(hybrid: MetricValue, other: MetricValue, better: str) -> MetricValue:
    """The widest difference that the two intervals allow."""
    best, rest = (hybrid, other) if better == "higher" else (other, hybrid)
    return MetricValue(
        value=_minus(best.value, rest.value),
        low=_minus(best.low, rest.high),
        high=_minus(best.high, rest.low),
        n=hybrid.n,
        protocol="bounded from the two intervals",
    )


def _unpaired(evaluation: Evaluation, arm: str) -> str | None:
    """Why the arms are not on the same clips, if the evaluation's own hashes say so."""
    if evaluation.per_clip is None:
        return None
    clips = evaluation.per_clip.clips
    if missing := [name for name in ("hybrid", arm) if name not in clips]:
        return f"no per-clip values of {' and '.join(missing)}"
    return None if clips["hybrid"] == clips[arm] else f"hybrid and {arm} were measured on other clips"


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _distrust(gain: MetricValue, min_n: int, n_clips: int) -> str | None:
    if gain.value is None or gain.low is None or gain.high is None:
        return "not finite, or without an interval"
    if not gain.low <= gain.value <= gain.high:
        return f"its interval {gain.low:g} to {gain.high:g} does not hold its value {gain.value:g}"
    if gain.n < min_n:
        return f"n {gain.n} is below {min_n} clips"
    if gain.n > n_clips:
        return f"n {gain.n} is more than the {n_clips} clips of this evaluation"
    return None
