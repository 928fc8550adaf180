"""C4's verdict: verification must beat the first draw, the VLM, and whoever knows the candidates' record."""

import numpy as np

from orchestration.studies import c4, declaration
from orchestration.studies.rule import judge
from orchestration.studies.study import Measured

DECLARED = declaration.load("c4")
PLAN, CLIPS = DECLARED.planned, 60
SIZES = c4.Sizes.model_validate(
    {"clips": CLIPS, "batch": 8, "seeds": [0, 1], "networks": ["lpips_vgg"], "max_hours": 1}
)


def clips(values) -> dict[str, float | None]:
    return {f"clip-{i:02d}": None if np.isnan(value) else float(value) for i, value in enumerate(values)}


def world(knows: float, *, always: str = "") -> dict[str, Measured]:
    """Every cell. The pixel distance knows right from wrong by `knows` deviations; `always` is right on most clips, and
    nearest on all.
    """
    found: dict[str, Measured] = {}
    for seed in SIZES.seeds:
        rng = np.random.default_rng(seed)
        draws, verified, control = {}, {}, {}
        for name in PLAN.candidates:
            right = rng.random(CLIPS) < (0.7 if name == always else 0.35)
            noise = rng.standard_normal(CLIPS) - knows * right - (20 if name == always else 0)
            draws[f"{name}/iou"] = clips(np.where(right, 0.6, 0.2))
            draws[f"{name}/semantic"] = clips(rng.random(CLIPS))
            draws[f"{name}/own_loss"] = clips(0.1 * rng.random(CLIPS) - right)
            verified[f"{name}/{PLAN.measure}"] = clips(noise)
            control[f"{name}/lpips_alex"] = clips(noise - right)
            control[f"{name}/answer"] = clips(1.0 - right)
        for kind, by_clip in ((c4.DRAWS, draws), (c4.VERIFIED, verified), (c4.CIRCULAR, control)):
            found[c4.named(kind, seed)] = {"standin": True, "by_clip": by_clip, "numbers": {}}
    return found


def outcomes(measured: dict[str, Measured]) -> dict[str, str]:
    values = c4.analyse(PLAN, SIZES, measured, 0).values
    return {rule.claim: judge(rule, values.get(rule.value), 20)[0] for rule in DECLARED.rule}


def test_a_cell_of_draws_comes_before_what_verifies_them():
    found = {cell.name: cell.after for cell in c4.cells(PLAN, SIZES)}
    assert found["verified-1"] == found["circular-1"] == ("draws-1",)
    assert len(found) == 3 * len(SIZES.seeds)


def test_a_distance_that_knows_raises_accuracy_and_all_claims_hold():
    assert set(outcomes(world(3)).values()) == {"holds"}


def test_a_distance_that_knows_nothing_raises_nothing():
    assert "holds" not in outcomes(world(0)).values()


def test_a_distance_that_always_prefers_one_kind_does_not_beat_that_kinds_record():
    measured = world(0, always="still")
    found = outcomes(measured)
    assert found["raises"] == "holds"
    assert found["beyond_record"] != "holds"
    analysis = c4.analyse(PLAN, SIZES, measured, 0)
    assert analysis.values["verified_less_record"].value == 0
    assert "`still` is chosen on 100%" in c4.finding(PLAN, analysis)


def test_circles_are_measured_and_shown_as_controls():
    values = c4.analyse(PLAN, SIZES, world(1), 0).values
    assert values["peeking_accuracy"].value == values["best_accuracy"].value
    flattered = values["circular_flatters"].value
    assert flattered is not None
    assert flattered > 0
    shown = {way["way"]: way["control"] for way in c4.analyse(PLAN, SIZES, world(1), 0).series["ways"]}  # pyright: ignore
    assert shown["circular"]
    assert shown["peeking"]
    assert not shown["verified"]


def test_an_interval_holds_that_of_every_seed():
    measured = world(1)
    both = c4.analyse(PLAN, SIZES, measured, 0).values["verified_accuracy"]
    for seed in SIZES.seeds:
        sizes = SIZES.model_copy(update={"seeds": [seed]})
        one = c4.analyse(PLAN, sizes, measured, 0).values["verified_accuracy"]
        assert both.low is not None
        assert both.high is not None
        assert one.low is not None
        assert one.high is not None
        assert both.low <= one.low < one.high <= both.high


def test_a_clip_without_an_object_in_its_last_frame_counts_nowhere():
    measured = world(1)
    for seed in SIZES.seeds:
        for name in PLAN.candidates:
            measured[c4.named(c4.DRAWS, seed)]["by_clip"][f"{name}/iou"]["clip-00"] = None
    assert c4.analyse(PLAN, SIZES, measured, 0).values["verified_accuracy"].n == CLIPS - 1


def test_without_a_cell_nothing_is_said():
    measured = world(1)
    del measured["circular-1"]
    analysis = c4.analyse(PLAN, SIZES, measured, 0)
    assert analysis.values == {}
    assert "nothing is said" in c4.finding(PLAN, analysis)
    assert c4.figures(PLAN, analysis) == {}


def test_what_is_captioned_is_drawn():
    analysis = c4.analyse(PLAN, SIZES, world(1), 0)
    assert set(c4.figures(PLAN, analysis)) == set(c4.CAPTIONS)


def test_the_share_that_is_kept_is_declared():
    plan = PLAN.model_copy(update={"answered": PLAN.answered.model_copy(update={"share": 0.25})})
    gains = [c4.analyse(one, SIZES, world(2), 0).values["answered_gain"].value for one in (PLAN, plan)]
    assert gains[1] is not None
    assert gains[0] is not None
    assert gains[1] > gains[0] > 0
