"""Q4: nested subsets, and what is made of errors that follow a power law."""

import numpy as np
import pytest

from orchestration.studies import q4
from orchestration.studies.declaration import load
from orchestration.studies.q4_cells import subset
from orchestration.studies.short import TEXTS

MEASURES = ("spatial_iou", "lpips", "edge_f1", "temporal_ordering")


def measured(sizes: q4.Sizes, floor: float, scale: float) -> dict:
    """Errors floor + scale / sqrt(n), the same clips easy and hard in every cell."""
    rng = np.random.default_rng(0)
    clips = rng.normal(0, 0.01, 40)
    found: dict = {TEXTS: {"standin": True, "numbers": {"bytes_shards": 1e5, "bytes_latents": 2e5}}}
    for n in sizes.clips:
        for seed in sizes.seeds:
            errors = floor + scale / np.sqrt(n) + clips + rng.normal(0, 0.002, 40)
            by_clip = {f"clip-{k}": float(value) for k, value in enumerate(errors)}
            numbers = {"seconds_per_step": 0.5, "last_loss": 1.0}
            found[q4.named(n, seed)] = {
                "standin": True,
                "by_clip": dict.fromkeys(MEASURES, by_clip),
                "numbers": numbers,
            }
    return found


def test_the_clips_of_a_smaller_number_are_among_those_of_a_larger():
    ids = [str(number) for number in range(100)]
    few, many = subset(ids, 10, 3), subset(ids, 60, 3)
    assert many[:10] == few
    assert subset(ids, 10, 4) != few
    assert set(subset(ids, 100, 3)) == set(ids)


@pytest.mark.parametrize(("floor", "reached"), [(0.05, True), (0.6, False)])
def test_a_target_is_met_at_some_number_of_clips_or_the_curve_levels_off_before(floor, reached):
    declared = load("q4")
    plan, sizes = declared.planned, q4.Sizes.model_validate(declared.sizes["laptop"])
    analysis = q4.analyse(plan, sizes, measured(sizes, floor, 2.0), 0)
    needed = analysis.values["clips_2_lpips"]  # of an error of 0.28
    assert {rule.value for rule in declared.rule} <= analysis.values.keys()
    assert analysis.values["doubling_lpips"].high < 0
    if reached:
        assert needed.value == pytest.approx((2.0 / 0.23) ** 2, rel=0.3)
        assert analysis.values["short_2_lpips"].high < 0
        assert "meets it at" in q4.finding(plan, analysis)
    else:
        assert needed.value is None
        assert analysis.values["short_2_lpips"].low > 0
        assert "levels off before it" in q4.finding(plan, analysis)
    assert q4.figures(plan, analysis)["curves"].startswith(b"\x89PNG")
