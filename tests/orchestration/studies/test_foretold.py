"""C3 and Q5: their cells on a few generated clips, and what is made of measured ones."""

import numpy as np
import pytest

from orchestration.studies import c3, foretold, q5
from orchestration.studies.declaration import load
from orchestration.studies.q5_analysis import usable
from tests.orchestration.studies import small

SHORT = {"steps": 2, "batch": 3, "learning_rate": 1e-3, "warmup": 1, "checkpoint_every": 1}
FEW = {"train": 8, "heldout": 5, "batch": 4, "seeds": [0], "training": SHORT, "max_hours": 1}


def by_clip(**values: list[float]) -> dict:
    return {name: {f"clip-{k}": value for k, value in enumerate(found)} for name, found in values.items()}


def cell(seed: int, **means: float) -> dict:
    rng = np.random.default_rng(seed)
    return {
        "standin": True,
        "by_clip": by_clip(**{name: (mean + rng.normal(0, 0.02, 40)).tolist() for name, mean in means.items()}),
        "numbers": {},
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return small.home(tmp_path_factory.mktemp("home"), FEW["train"], FEW["heldout"])


def test_each_cell_measures_every_held_out_clip_and_every_step(home, tmp_path):
    plan, sizes = q5.Plan(arm="hybrid"), q5.Sizes.model_validate({**FEW, "contexts": [3], "margin": 0})
    measured = {}
    for one in q5.cells(plan, sizes):
        given = small.bench(small.job(home), tmp_path, one, measured, sizes)
        given.folder.mkdir(parents=True, exist_ok=True)
        measured[one.name] = q5.measure(one, given)
    assert measured["context-3"]["numbers"] == {"known": 2, "ahead": 3, "frames_a_step": 2}
    trained = measured["hybrid-3-0"]["by_clip"]
    steps = {f"{name}_{k}" for name in foretold.PROTOCOLS for k in (1, 2, 3)}
    assert trained.keys() == {*foretold.PROTOCOLS, *steps}
    fixed = measured["still-3"]["by_clip"]
    assert "direction_3" in fixed
    assert "told" not in fixed, "what has no conditioning is not read"
    came = measured["came-3"]["by_clip"]
    assert set(came["latent"].values()) == {0.0}
    assert np.mean(list(came["iou"].values())) > np.mean(list(fixed["iou"].values()))
    assert {len(values) for values in trained.values()} == {FEW["heldout"]}
    still, mean = (measured[name]["by_clip"]["latent"] for name in ("still-3", "mean-3"))
    assert still.keys() == trained["latent"].keys()
    assert np.mean(list(mean.values())) == pytest.approx(1, abs=0.8)
    analysis = q5.analyse(plan, sizes, measured, 0)
    assert {"lead", "spatial_gain_1", "semantic_gain_1"} <= analysis.values.keys()
    assert q5.figures(plan, analysis)["horizon"].startswith(b"\x89PNG")
    assert "From 3 known frames" in q5.finding(plan, analysis)


def test_each_way_is_held_against_the_others_on_the_same_clips():
    plan, sizes = c3.Plan(arms=["hybrid", "vlm_only", "dino_only"]), c3.Sizes.model_validate({**FEW, "context": 7})
    good = {"latent": 0.5, "direction": 1.0, "iou": 0.8, "told": 0.9, "told_before": 0.7}
    measured = {
        "hybrid-7-0": cell(0, **good),
        "vlm_only-7-0": cell(1, latent=0.9, direction=1.0, iou=0.2),
        "dino_only-7-0": cell(2, latent=0.6, direction=0.4, iou=0.8),
        **{f"{name}-7": cell(3, latent=1.5, direction=0.2, iou=0.7) for name in foretold.BASELINES},
        "came-7": cell(4, latent=0.0, direction=0.9, iou=0.9),
    }
    values = c3.analyse(plan, sizes, measured, 0).values
    assert values["hybrid_less_still_latent"].value == pytest.approx(-1.0, abs=0.02)
    assert values["dino_only_less_vlm_only_iou"].low > 0.5
    assert values["hybrid_less_dino_only_direction"].value == pytest.approx(0.6, abs=0.02)
    analysis = c3.analyse(plan, sizes, measured, 0)
    assert {"hybrid_told", "hybrid_told_before"} <= values.keys()
    assert "hybrid_less_came_latent" not in values, "a ceiling is no rival"
    assert "From both streams" in c3.finding(plan, analysis)
    assert c3.figures(plan, analysis)["foretold"].startswith(b"\x89PNG")


def test_every_value_that_the_rules_judge_is_made():
    for name, module in (("c3", c3), ("q5", q5)):
        declared = load(name)
        sizes = module.Sizes.model_validate(declared.sizes["laptop"])
        numbers = {"ahead": 1, "frames_a_step": 2}
        names = {f"{one}_{k}": 0.5 for one in foretold.PROTOCOLS for k in (1, 2, 3)}
        whole = names | dict.fromkeys(foretold.PROTOCOLS, 0.5)
        planned = module.cells(declared.planned, sizes)
        measured = {one.name: cell(n, **whole) | {"numbers": numbers} for n, one in enumerate(planned)}
        values = module.analyse(declared.planned, sizes, measured, 0).values
        assert {rule.value for rule in declared.rule} <= values.keys()


def test_the_limit_is_the_last_step_before_the_first_that_gains_nothing():
    rng = np.random.default_rng(0)
    gains = [mean + rng.normal(0, 0.1, 60) for mean in (0.4, 0.2, 0.0, 0.3)]
    found = usable(gains, 0.0, 0)
    assert (found.value, found.low) == (2, 2)
    assert usable(gains, 0.3, 0).value == 1
    assert usable([np.full(5, np.nan)], 0.0, 0).value is None
