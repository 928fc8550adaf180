"""Q3's numbers: arms and references clip by clip, and whether the spatial stream's flicker grows with motion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.metric import Metric, bootstrap, paired_difference
from models.studies.influence import slope
from orchestration.documents import MetricValue
from orchestration.studies.paired import documents
from orchestration.studies.q3 import FEATURES, Plan, Sizes, drawn
from orchestration.studies.study import Analysis, Measured, Table

OUTPUT = {
    "flicker": "mean absolute change of still places between consecutive frames, in levels of 255",
    "motion": "the same of all other places",
    "dtssd": "root mean square difference to the true clip's change in time, in levels of 255",
    "dynamic_degree": "mean absolute change of a pixel between consecutive frames, 0..1",
    "temporal_lpips_variance": "variance over time of LPIPS (alex) between consecutive frames",
    "lpips": "LPIPS (alex) to the true clip",
}
TOKENS = {
    "still": "squared change of tokens of still cells over twice their variance",
    "moving": "squared change of tokens of other cells over twice their variance",
    "flicker": "squared second difference of tokens of still cells over six times their variance",
}
NAMES = {"uninjected": "LTX alone (first frame)", "vae_roundtrip": "VAE round trip", "true": "true clip"}


class Results:
    """The measured cells as values of clips, means over the sampler's seeds."""

    def __init__(self, plan: Plan, sizes: Sizes, measured: Mapping[str, Measured]) -> None:
        self.cells: dict[str, list[Measured]] = {
            arm: [measured[drawn(arm, seed)] for seed in sizes.seeds if drawn(arm, seed) in measured]
            for arm in plan.arms
        }
        self.cells |= {name: [measured[name]] for name in plan.references if name in measured}
        self.cells = {name: found for name, found in self.cells.items() if found}

    def values(self, name: str, measure: str) -> np.ndarray:
        """[N]; NaN where a clip is undefined under a seed.

        Raises:
            ValueError: the seeds saw other clips.
        """
        found = [cell["by_clip"][measure] for cell in self.cells[name]]
        if any(list(one) != list(found[0]) for one in found):
            raise ValueError(f"q3: the seeds of {name} saw other clips; measure its cells again")
        return np.mean([np.array(list(one.values()), float) for one in found], axis=0)

    def seeds(self, name: str, measure: str) -> list[float]:
        """The mean over clips under each seed."""
        return [cell["numbers"].get(measure, float("nan")) for cell in self.cells[name]]

    def by_step(self, name: str) -> list[float | None]:
        """Flicker from each frame to the next."""
        steps = np.array([cell["by_step"]["flicker"] for cell in self.cells[name]], float).mean(0)
        return [float(value) if np.isfinite(value) else None for value in steps]


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """What the rule judges, the tables, and what the figures draw; without all arms and references only the tables."""
    results = Results(plan, sizes, measured)
    metrics = _tokens(measured, seed) | {
        f"{name}_{measure}": bootstrap(results.values(name, measure), seed, said)
        for name in results.cells
        for measure, said in OUTPUT.items()
    }
    metrics |= _contrasts(results, plan.motion.share, seed)
    return Analysis(documents(metrics), _tables(results, metrics), _series(results, metrics))


def finding(analysis: Analysis) -> str:
    """What the numbers say."""
    needed = ("hybrid_less_without_spatial_flicker", "hybrid_less_vae_roundtrip_flicker", "interaction_flicker")
    if missing := [name for name in needed if name not in analysis.values]:
        return f"Not every cell was measured ({', '.join(missing)} is missing), so nothing is said."
    said = {name: _said(value) for name, value in analysis.values.items()}
    moved = {name: said[f"{name}_motion"] for name in ("hybrid", "without_spatial", "vae_roundtrip")}
    return (
        f"What stands still in the true clip flickers by {said['hybrid_flicker']} of 255 in the hybrid's video, by "
        f"{said['without_spatial_flicker']} without the spatial stream and by {said['vae_roundtrip_flicker']} in the "
        f"VAE's round trip. On the same clips the spatial stream changes it by "
        f"{said['hybrid_less_without_spatial_flicker']}. What moves changes by {moved['hybrid']} with the stream, by "
        f"{moved['without_spatial']} without, by {moved['vae_roundtrip']} in the round trip. For each standard "
        f"deviation of true motion the stream's share of flicker changes by {said['interaction_flicker']}. LPIPS is "
        f"{said['hybrid_lpips']} with the stream and {said['without_spatial_lpips']} without."
    )


