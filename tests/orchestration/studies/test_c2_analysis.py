"""What C2 concludes from its cells: paired by clip and seed, and no surer than its least sure seed."""

from typing import Any

import numpy as np
import pytest

from orchestration.studies import c2
from orchestration.studies.c2_analysis import analyse, finding
from orchestration.studies.c2_figures import figures

CLIPS = [f"c{k}" for k in range(40)]
SEEDS = (0, 1, 2)
VARIANTS = [
    ("fusion", "default"), ("stream", "dino_only"), ("stream", "vlm_only"), ("fusion", "film"), ("encoder", "mae"),
    ("size", "wide"), ("size", "narrow"), ("routes", "default"), ("routes", "what"),
]  # fmt: skip
NOISE = np.random.default_rng(0).normal(0, 1, len(CLIPS))
"""How hard each clip is: far more than any variant changes."""


def cell(error: float, *, flops: float = 1e9, parameters: float = 1e6, shift: float = 0.0) -> dict[str, Any]:
    values = 5 + NOISE + error + 0.01 * np.sin(np.arange(len(CLIPS)) + shift)
    by_clip = dict(zip(CLIPS, values.tolist(), strict=True))
    wrong = {clip: float(k % 10 < 10 * error) for k, clip in enumerate(CLIPS)}
    errors = {"latent": by_clip, "lpips": by_clip, "caption": by_clip, "misordered": wrong}
    shuffled = {clip: value + 1 for clip, value in by_clip.items()}
    numbers = {"parameters": parameters, "flops": flops, "tokens": 400, "seconds_per_step": 0.1, "last_loss": 1.0}
    return {"standin": True, "by_clip": {**errors, "latent_shuffled": shuffled}, "numbers": numbers}


def drawn(error: float) -> dict[str, Any]:
    made = cell(error)
    return {**made, "by_clip": {"drawn": made["by_clip"]["latent"], "drawn_lpips": made["by_clip"]["lpips"]}}


@pytest.fixture
def measured() -> dict[str, Any]:
    made: dict[str, Any] = {
        f"encoder-{name}": {"standin": True, "untrained": name == "mae", "numbers": {"flops": 1e9}}
        for name in ("dinov2", "qwen", "mae")
    }
    for seed in SEEDS:
        made |= {
            f"fusion-default-{seed}": cell(0.1, shift=seed),
            f"stream-dino_only-{seed}": cell(0.4, shift=seed + 1),
            f"stream-vlm_only-{seed}": cell(0.3, shift=seed + 2),
            f"fusion-film-{seed}": cell(0.2, flops=0.5e9),
            f"encoder-mae-{seed}": cell(0.25),
            f"size-wide-{seed}": cell(0.05, parameters=4e6, flops=4e9),
            f"size-narrow-{seed}": cell(0.25, parameters=0.5e6),
            f"routes-default-{seed}": drawn(0.1),
            f"routes-what-{seed}": drawn(0.6),
        }
    return made


def test_differences_are_first_less_second_and_paired(measured):
    found = analyse(VARIANTS, SEEDS, measured, 0).values["hybrid_less_vlm_only_lpips"]
    assert found.value == pytest.approx(-0.2, abs=0.02)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low < 0.05  # unpaired it would be about 0.9 wide
    assert found.n == len(CLIPS)
    assert "3 seeds" in found.protocol


def test_the_order_in_which_clips_stand_changes_nothing(measured):
    first = analyse(VARIANTS, SEEDS, measured, 0)
    for name, one in measured.items():
        if "vlm_only" in name:
            one["by_clip"] = {error: dict(reversed(values.items())) for error, values in one["by_clip"].items()}
    assert analyse(VARIANTS, SEEDS, measured, 0).values == first.values


def test_a_seed_that_disagrees_opens_the_interval(measured):
    measured["stream-vlm_only-2"] = cell(-0.2)
    found = analyse(VARIANTS, SEEDS, measured, 0).values["hybrid_less_vlm_only_lpips"]
    assert found.low is not None
    assert found.high is not None
    assert found.low < -0.15
    assert found.high > 0.25


def test_a_variant_that_lacks_a_seed_is_left_out(measured):
    del measured["size-wide-1"]
    found = analyse(VARIANTS, SEEDS, measured, 0)
    assert "size_wide_less_default_latent" not in found.values
    assert "size_narrow_less_default_latent" in found.values
    assert found.series["largest"] == "narrow"


def test_without_the_default_nothing_is_claimed(measured):
    del measured["fusion-default-0"]
    found = analyse(VARIANTS, SEEDS, measured, 0)
    assert found.values == {}
    assert figures(found.series) == {}
    assert "nothing is said" in finding(found)


def test_the_largest_is_the_one_with_the_most_parameters(measured):
    found = analyse(VARIANTS, SEEDS, measured, 0).values["default_less_largest_lpips"]
    assert found.value == pytest.approx(0.05, abs=0.01)


def test_routes_are_compared_with_the_default_routes_in_what_was_drawn(measured):
    found = analyse(VARIANTS, SEEDS, measured, 0).values["routes_what_less_default_drawn"]
    assert found.value == pytest.approx(0.5, abs=0.02)


def test_told_is_held_against_another_clips_conditioning(measured):
    found = analyse(VARIANTS, SEEDS, measured, 0).values["default_less_shuffled_latent"]
    assert found.value == pytest.approx(-1)


def test_shares_of_clips_have_the_interval_of_a_proportion(measured):
    for seed in SEEDS:
        measured[f"stream-dino_only-{seed}"] = cell(0.1)
    found = analyse(VARIANTS, SEEDS, measured, 0).values["hybrid_less_dino_only_misordered"]
    assert found.value == 0
    assert found.low is not None
    assert found.low < -0.02  # a bootstrap of equal clips would see no doubt


def test_the_front_has_no_variant_that_another_beats(measured):
    series: dict[str, Any] = analyse(VARIANTS, SEEDS, measured, 0).series
    rows = {row["variant"]: row for row in series["variants"] if "flops" in row}
    # The streams read one encoder fewer, film has a cheaper fusion.
    assert rows["vlm_only"]["flops"] == 2e9
    assert rows["film"]["flops"] == 2.5e9
    assert {name for name, row in rows.items() if row["on_front"]} == {"vlm_only", "film", "default", "wide"}


def test_what_nothing_trained_says_so(measured):
    found = analyse(VARIANTS, SEEDS, measured, 0)
    shown = [row[0] for table in found.tables for row in table.rows]
    assert "mae (untrained)" in shown
    assert "film (stand-in)" in shown
    assert "untrained" in finding(found)


def test_every_number_of_a_figure_can_be_drawn(measured):
    found = analyse(VARIANTS, SEEDS, measured, 0)
    drawn = c2.figures(c2.Plan(streams=[], fusions=[], queries={}, routes={}), found)
    assert set(drawn) == {"effects", "pareto", "scaling"}
    assert all(picture.startswith(b"\x89PNG") for picture in drawn.values())
