"""The rule of the premise audit: it stands, falls or is open by whole intervals, and by nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.experiments.premise import decide, verdict_of
from tests.orchestration.experiments.audits import DECLARATION, audit, cka_row

LAPTOP = ["laptop"]


def decided(measured, standins_decide=LAPTOP):
    return decide(DECLARATION, measured, standins_decide=standins_decide)


def outcomes(measured):
    return {claim.claim: claim.outcome for claim in decided(measured).claims}


def test_all_claims_hold_and_the_premise_stands():
    decision = decided(audit())
    assert decision.verdict == "stands"
    assert decision.finding.startswith("The premise of the pivot stands.")
    assert decision.pins["declaration_sha256"] == DECLARATION.sha256


def test_a_vlm_that_says_where_things_are_brings_it_down():
    measured = audit({"qwen_premerge": 0.58})
    assert outcomes(measured)["lacks_place"] == "fails"
    assert decided(measured).verdict == "falls"
    assert "Qwen pre-merge, order restored: Bounding Box IoU 0.580" in decided(measured).claims[0].why


def test_what_q2_read_out_of_order_judges_nothing():
    assert outcomes(audit({"qwen_premerge_as_returned": 0.9}))["lacks_place"] == "holds"


@pytest.mark.parametrize(
    ("value", "half", "outcome"),
    [(0.27, 0.02, "holds"), (0.29, 0.02, "open"), (0.40, 0.02, "open"), (0.49, 0.02, "open"), (0.53, 0.02, "fails")],
)
def test_an_interval_across_a_line_leaves_the_claim_open(value, half, outcome):
    assert outcomes(audit({"qwen_premerge": value}, half))["lacks_place"] == outcome


@pytest.mark.parametrize(("dinov2", "outcome"), [(0.15, "fails"), (0.20, "open"), (0.30, "holds")])
def test_dinov2_must_exceed_every_reading_of_the_vlm_by_the_margin(dinov2, outcome):
    assert outcomes(audit({"dinov2": dinov2}))["supplied"] == outcome


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (cka_row("unbiased", 1024, 0.2), "holds"),
        (cka_row("unbiased", 1024, 0.015), "open"),
        (cka_row("unbiased", 1024, 0.001, p=0.4), "fails"),
        (cka_row("unbiased", 64, 0.2), "open"),
    ],
)
def test_alignment_is_judged_unbiased_at_the_largest_n_against_chance(row, outcome):
    early = cka_row("unbiased", 8, 0.9)
    biased = cka_row("biased", 2048, 0.99)
    assert outcomes(audit(cka=[row, biased, early]))["aligned"] == outcome


def test_what_was_not_measured_or_on_too_few_clips_is_open():
    assert set(outcomes(audit(n=19)).values()) == {"open", "holds"}
    blind = decided(audit(localisation={}, differences=[]))
    assert blind.verdict == "open"
    assert "no masks" in blind.finding
    assert outcomes(audit(cka=[]))["aligned"] == "open"


def test_stand_ins_decide_the_laptops_premise_and_never_the_a100s():
    refused = decided(audit(standins=True))
    assert refused.verdict == "open"
    assert all("stand-ins, which decide nothing of profile a100" in claim.why for claim in refused.claims)
    allowed = decided(audit(standins=True, profile="laptop"))
    assert allowed.verdict == "stands"
    assert allowed.finding.startswith("For these stand-ins the premise of the pivot stands.")


def test_what_was_measured_under_another_declaration_decides_nothing():
    assert decided(audit(declaration_sha256="other")).verdict == "open"


@given(st.lists(st.sampled_from(["holds", "fails", "open"])))
def test_one_failure_brings_it_down_and_only_all_of_them_hold_it_up(claims):
    verdict = verdict_of(claims)
    assert (verdict == "falls") == ("fails" in claims)
    assert (verdict == "stands") == (bool(claims) and all(claim == "holds" for claim in claims))


@given(st.floats(0, 1), st.floats(0.001, 0.3), st.floats(0, 0.3))
def test_a_wider_interval_never_decides_what_a_narrower_one_left_open(value, half, more):
    narrow, wide = (outcomes(audit({"qwen_premerge": value}, width)) for width in (half, half + more))
    for claim in narrow:
        assert wide[claim] in (narrow[claim], "open")


@given(st.dictionaries(st.sampled_from(["qwen_postmerge", "qwen_premerge", "dinov2"]), st.floats(0, 1)))
def test_the_same_audit_gives_the_same_decision(iou):
    assert decided(audit(iou)).sha256 == decided(audit(iou)).sha256
