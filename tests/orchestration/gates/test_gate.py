"""The gate's rules, by example and by property."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.documents import Decision, parse_evaluation
from orchestration.gates.gate import decide
from orchestration.plan.programme import load
from tests.orchestration.evaluations import BLIND, GOOD, document, evaluation, metric

PROGRAMME = load()
RANK = {"NO_GO": 0, "INCONCLUSIVE": 1, "MARGINAL": 1, "GO": 2}
HIGHER = ("spatial_iou", "bbox_iou", "edge_f1", "temporal_ordering", "semantic_consistency")


def verdict(phase: int = 1, **metrics: Any) -> Decision:
    return decide(PROGRAMME, evaluation(phase, **metrics))


def row(decision: Decision, name: str) -> Any:
    return next(criterion for criterion in decision.criteria if criterion.metric == name)


@pytest.mark.parametrize(("phase", "action"), [(1, "continue"), (2, "continue"), (3, "proceed")])
def test_all_on_the_good_side_is_go(phase: int, action: str) -> None:
    decision = verdict(phase)
    assert (decision.verdict, decision.action, decision.clips_needed) == ("GO", action, None)
    assert {criterion.outcome for criterion in decision.criteria} == {"GO"}


@pytest.mark.parametrize(("phase", "action"), [(1, "abort"), (2, "simplify"), (3, "partial_integration")])
def test_one_criterion_beyond_failure_is_no_go(phase: int, action: str) -> None:
    decision = verdict(phase, spatial_iou=metric(0.4))
    assert (decision.verdict, decision.action) == ("NO_GO", action)


@pytest.mark.parametrize(
    ("value", "half", "outcome"),
    [
        (0.80, 0.04, "GO"),
        (0.79, 0.04, "INCONCLUSIVE"),  # low touches the target: "> 0.75" is not shown
        (0.70, 0.04, "MARGINAL"),
        (0.66, 0.04, "INCONCLUSIVE"),
        (0.70, 0.20, "INCONCLUSIVE"),
        (0.60, 0.04, "NO_GO"),
    ],
)
def test_the_whole_interval_decides(value: float, half: float, outcome: str) -> None:
    decision = verdict(spatial_iou=metric(value, half))
    assert row(decision, "spatial_iou").outcome == decision.verdict == outcome


def test_a_marginal_or_inconclusive_gate_waits() -> None:
    assert verdict(spatial_iou=metric(0.7)).action == verdict(spatial_iou=metric(0.75, 0.1)).action == "wait"


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (None, "not measured"),
        (metric(None), "not finite"),
        (metric(float("nan")), "not finite"),
        (metric(float("inf")), "not finite"),
        (metric(0.8) | {"low": None}, "no interval"),
        (metric(0.8) | {"low": 0.82}, "does not hold its value"),
        (metric(80.0), "wrong unit"),
        (metric(0.8, n=19), "below 20 clips"),
        (metric(0.8, n=999), "more than the 256 clips"),
        (metric(0.8, protocol=" "), "no protocol"),
        (
            metric(0.8, protocol="IoU of boxes"),
            "another protocol ('IoU of boxes'): Spatial IoU here is the one by mask",
        ),
    ],
)
def test_a_number_that_cannot_be_trusted_never_decides(spoilt: Any, said: str) -> None:
    decision = verdict(spatial_iou=spoilt)
    assert decision.verdict == "INCONCLUSIVE"
    assert said in row(decision, "spatial_iou").why


def test_a_number_by_another_measure_never_stands_in() -> None:
    vgg = verdict(1, lpips=metric(0.01, protocol="lpips 0.1.4 v0.1, vgg, input [-1,1]"))
    assert (vgg.verdict, row(vgg, "lpips").outcome) == ("INCONCLUSIVE", "INCONCLUSIVE")
    other = verdict(3, fvd=metric(10.0, protocol="Fréchet distance of VideoMAE features"))
    assert other.verdict == "INCONCLUSIVE"
    assert "here is the one by I3D" in row(other, "fvd").why
    bad = verdict(1, lpips=metric(0.9, protocol="lpips, vgg"))
    assert bad.verdict == "INCONCLUSIVE", "not even a NO_GO"


def test_few_clips_are_never_fvd() -> None:
    small = verdict(3, fvd=None, fvd_smallN=metric(90.0, n=128))
    assert (small.verdict, small.clips_needed) == ("INCONCLUSIVE", 256)
    assert verdict(3, fvd=metric(90.0, n=255)).verdict == "INCONCLUSIVE"
    assert verdict(3, fvd=None, fvd_smallN=metric(90.0, n=256)).verdict == "INCONCLUSIVE"


def test_standins_never_decide_an_a100_gate() -> None:
    for profile in ("a100", "laptop"):
        body = document() | {"profile": profile, "standins": True}
        assert decide(PROGRAMME, parse_evaluation(body), profile="a100").verdict == "INCONCLUSIVE"
    spoilt = document(spatial_iou=metric(0.1)) | {"profile": "a100"}
    decision = decide(PROGRAMME, parse_evaluation(spoilt))
    assert decision.verdict == "INCONCLUSIVE", "not even a NO_GO"
    assert "stand-ins" in decision.criteria[0].why
    assert decide(PROGRAMME, parse_evaluation(document() | {"profile": "a100", "standins": False})).verdict == "GO"


def test_the_wrong_phase_and_a_stale_evaluation_are_inconclusive() -> None:
    assert "of phase 1, not 2" in decide(PROGRAMME, evaluation(1), phase=2).criteria[0].why
    fresh = decide(PROGRAMME, evaluation(), pins={"data_version": "data-1", "dataset": "shapes"})
    stale = decide(PROGRAMME, evaluation(), pins={"data_version": "data-2"})
    assert (fresh.verdict, fresh.pins["dataset"]) == ("GO", "shapes")
    assert stale.verdict == "INCONCLUSIVE"
    assert "stale: data_version" in stale.criteria[0].why
    assert (stale.pins["data_version"], stale.pins["expected"]) == ("data-1", {"data_version": "data-2"})


def test_a_decision_pins_what_it_stands_on() -> None:
    pins = verdict(2).pins
    assert pins["evaluation_sha256"] == evaluation(2).sha256
    assert pins["programme_sha256"] == PROGRAMME.sha256
    assert pins["weights"] == {"vae": "ab"}
    assert pins["runs"] == {"hybrid": "run-1"}
    thresholds: Any = pins["thresholds"]
    assert thresholds["lpips"] == {"better": "lower", "target": 0.28, "failure": 0.35, "section": "6.2", "gates": True}


def test_what_stands_beside_does_not_gate() -> None:
    checkpoint = verdict(spatial_iou=metric(0.68, 0.005))
    assert (row(checkpoint, "spatial_iou@4.4").outcome, checkpoint.verdict) == ("NO_GO", "MARGINAL")
    assert verdict(3, vram_gb=None).verdict == "GO"


def test_the_hybrid_without_a_stream_is_shown_and_does_not_gate() -> None:
    useless = {name: metric(0.0) for name in GOOD} | {"semantic_consistency": metric(None, n=0)}
    sets = {"baselines": {"without_semantic": useless, "without_spatial": useless}}
    decision = decide(PROGRAMME, parse_evaluation(document(2) | sets))
    assert decision.verdict == "GO"
    assert decision.criteria == verdict(2).criteria


def test_about_so_many_clips_would_settle_it() -> None:
    decision = verdict(spatial_iou=metric(0.76, 0.02))
    assert decision.clips_needed == 1025  # the half-width must shrink from .02 below .01: four times 256 clips, and one
    assert verdict(spatial_iou=metric(0.75, 0.02)).clips_needed is None
    settled = decision.clips_needed or 0
    half = 0.02 * (256 / settled) ** 0.5
    assert row(verdict(spatial_iou=metric(0.76, half)), "spatial_iou").outcome == "GO"


# -- Phase 2 against single streams


def arms(change: dict[str, dict[str, Any]]) -> Decision:
    body = document(2)
    for arm, metrics in change.items():
        body["arms"][arm] |= metrics
    return decide(PROGRAMME, parse_evaluation(body))


@pytest.mark.parametrize(("arm", "name"), [("vlm_only", "lpips"), ("dino_only", "temporal_ordering")])
def test_a_stream_that_alone_does_better_is_no_go(arm: str, name: str) -> None:
    better = GOOD[name] + (0.05 if name in HIGHER else -0.05)
    decision = arms({arm: {name: metric(better)}})
    assert row(decision, f"{name}_gain@{arm}").outcome == "NO_GO"
    assert decision.action == "simplify"


def test_the_hybrid_may_give_away_its_margin_and_no_more() -> None:
    assert arms({"dino_only": {"lpips": metric(0.18)}}).verdict == "GO"
    assert arms({"dino_only": {"lpips": metric(0.16)}}).verdict == "NO_GO"


def test_paired_gains_settle_what_two_intervals_leave_open() -> None:
    close = {"lpips": metric(0.21, 0.02)}
    assert row(arms({"vlm_only": close}), "lpips_gain@vlm_only").outcome == "INCONCLUSIVE"
    assert arms({"vlm_only": close | {"lpips_gain": metric(0.01, 0.004)}}).verdict == "GO"


def test_a_missing_arm_other_clips_or_another_protocol_never_go() -> None:
    for arm in ("hybrid", *BLIND):
        body = document(2)
        del body["arms"][arm]
        assert decide(PROGRAMME, parse_evaluation(body)).verdict == "INCONCLUSIVE"
    assert arms({"vlm_only": {"lpips": metric(0.4, n=200)}}).verdict == "INCONCLUSIVE"
    assert arms({"vlm_only": {"lpips": metric(0.4, protocol="vgg")}}).verdict == "INCONCLUSIVE"
    assert arms({"vlm_only": {"lpips_gain": metric(None)}}).verdict == "INCONCLUSIVE"
    vgg = {"lpips": metric(0.4, protocol="vgg"), "lpips_gain": metric(0.2)}
    assert arms({"vlm_only": vgg, "hybrid": {"lpips": metric(0.2, protocol="vgg")}}).verdict == "INCONCLUSIVE"


def paired(**clips: str) -> Decision:
    """Phase 2 with the hashes of the clips of each arm."""
    pinned = {
        "file": "clips.parquet",
        "sha256": "ab",
        "clips": {"hybrid": "1", "vlm_only": "1", "dino_only": "1"} | clips,
    }
    return decide(PROGRAMME, parse_evaluation(document(2) | {"per_clip": pinned}))


@pytest.mark.parametrize("arm", ["hybrid", "vlm_only", "dino_only"])
def test_the_three_arms_are_paired_on_the_same_clips_or_nothing_is_decided(arm: str) -> None:
    assert paired().verdict == "GO"
    decision = paired(**{arm: "2"})
    assert decision.verdict == "INCONCLUSIVE"
    assert any("were measured on other clips" in row.why for row in decision.criteria)


def test_the_same_number_of_clips_is_not_the_same_clips() -> None:
    """Where both arms are measured on all clips of the evaluation they are; on a part of them nothing shows it."""
    part = {"lpips": metric(0.4, n=200)}
    decision = arms({"vlm_only": part, "hybrid": {"lpips": metric(0.2, n=200)}})
    assert "nothing shows that the 200 of 256 clips are the same" in row(decision, "lpips_gain@vlm_only").why
    assert decision.verdict == "INCONCLUSIVE"
    gain = {"lpips_gain": metric(0.2, n=200)}
    assert arms({"vlm_only": part | gain, "hybrid": {"lpips": metric(0.2, n=200)}}).verdict == "INCONCLUSIVE", (
        "dino_only"
    )
    body = {"vlm_only": part | gain, "hybrid": {"lpips": metric(0.2, n=200)}, "dino_only": part | gain}
    assert arms(body).verdict == "GO"


def test_per_clip_values_that_changed_make_the_evaluation_stale() -> None:
    pinned = {"file": "clips.parquet", "sha256": "ab", "clips": {"hybrid": "1", "vlm_only": "1", "dino_only": "1"}}
    given_ = parse_evaluation(document(2) | {"per_clip": pinned})
    assert decide(PROGRAMME, given_, pins={"per_clip_sha256": "ab"}).verdict == "GO"
    for other in ("cd", None):
        stale = decide(PROGRAMME, given_, pins={"per_clip_sha256": other})
        assert (stale.verdict, "stale: per_clip_sha256" in stale.criteria[0].why) == ("INCONCLUSIVE", True)


# -- properties

unit = st.floats(0.02, 0.98)
phases = st.sampled_from([1, 2, 3])


@st.composite
def measured(draw: Any) -> dict[str, Any]:
    """Some metrics of any goodness, each in its unit."""
    names = draw(st.lists(st.sampled_from(sorted(GOOD)), unique=True, max_size=4))
    scale = {"fvd": 400.0, "latency_s": 4.0, "temporal_lpips_variance": 0.06, "vram_gb": 80.0}
    return {
        name: metric(draw(unit) * scale.get(name, 1.0), draw(st.floats(0, 0.02)) * scale.get(name, 1.0))
        for name in names
    }


@settings(max_examples=150, deadline=None)
@given(phases, measured(), st.sampled_from(sorted(GOOD)), st.floats(0, 1))
def test_better_never_worsens_the_verdict(phase: int, metrics: dict[str, Any], name: str, share: float) -> None:
    before = document(phase, **metrics)["metrics"][name]
    room = (1 - before["high"]) if name in HIGHER else -before["low"]
    better = before | {key: before[key] + share * room for key in ("value", "low", "high")}
    assert RANK[verdict(phase, **metrics | {name: better}).verdict] >= RANK[verdict(phase, **metrics).verdict]


@settings(max_examples=100, deadline=None)
@given(phases, measured(), st.data())
def test_without_a_criterion_there_is_no_go(phase: Any, metrics: dict[str, Any], data: Any) -> None:
    name = data.draw(st.sampled_from([bar.metric for bar in PROGRAMME.bars(phase)]))
    good = GOOD[name]
    spoilt = data.draw(
        st.sampled_from([
            None,
            metric(None),
            metric(good, n=3),
            metric(good, n=257) if PROGRAMME.metrics[name].counts == "clips" else None,
            metric(good, protocol=""),
            metric(good, protocol="another measure"),
            metric(good) | {"low": None},
            metric(good) | {"high": float("nan")},
            metric(good) | {"value": float("inf")},
            metric(good) | {"low": good + 1, "high": good + 2},
            metric(-5.0),
        ])
    )  # fmt: skip
    assert verdict(phase, **metrics | {name: spoilt}).verdict != "GO"


@settings(max_examples=60, deadline=None)
@given(phases, st.sampled_from(["data_version", "code_commit", "weights", "runs"]), st.text(min_size=1))
def test_a_stale_evaluation_decides_nothing(phase: Any, key: str, other: str) -> None:
    value = {"x": other} if key in ("weights", "runs") else other
    good, bad = evaluation(phase), evaluation(phase, spatial_iou=metric(0.1))
    assert {decide(PROGRAMME, one, pins={key: value}).verdict for one in (good, bad)} == {"INCONCLUSIVE"}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["vlm_only", "dino_only"]), st.sampled_from(sorted(BLIND["vlm_only"])), st.floats(0, 0.2))
def test_a_worse_arm_never_worsens_the_verdict_of_phase_2(arm: str, name: str, share: float) -> None:
    value = BLIND[arm][name]
    worse = value - share * value if name in HIGHER else value + share
    assert RANK[arms({arm: {name: metric(worse)}}).verdict] >= RANK[verdict(2).verdict]


@settings(max_examples=100, deadline=None)
@given(phases, measured(), st.floats(0, 1))
def test_a_narrower_interval_never_reverses_a_verdict(phase: int, metrics: dict[str, Any], share: float) -> None:
    narrow = {
        name: value | {key: value["value"] + share * (value[key] - value["value"]) for key in ("low", "high")}
        for name, value in metrics.items()
    }
    wide, sharp = verdict(phase, **metrics).verdict, verdict(phase, **narrow).verdict
    assert wide in (sharp, "INCONCLUSIVE")


@settings(max_examples=50, deadline=None)
@given(phases, measured())
def test_the_same_input_is_the_same_decision(phase: int, metrics: dict[str, Any]) -> None:
    assert verdict(phase, **metrics) == verdict(phase, **metrics)