def _tokens(measured: Mapping[str, Measured], seed: int) -> dict[str, Metric]:
    if FEATURES not in measured:
        return {}
    by_clip = {name: np.array(list(of.values()), float) for name, of in measured[FEATURES]["by_clip"].items()}
    found = {name: bootstrap(of, seed, TOKENS[name.split("_", 1)[1]]) for name, of in by_clip.items()}
    for kind, said in TOKENS.items():
        both = by_clip[f"dinov2_{kind}"], by_clip[f"qwen_{kind}"]
        found[f"dinov2_less_qwen_{kind}"] = paired_difference(*both, seed, said)
    return found


def _contrasts(results: Results, share: float, seed: int) -> dict[str, Metric]:
    """The hybrid less each of the others, its motion beyond the share that it must keep, and the interaction."""
    if "hybrid" not in results.cells:
        return {}
    found = {}
    for name in (name for name in results.cells if name != "hybrid"):
        for measure, said in OUTPUT.items():
            pair = results.values("hybrid", measure), results.values(name, measure)
            found[f"hybrid_less_{name}_{measure}"] = paired_difference(*pair, seed, said)
    if "vae_roundtrip" in results.cells:
        moved, whole = (results.values(name, "motion") for name in ("hybrid", "vae_roundtrip"))
        said = f"motion less {share:g} of the round trip's"
        found["hybrid_motion_beyond_share"] = paired_difference(moved, share * whole, seed, said)
    if {"without_spatial", "true"} <= results.cells.keys():
        motion, added = _interaction(results)
        said = "least-squares slope of the flicker that the spatial stream adds, per standard deviation of true motion"
        found["interaction_flicker"] = bootstrap(slope(motion, added), seed, said)
    return found


def _interaction(results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Of each clip how much it moves, and what the spatial stream adds to its flicker."""
    added = results.values("hybrid", "flicker") - results.values("without_spatial", "flicker")
    return results.values("true", "dynamic_degree"), added


def _tables(results: Results, metrics: Mapping[str, Metric]) -> tuple[Table, ...]:
    made = tuple(
        (NAMES.get(name, name), *(_said(metrics[f"{name}_{measure}"]) for measure in OUTPUT), _spread(results, name))
        for name in results.cells
    )
    columns = (
        "arm",
        "flicker",
        "motion",
        "dtSSD",
        "dynamic degree",
        "temporal LPIPS variance",
        "LPIPS",
        "flicker by seed",
    )
    tables = [Table("Time in the video, means over held-out clips", columns, made)] if made else []
    if "dinov2_still" in metrics:
        rows = tuple(
            (stream, *(_said(metrics[f"{stream}_{kind}"]) for kind in TOKENS))
            for stream in ("dinov2", "qwen", "dinov2_less_qwen")
        )
        heads = ("stream", "change, still cells", "change, other cells", "back and forth, still cells")
        tables.append(Table("Time in the stored tokens; 1: as two random tokens", heads, rows))
    return tuple(tables)


def _spread(results: Results, name: str) -> str:
    return ", ".join(f"{value:.2f}" for value in results.seeds(name, "flicker"))


def _series(results: Results, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    arms: dict[str, Any] = {
        name: {
            "says": NAMES.get(name, name),
            "flicker": _ends(metrics[f"{name}_flicker"]),
            "motion": _ends(metrics[f"{name}_motion"]),
            "by_step": results.by_step(name),
        }
        for name in results.cells
    }
    series: dict[str, Any] = {"arms": arms}
    if "interaction_flicker" in metrics:
        motion, added = _interaction(results)
        there = np.isfinite(motion) & np.isfinite(added)
        series["interaction"] = {
            "motion": motion[there].tolist(),
            "added": added[there].tolist(),
            "slope": _ends(metrics["interaction_flicker"]),
        }
    return series


def _ends(metric: Metric) -> dict[str, float | None]:
    return {"value": metric.value, "low": metric.low, "high": metric.high}


def _said(metric: Metric | MetricValue) -> str:
    if metric.value is None:
        return "undefined"
    digits = 2 if abs(metric.value) >= 1 else 3 if abs(metric.value) >= 0.01 else 5
    if metric.low is None or metric.high is None:
        return f"{metric.value:.{digits}g}"
    ends: Sequence[float] = metric.low, metric.high
    return f"{metric.value:.{digits}f} ({' .. '.join(f'{end:.{digits}f}' for end in ends)})"
