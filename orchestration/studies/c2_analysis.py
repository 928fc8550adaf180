"""What C2's cells say together: every variant less the default, beside what it costs, and the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.evaluation.metric import Metric
from orchestration.documents import MetricValue
from orchestration.studies.c2_results import Results, Variant
from orchestration.studies.c2_tables import label, tables
from orchestration.studies.paired import said
from orchestration.studies.study import Analysis, Measured

DEFAULT: Variant = ("fusion", "default")
ROUTES: Variant = ("routes", "default")
Row = dict[str, Any]


def analyse(variants: Sequence[Variant], seeds: Sequence[int], measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Values for the rule, tables, and what the figures draw. A variant of which a seed is missing is left out."""
    results = Results(measured, seeds, seed)
    there = [variant for variant in variants if results.there(variant) and results.there(_base(variant))]
    if DEFAULT not in there:
        return Analysis({}, (), {"variants": []})
    rows = [_row(results, variant) for variant in there]
    for row in rows:
        row["on_front"] = _on_front(row, rows)
    metrics = {f"default_{name}": results.value(DEFAULT, name) for name in results.errors(DEFAULT, DEFAULT)}
    metrics["default_less_shuffled_latent"] = results.less_shuffled(DEFAULT)
    for variant in there:
        metrics |= _differences(results, variant)
    if largest := _largest(results, there):
        metrics["default_less_largest_lpips"] = results.difference(DEFAULT, largest, "lpips")
    values = {name: MetricValue.model_validate(metric.document()) for name, metric in metrics.items()}
    series: dict[str, Any] = {"variants": rows, "largest": largest[1] if largest else None}
    return Analysis(values, tables(rows), series)


def finding(analysis: Analysis) -> str:
    """What the numbers say, in sentences; what was not measured is not said."""
    values, series = analysis.values, dict[str, Any](analysis.series)
    rows: list[Row] = series["variants"]
    if not rows:
        return "The default was not measured with every seed, so nothing is said."
    latent, lpips = (said(values[f"default_{error}"]) for error in ("latent", "lpips"))
    sentences = [
        f"The default fusion has {rows[0]['parameters']:,.0f} trainable parameters. Its latents have an error of "
        f"{latent} (the mean scores 1), the frames that they decode to an LPIPS of {lpips}."
    ]
    for name, words in (
        ("hybrid_less_vlm_only_lpips", "LPIPS of the hybrid less that of the VLM alone"),
        (
            "hybrid_less_dino_only_misordered",
            "The share of clips whose order is read wrongly, hybrid less DINOv2 alone",
        ),
        ("hybrid_less_vlm_only_misordered", "The same less the VLM alone"),
        ("default_less_largest_lpips", f"LPIPS of the default less that of the largest module ({_words(series)})"),
    ):
        if name in values:
            sentences.append(f"{words} is {said(values[name])}.")
    front = ", ".join(label(row) for row in rows if row["on_front"])
    sentences.append(f"On the Pareto front of latent error and FLOPs of a clip: {front}.")
    if any(row["untrained"] for row in rows):
        sentences.append(
            "Encoders called untrained have random weights: they say nothing of the networks that they are named after."
        )
    return " ".join(sentences)


def _words(series: dict[str, Any]) -> str:
    """The parameters of the largest module, where there is one."""
    sizes = (row["parameters"] for row in series["variants"] if row["variant"] == series["largest"])
    return f"{next(sizes, 0):,.0f} parameters"


def _base(variant: Variant) -> Variant:
    """What a variant is compared with."""
    return ROUTES if variant[0] == "routes" else DEFAULT


def _differences(results: Results, variant: Variant) -> dict[str, Metric]:
    """The hybrid is held against each stream; every other variant is held against the default."""
    (factor, name), base = variant, _base(variant)
    if variant == base:
        return {}
    errors = results.errors(variant, base)
    if factor == "stream":
        return {f"hybrid_less_{name}_{one}": results.difference(base, variant, one) for one in errors}
    return {f"{factor}_{name}_less_default_{one}": results.difference(variant, base, one) for one in errors}


def _largest(results: Results, there: Sequence[Variant]) -> Variant | None:
    """The size with the most trainable parameters."""
    sizes = [variant for variant in there if variant[0] == "size"]
    return max(sizes, key=lambda variant: results.number(variant, "parameters"), default=None)


def _row(results: Results, variant: Variant) -> Row:
    """One variant: its errors, what they are less the default's, its costs."""
    (factor, name), base = variant, _base(variant)
    errors = results.errors(variant, base)
    row: Row = {
        "factor": factor,
        "variant": name,
        "standin": results.standin(variant),
        "untrained": factor == "encoder" and results.encoder(name)["untrained"],
        "errors": {one: _interval(results.value(variant, one)) for one in errors},
        "less_default": {one: _interval(results.difference(variant, base, one)) for one in errors},
        "seeds": {one: [metric.value for metric in results.by_seed(variant, base, one)] for one in errors},
        "of_seeds": {one: [metric.value for metric in results.values(variant, one)] for one in errors},
        "parameters": results.number(variant, "parameters"),
        "seconds_per_step": results.number(variant, "seconds_per_step"),
    }
    return row if factor == "routes" else row | _fusion_cost(results, variant)


def _fusion_cost(results: Results, variant: Variant) -> dict[str, float]:
    """Tokens and FLOPs of a clip: of the fusion, and with the encoders that the variant reads."""
    factor, name = variant
    spatial = name if factor == "encoder" else "dinov2"
    read = {"vlm_only": ["qwen"], "dino_only": [spatial]}.get(name, ["qwen", spatial])
    fusion = results.number(variant, "flops")
    encoders = sum(results.encoder(one)["numbers"]["flops"] for one in read)
    return {"tokens": results.number(variant, "tokens"), "fusion_flops": fusion, "flops": fusion + encoders}


def _on_front(row: Row, rows: Sequence[Row]) -> bool:
    """Whether no other variant has both a smaller latent error and fewer FLOPs, or one of them at an equal other."""
    if "flops" not in row:
        return False
    own = row["errors"]["latent"]["value"], row["flops"]
    others = [(other["errors"]["latent"]["value"], other["flops"]) for other in rows if "flops" in other]
    return not any(other != own and other[0] <= own[0] and other[1] <= own[1] for other in others)


def _interval(metric: Metric) -> dict[str, float | None]:
    return {"value": metric.value, "low": metric.low, "high": metric.high}
