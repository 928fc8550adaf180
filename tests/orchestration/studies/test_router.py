"""The routed system is held against both ways and against chance on the same clips."""

from typing import Any

import numpy as np
import pytest
import yaml

from orchestration.home import REPOSITORY
from orchestration.studies import router
from orchestration.studies.study import Analysis

DECLARED: dict[str, Any] = yaml.safe_load((REPOSITORY / "config" / "experiments" / "router.yaml").read_text())
PLAN = router.Plan.model_validate(DECLARED["plan"])
SIZES = router.Sizes.model_validate(DECLARED["sizes"]["laptop"])
CLIPS = [f"c{k}" for k in range(40)]
NEEDY = np.arange(40) < 16
RNG = np.random.default_rng(0)


def measured(expected: np.ndarray, gain: np.ndarray) -> dict[str, Any]:
    hybrid = RNG.uniform(0.05, 0.15, 40)

    def by_clip(values: np.ndarray) -> dict[str, float]:
        return dict(zip(CLIPS, values.tolist(), strict=True))

    return {
        "hybrid": {"standin": True, "by_clip": {"lpips": by_clip(hybrid)}, "numbers": {"flops": 3e9}},
        "vlm_only": {"standin": True, "by_clip": {"lpips": by_clip(hybrid + gain)}, "numbers": {"flops": 1e9}},
        "router": {
            "standin": True,
            "by_clip": {"expected_gain": by_clip(expected)},
            "numbers": {"train": 256, "train_critical": 0.4},
        },
    }


def analysed(expected: np.ndarray, gain: np.ndarray) -> Analysis:
    return router.analyse(PLAN, SIZES, measured(expected, gain), 0)


GAIN = np.where(NEEDY, 0.4, 0.01)


def test_a_router_that_knows_saves_what_needs_no_hybrid_and_gives_nothing_away():
    values = analysed(GAIN, GAIN).values
    assert values["right"].value == 1
    assert values["majority"].value == pytest.approx(0.6)
    assert values["sent"].value == pytest.approx(0.4)
    assert values["routed_less_hybrid_lpips"].value == pytest.approx(0.01 * 0.6)
    assert values["routed_less_hybrid_gflop"].value == pytest.approx(-2 * 0.6)


def test_one_that_errs_pays_for_it():
    values = analysed(GAIN[::-1].copy(), GAIN).values
    assert values["right"].value == pytest.approx(0.2)
    assert values["right_less_majority"].high is not None
    assert values["right_less_majority"].high < 0
    assert values["routed_less_hybrid_lpips"].value == pytest.approx(0.4 * 0.4 + 0.2 * 0.01)


def test_half_by_the_router_is_held_against_half_by_chance():
    knows, guesses = analysed(GAIN, GAIN).values, analysed(np.tile([1.0, 0.0], 20), GAIN).values
    # Chance leaves half of every gain; the router leaves the 20 smallest gains.
    assert knows["half_less_chance_lpips"].value == pytest.approx(0.5 * 0.01 - 0.5 * GAIN.mean())
    assert guesses["half_less_chance_lpips"].value == pytest.approx(0)


def test_where_every_clip_is_critical_nothing_is_told_or_saved():
    values = analysed(np.full(40, 0.4), np.full(40, 0.4)).values
    assert values["routed_less_hybrid_gflop"].value == 0
    assert values["routed_less_hybrid_lpips"].value == 0
    assert values["critical"].value == 1


def test_what_the_rule_asks_is_measured():
    assert {claim["value"] for claim in DECLARED["rule"]} <= analysed(GAIN, GAIN).values.keys()


def test_a_missing_cell_claims_nothing():
    found = measured(GAIN, GAIN)
    del found["vlm_only"]
    nothing = router.analyse(PLAN, SIZES, found, 0)
    assert nothing.values == {}
    assert router.figures(PLAN, nothing) == {}
    assert "nothing is said" in router.finding(PLAN, nothing)


def test_the_curve_is_drawn_and_the_finding_names_the_share():
    found = analysed(GAIN, GAIN)
    assert router.figures(PLAN, found)["router"].startswith(b"\x89PNG")
    assert "On 0.400" in router.finding(PLAN, found)


def test_the_router_comes_after_both_arms():
    made = {cell.name: cell for cell in router.cells(PLAN, SIZES)}
    assert made["router"].after == ("hybrid", "vlm_only")
