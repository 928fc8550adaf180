"""Q4's curves through held-out errors, where they meet the gates' targets, and what that many clips cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.metric import Metric
from models.studies.scaling import Curve, ScalingError, fits
from orchestration.plan.programme import load as programme
from orchestration.studies.paired import Paired, documents, said
from orchestration.studies.q4 import Measure, Plan, Sizes, named
from orchestration.studies.short import TEXTS
from orchestration.studies.study import Analysis, Measured, Table

LAW = "power law through held-out errors at nested numbers of clips, equal steps; bootstrap over seeds and clips"
RISING = ("spatial_iou", "edge_f1", "temporal_ordering")
"""Measures of which more is better: their error is 1 less them."""


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Errors at every number of clips, curves, and where each meets its targets."""
    wanted = dict.fromkeys(name for names in plan.gates.values() for name in names)
    measures = [name for name in wanted if all(name in measured[cell]["by_clip"] for cell in _trained(sizes))]
    metrics: dict[str, Metric] = {}
    curves: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    for name in measures:
        errors = _errors(sizes, measured, name)
        clips = int(np.isfinite(errors).all((0, 1)).sum())
        targets = {gate: _target(gate, name) for gate, names in plan.gates.items() if name in names}
        metrics |= _doubling(sizes, measured, name, seed)
        try:
            curve, drawn = fits(sizes.clips, errors, sizes.resamples, seed)
        except ScalingError as error:
            rows += [
                (f"Phase {gate}, {name}", f"{target:.3f}", str(error), "", "", "") for gate, target in targets.items()
            ]
            continue
        curves[name] = _shown(sizes, errors, curve, drawn, targets)
        for gate, target in targets.items():
            metrics[f"short_{gate}_{name}"] = _short(curve, drawn, plan.clips_asked.at, target, clips)
            needed = _needed(curve, drawn, target, clips)
            metrics[f"clips_{gate}_{name}"] = needed
            costs = _costs(needed.value, plan, sizes, measured)
            rows.append((f"Phase {gate}, {name}", f"{target:.3f}", _clips(needed, curve, sizes.clips[0]), *costs))
    columns = ("gate and error", "target", "clips needed (95%)", "storage, GB", "machine-hours")
    table = Table("Where the curve meets each target", columns, tuple(rows))
    return Analysis(documents(metrics), (_sizes_table(sizes, measured, measures, seed), table), {"curves": curves})


def finding(plan: Plan, analysis: Analysis) -> str:
    """Which targets the curves meet at how many clips."""
    values, sentences = analysis.values, []
    for gate, names in plan.gates.items():
        for name in names:
            short = values.get(f"short_{gate}_{name}")
            needed = values.get(f"clips_{gate}_{name}")
            if short is None or needed is None:
                continue
            reached = (
                f"meets it at {_about(analysis, needed.value)} clips"
                if needed.value is not None
                else "levels off before it"
            )
            sentences.append(
                f"Phase {gate}'s {name}: the curve {reached}; at {plan.clips_asked.at:,} clips its error is "
                f"{said(short, '+')} from the target."
            )
    for name in dict.fromkeys(name for names in plan.gates.values() for name in names):
        if f"doubling_{name}" in values:
            sentences.append(
                f"The last step up in clips changed the error of {name} by {said(values[f'doubling_{name}'], '+')}."
            )
    return " ".join(sentences) or "Nothing was measured with every seed at every number of clips."


def _about(analysis: Analysis, clips: float) -> str:
    fewest = int(analysis.tables[0].rows[0][0].replace(",", ""))
    return f"fewer than {fewest}" if clips < fewest else f"{clips:,.0f}"


def _trained(sizes: Sizes) -> list[str]:
    return [named(clips, seed) for clips in sizes.clips for seed in sizes.seeds]


def _errors(sizes: Sizes, measured: Mapping[str, Measured], name: str) -> np.ndarray:
    """[sizes, seeds, held-out clips]; NaN where undefined."""
    ids = sorted(measured[named(sizes.clips[0], sizes.seeds[0])]["by_clip"][name])

    def row(clips: int, seed: int) -> list[float | None]:
        found = measured[named(clips, seed)]["by_clip"][name]
        return [found[clip] for clip in ids]

    return np.array([[row(clips, seed) for seed in sizes.seeds] for clips in sizes.clips], float)


