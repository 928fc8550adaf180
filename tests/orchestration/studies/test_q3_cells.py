"""Q3's cells on a small home: what is measured of true clips, of the VAE and of what LTX draws by each arm and seed."""

import pytest

from orchestration.studies import declaration, q3
from orchestration.studies.study import Measured
from tests.orchestration.studies import small, trained

TRAIN, HELD_OUT = 4, 4
PLAN = declaration.load("q3").planned
SIZES = q3.Sizes.model_validate({"clips": HELD_OUT, "batch": 4, "seeds": [0, 1], "max_hours": 1})
ONCE = ("without_spatial-0", "vlm_only-0", "uninjected-0")


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> dict[str, Measured]:
    folder = tmp_path_factory.mktemp("q3")
    home = small.home(folder / "home", TRAIN, HELD_OUT)
    given = small.job(home, trained.phases(home, folder, predictor=False))
    cells = [one for one in q3.cells(PLAN, SIZES) if not one.name.endswith("-1") or one.name == "hybrid-1"]
    return {one.name: q3.measure(one, small.bench(given, folder / "cells", one, {}, SIZES)) for one in cells}


def test_the_true_clip_explains_itself_and_the_vae_adds_a_little(measured):
    true, trip = measured["true"]["numbers"], measured["vae_roundtrip"]["numbers"]
    assert true["dtssd"] == true["lpips"] == 0
    assert true["flicker"] <= PLAN.still.levels
    assert trip["flicker"] > true["flicker"]
    assert trip["motion"] == pytest.approx(true["motion"], rel=0.5)


def test_every_arm_draws_something_else_and_is_further_from_the_truth_than_the_vae(measured):
    drawn = [measured[name]["numbers"] for name in ("hybrid-0", *ONCE)]
    assert len({numbers["lpips"] for numbers in drawn}) == len(drawn)
    assert all(numbers["lpips"] > measured["vae_roundtrip"]["numbers"]["lpips"] for numbers in drawn)


def test_a_seed_is_another_draw_of_the_same_clips(measured):
    first, second = measured["hybrid-0"]["by_clip"], measured["hybrid-1"]["by_clip"]
    assert list(first["flicker"]) == list(second["flicker"])
    assert first["flicker"] != second["flicker"]


def test_the_adapters_of_one_arm_are_not_left_in_the_next(measured, tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    home = small.home(folder / "home", TRAIN, HELD_OUT)
    cell = next(one for one in q3.cells(PLAN, SIZES) if one.name == "uninjected-0")
    alone = q3.measure(cell, small.bench(small.job(home), folder, cell, {}, SIZES))
    assert alone["by_clip"] == measured["uninjected-0"]["by_clip"]


def test_tokens_of_both_streams_change_less_where_nothing_moves(measured):
    numbers = measured["features"]["numbers"]
    assert numbers["dinov2_still"] < numbers["dinov2_moving"]
    assert len(measured["features"]["by_clip"]["qwen_still"]) == HELD_OUT


def test_a_curve_has_a_value_for_each_step(measured):
    assert len(measured["hybrid-0"]["by_step"]["flicker"]) == 8
