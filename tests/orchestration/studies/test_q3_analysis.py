"""Q3's verdict follows from flicker, and is not bought by standing still."""

import numpy as np
import pytest

from orchestration.documents import MetricValue
from orchestration.studies import declaration, q3
from orchestration.studies.rule import judge
from orchestration.studies.study import Measured

DECLARED = declaration.load("q3")
PLAN, CLIPS, STEPS = DECLARED.planned, 40, 8
SIZES = q3.Sizes.model_validate({"clips": CLIPS, "batch": 8, "seeds": [0, 1], "max_hours": 1})
FLICKER = {"hybrid": 1.5, "without_spatial": 1.4, "vlm_only": 2.0, "uninjected": 1.6, "vae_roundtrip": 0.6, "true": 0.0}


def clips(values) -> dict[str, float | None]:
    return {f"clip-{i:02d}": None if np.isnan(value) else float(value) for i, value in enumerate(values)}


def world(**motion: float) -> dict[str, Measured]:
    """Every cell; the arms named in `motion` move by so much of what the truth does."""
    rng, found = np.random.default_rng(0), {}
    true = rng.uniform(5, 20, CLIPS)
    for cell in q3.cells(PLAN, SIZES):
        if cell.name == q3.FEATURES:
            kinds = {"still": 0.02, "moving": 0.3, "flicker": 0.01}
            by_clip = {f"dinov2_{kind}": clips(rng.normal(level, level / 5, CLIPS)) for kind, level in kinds.items()}
            by_clip |= {f"qwen_{kind}": clips(rng.normal(0.3, 0.02, CLIPS)) for kind in kinds}
            found[cell.name] = {"standin": True, "by_clip": by_clip, "numbers": {}}
            continue
        arm = str(cell.settings["of"])
        values = {name: rng.normal(0.1, 0.01, CLIPS) for name in ("dtssd", "temporal_lpips_variance", "lpips")}
        values["flicker"] = FLICKER[arm] + rng.normal(0, 0.05, CLIPS)
        values["motion"] = motion.get(arm, 1.0) * true
        values["dynamic_degree"] = true / 255
        numbers = {name: float(of.mean()) for name, of in values.items()}
        by_clip = {name: clips(of) for name, of in values.items()}
        steps = {"flicker": [FLICKER[arm]] * STEPS}
        found[cell.name] = {"standin": True, "by_clip": by_clip, "by_step": steps, "numbers": numbers}
    return found


def outcomes(measured: dict[str, Measured]) -> dict[str, str]:
    values = q3.analyse(PLAN, SIZES, measured, 0).values
    return {rule.claim: judge(rule, values.get(rule.value), 20)[0] for rule in DECLARED.rule}


def test_one_cell_an_arm_and_seed_and_one_a_reference():
    names = [cell.name for cell in q3.cells(PLAN, SIZES)]
    assert len(names) == 1 + len(PLAN.references) + len(PLAN.arms) * len(SIZES.seeds)
    assert "hybrid-0" in names
    assert "hybrid-1" in names


def test_every_claim_is_measured_and_holds_where_nothing_flickers():
    assert set(outcomes(world()).values()) == {"holds"}


def test_a_video_that_hardly_moves_does_not_pass_for_a_steady_one():
    found = outcomes(world(hybrid=0.3))
    assert found["moves"] == "fails"
    assert found["spatial_stream"] == "holds"


def test_flicker_that_the_stream_adds_fails_its_claim():
    measured = world()
    for seed in SIZES.seeds:
        flicker = measured[q3.drawn("hybrid", seed)]["by_clip"]["flicker"]
        measured[q3.drawn("hybrid", seed)]["by_clip"]["flicker"] = {clip: value + 3 for clip, value in flicker.items()}
    found = outcomes(measured)
    assert [found[claim] for claim in ("spatial_stream", "injection", "decoder")] == ["fails"] * 3
    assert found["interaction"] == "holds"


def test_flicker_that_grows_with_motion_is_an_interaction():
    measured = world()
    motion = measured["true"]["by_clip"]["dynamic_degree"]
    centre, deviation = np.mean(list(motion.values())), np.std(list(motion.values()))
    for seed in SIZES.seeds:
        flicker = measured[q3.drawn("hybrid", seed)]["by_clip"]["flicker"]
        for clip in flicker:
            flicker[clip] += 2 * (motion[clip] - centre) / deviation
    values = q3.analyse(PLAN, SIZES, measured, 0).values
    assert values["interaction_flicker"].value == pytest.approx(2, abs=0.1)
    assert outcomes(measured)["interaction"] == "fails"


def test_a_clip_counts_once_for_all_seeds():
    measured = world()
    flicker = measured[q3.drawn("hybrid", 0)]["by_clip"]["flicker"]
    flicker["clip-00"] = None
    values = q3.analyse(PLAN, SIZES, measured, 0).values
    assert values["hybrid_flicker"].n == CLIPS - 1
    flickers = [list(measured[q3.drawn("hybrid", seed)]["by_clip"]["flicker"].values())[1:] for seed in SIZES.seeds]
    assert values["hybrid_flicker"].value == pytest.approx(np.mean(flickers))


def test_without_its_cells_a_claim_is_open_and_nothing_is_said():
    measured = {name: cell for name, cell in world().items() if not name.startswith("without_spatial")}
    assert outcomes(measured)["spatial_stream"] == "open"
    assert "nothing is said" in q3.finding(PLAN, q3.analyse(PLAN, SIZES, measured, 0))


def test_seeds_of_other_clips_are_refused():
    measured = world()
    cell = measured[q3.drawn("hybrid", 0)]
    cell["by_clip"] = {name: {f"x{clip}": value for clip, value in of.items()} for name, of in cell["by_clip"].items()}
    with pytest.raises(ValueError, match="other clips"):
        q3.analyse(PLAN, SIZES, measured, 0)


def test_what_is_captioned_is_drawn_and_the_finding_gives_the_numbers():
    analysis = q3.analyse(PLAN, SIZES, world(), 0)
    assert set(q3.figures(PLAN, analysis)) == set(q3.CAPTIONS)
    assert all(isinstance(value, MetricValue) for value in analysis.values.values())
    assert f"{analysis.values['hybrid_flicker'].value:.2f}" in q3.finding(PLAN, analysis)