def _target(gate: str, name: Measure) -> float:
    """The gate's own target, as an error."""
    phase = programme().phases[int(gate)]  # pyright: ignore[reportArgumentType]
    target = phase.criteria[name][0].target
    return 1 - target if name in RISING else target


def _doubling(sizes: Sizes, measured: Mapping[str, Measured], name: str, seed: int) -> dict[str, Metric]:
    """The error at the most clips less that at the next fewer, of equal seeds on equal clips."""
    most, fewer = ([named(clips, one) for one in sizes.seeds] for clips in (sizes.clips[-1], sizes.clips[-2]))
    proportions = ("temporal_ordering",)
    return {f"doubling_{name}": Paired(measured, seed, {name: f"error of {name}"}, proportions).less(most, fewer, name)}


def _short(curve: Curve, drawn: Sequence[Curve], clips: int, target: float, n: int) -> Metric:
    """The error at a number of clips less the target."""
    low, high = np.quantile([one.at(clips) - target for one in drawn], [0.025, 0.975])
    return Metric(curve.at(clips) - target, float(low), float(high), n, f"error at {clips:,} clips less target; {LAW}")


def _needed(curve: Curve, drawn: Sequence[Curve], target: float, n: int) -> Metric:
    """The clips at which the target is met; an end that lies at infinity is none."""
    ends = np.quantile([one.needed(target) for one in drawn], [0.025, 0.975], method="nearest")
    value, low, high = (float(end) if np.isfinite(end) else None for end in (curve.needed(target), *ends))
    return Metric(
        value, low, high, n, f"clips at which the target is met, none where the curve levels off before; {LAW}"
    )


def _clips(needed: Metric, curve: Curve, fewest: int) -> str:
    """In words; below the fewest clips that were trained on a curve is not read."""
    if needed.value is None:
        return f"not reached: it levels off at {curve.floor:.3f}"
    if needed.value < fewest:
        return f"fewer than {fewest}"
    ends = [f"{end:,.0f}" if end is not None else "not reached" for end in (needed.low, needed.high)]
    return f"{needed.value:,.0f} ({ends[0]} .. {ends[1]})"


def _costs(clips: float | None, plan: Plan, sizes: Sizes, measured: Mapping[str, Measured]) -> tuple[str, str]:
    """Storage of so many clips, and the hours of so many passes over them at the pace of these cells."""
    if clips is None:
        return "–", "–"
    numbers: dict[str, float] = measured[TEXTS]["numbers"]
    stored = sum(value for name, value in numbers.items() if name.startswith("bytes_"))
    pace = np.mean([measured[cell]["numbers"]["seconds_per_step"] for cell in _trained(sizes)])
    hours = clips * plan.passes / sizes.training.batch * pace / 3600
    return f"{clips * stored / 1e9:,.2f}", f"{hours:,.1f}"


def _shown(
    sizes: Sizes, errors: np.ndarray, curve: Curve, drawn: Sequence[Curve], targets: Mapping[str, float]
) -> dict[str, Any]:
    """What the figure draws of one measure."""
    along = np.geomspace(sizes.clips[0], 100_000, 60)
    band = np.quantile([[one.at(n) for n in along] for one in drawn], [0.025, 0.975], axis=0)
    return {
        "clips": sizes.clips,
        "seeds": np.nanmean(errors, axis=2).tolist(),
        "along": along.tolist(),
        "curve": [curve.at(n) for n in along],
        "low": band[0].tolist(),
        "high": band[1].tolist(),
        "law": [curve.floor, curve.scale, curve.slope],
        "targets": dict(targets),
    }


def _sizes_table(sizes: Sizes, measured: Mapping[str, Measured], measures: Sequence[str], seed: int) -> Table:
    """The errors at each number of clips."""
    paired = Paired(measured, seed, {name: name for name in measures}, ("temporal_ordering",))
    rows = []
    for clips in sizes.clips:
        made = [named(clips, one) for one in sizes.seeds]
        values = documents({name: paired.value(made, name) for name in measures})
        rows.append((f"{clips:,}", *(said(values[name]) for name in measures)))
    return Table("Held-out errors by number of train clips (less is better)", ("train clips", *measures), tuple(rows))
