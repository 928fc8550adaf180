"""Whether a metric says anything at all: its value against the same measure of what should have none (design §6).

Beside a metric may stand its null (`NAME_null`: captions of other clips, boxes without a frame) and its lift
(`NAME_lift`: clip by clip, positive when the value is better than the null). Three rules (ADR 11), none of which turns
a number into a GO:

1. A measure whose lift is not above 0 on true clips is useless: whatever it says of generated ones decides nothing.
   Asked is `NAME_true_lift` (against the data set's own captions) or, where the data set has none, the lift of the VAE
   round trip: two views of one clip, which a measure that says one thing of everything, or anything of each, finds no
   nearer than two clips.
2. A value whose own lift is not above 0 may fail and may not pass: the clips are no nearer to theirs than to others.
3. A target that the null reaches by itself is passed by anything.
"""

from __future__ import annotations

from orchestration.documents import Evaluation, MetricValue, Verdict
from orchestration.gates.comparison import bounded
from orchestration.plan.programme import Bar

NOTHING = 1e-6
"""A lift up to here is rounding."""


def useless(name: str, evaluation: Evaluation) -> str | None:
    """Why this measure decides nothing, if so (rule 1)."""
    roundtrip = evaluation.baselines.get("vae_roundtrip", {})
    seen = {
        "true clips": evaluation.metrics.get(f"{name}_true_lift"),
        "the VAE round trip": roundtrip.get(f"{name}_lift"),
    }
    for where, lift in seen.items():
        if lift is not None:
            return None if _above(lift) else f"the measure is useless: on {where} {_no_better(lift)}"
    return None


def unproven(bar: Bar, evaluation: Evaluation, outcome: Verdict) -> str | None:
    """Why an outcome better than NO_GO does not count, if so (rules 2 and 3)."""
    null, lift = (evaluation.metrics.get(f"{bar.metric}_{beside}") for beside in ("null", "lift"))
    if outcome == "NO_GO" or null is None:
        return None
    if null.value is not None and bar.sign * null.value >= bar.sign * bar.target:
        return f"its null, {null.value:.4g}, reaches the target {bar.target:g} by itself: passing it says nothing"
    lift = lift or bounded(evaluation.metrics[bar.metric], null, bar.better)
    return None if _above(lift) else _no_better(lift)


def _above(lift: MetricValue) -> bool:
    return lift.low is not None and lift.low > NOTHING


def _no_better(lift: MetricValue) -> str:
    if lift.value is None or lift.low is None or lift.high is None:
        return "it cannot be told from its null: no interval of the gain over it"
    return f"it is no better than its null: gain over it {lift.value:.4g}, {lift.low:.4g} to {lift.high:.4g}"
