"""The chair's page: the decision first, nothing hidden, nothing from outside, and honest about what has not run."""

import datetime as dt
import re

import pytest

from orchestration.gates import board
from orchestration.report.collect import collect
from orchestration.report.page import render
from tests.orchestration.report import sample


def text(page: str) -> str:
    """What a reader sees, on one line."""
    body = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(body.split())


def test_the_decision_comes_before_the_evidence(ran):
    page = render(collect(ran.home))
    seen = text(page)
    assert seen.index("INCONCLUSIVE Phase 2, semantic integration, cannot be decided") < seen.index("Criteria.")
    assert "Temporal ordering: interval straddles 0.85" in seen


def test_every_row_of_the_gate_board_is_on_the_page(ran):
    seen = text(render(collect(ran.home)))
    decision = ran.log.latest(2)
    for row in board.criteria_rows(decision):
        assert f"{row['value']} {row['interval'].replace('>', '&gt;')}" in seen
    assert "Spatial IoU over VLM only" in seen
    assert "Reported beside; these do not gate" in seen


def test_a_phase_that_has_not_run_says_so(ran):
    page = render(collect(ran.home))
    assert "End-to-end video generation with hybrid conditioning. Not run yet." in text(page)


def test_a_home_without_any_decision_makes_a_page_too(empty):
    seen = text(render(collect(empty.home)))
    assert "NOT RUN YET No gate has been decided yet." in seen
    assert "Made with stand-ins" not in seen


def test_an_override_stands_beside_the_verdict_and_never_replaces_it(empty):
    empty.decided(sample.phase1(lpips=sample.measured(0.6)))
    empty.overridden(1, "The decoder is known to blur.")
    seen = text(render(collect(empty.home)))
    assert "NO-GO Phase 1, spatial reconstruction, is beyond a failure line: abort." in seen
    assert "Overridden by A. Chair" in seen
    assert "“The decoder is known to blur.” The verdict above stays" in seen
    assert "On A. Chair&#39;s word Phase 2 may start" in seen


def test_an_expired_override_is_not_shown_as_one_that_counts(empty):
    empty.decided(sample.phase1(lpips=sample.measured(0.6)))
    today = dt.datetime.now(dt.UTC).date()
    empty.overridden(1, "until tonight", today)
    later = dt.datetime.combine(today + dt.timedelta(days=2), dt.time(), dt.UTC)
    empty.log._clock = lambda: later
    empty.log.note("a later day")
    seen = text(render(collect(empty.home)))
    assert "Overridden until it expired by A. Chair" in seen
    assert "Action: abort. Overridden by" not in seen


def test_a_newer_evaluation_than_the_decided_one_is_named(ran):
    ran.evaluated(sample.phase1(lpips=sample.measured(0.2)))
    assert "evaluated again after the gate decided" in text(render(collect(ran.home)))


def test_a_broken_chain_is_loud(ran):
    bundle = collect(ran.home)
    broken = type(bundle)(**{**bundle.__dict__, "chain_broken": "decisions, row 1: its document was changed"})
    assert 'class="override">The chain of hashes is broken: decisions, row 1' in render(broken)
    assert "is whole" in text(render(bundle))


def test_stand_ins_are_named_at_the_top_and_only_when_used(ran, empty, tmp_path):
    page = render(collect(ran.home))
    assert text(page).index("Made with stand-ins.") < text(page).index("The decision")
    ran.decided(sample.phase1())
    bundle = collect(ran.home)
    real = {n: type(p)() for n, p in bundle.phases.items()}
    assert "Made with stand-ins." not in render(type(bundle)(**{**bundle.__dict__, "phases": real}))


def test_words_from_people_are_escaped(ran):
    ran.overridden(2, "<script>alert('x')</script> & so on")
    page = render(collect(ran.home))
    assert "<script" not in page
    assert "&lt;script&gt;alert" in page


def test_the_page_needs_nothing_but_itself(ran):
    page = render(collect(ran.home))
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert links
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))


def test_cost_and_time_stand_against_plan(ran):
    from orchestration.budget.ledger import Ledger
    from orchestration.plan import programme
    from orchestration.record.store import Store

    ledger = Ledger(Store(ran.home.database), programme.load())
    ledger.reserve("run", phase=2, gpus=2, max_hours=20, device="a100")
    ledger.commit("run")
    ledger.settle("run", 15)
    seen = text(render(collect(ran.home)))
    assert "Phase 2 100 h 30.0 h 0.0 h 70.0 h $60.00" in seen
    assert re.search(r"Phase 1: spatial reconstruction 2 weeks .{20,40} 3 min 39 s done", seen)
    assert "30.0 of 300" in seen
    assert re.search(r"Phase 1 \(§D.2\) 50 GB 0.\d{3} GB not measured", seen)


def test_who_waits_for_hours_and_who_goes_on_is_told(ran):
    from orchestration.budget.ledger import Ledger
    from orchestration.plan import programme
    from orchestration.record.store import Store

    ledger = Ledger(Store(ran.home.database), programme.load())
    for key in ("moving_shapes/phase1/abc/a1", "moving_shapes/phase2/def/a1"):
        ledger.reserve(key, phase=1, gpus=1, max_hours=4, device="a100")
        ledger.commit(key)
    ledger.settle("moving_shapes/phase1/abc/a1", 4, "stopped")
    seen = text(render(collect(ran.home)))
    assert "phase1/abc stopped at the end of its 4 h and waits for a person; to its last step: nothing" in seen
    assert re.search(r"phase2/def/a1 goes on, with 4 h reserved; to its last step: .* \(enough: \w+\)", seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_the_style_uses_is_defined(ran, scheme):
    style = re.search(r"<style>(.*?)</style>", render(collect(ran.home)), re.DOTALL)
    assert style
    used = set(re.findall(r"var\(--([a-z]+)\)", style[1])) - {"tone"}
    roots = re.findall(r":root \{(.*?)\}", style[1], re.DOTALL)
    defined = set(re.findall(r"--([a-z]+):", roots[0] if scheme == "light" else roots[0] + roots[1]))
    assert used <= defined


def test_what_one_arm_reached_does_not_go_by_the_hybrids_name():
    from orchestration.report.tables import beside

    metrics = {"lpips": sample.measured(0.2)}
    table = beside(sample.evaluation(1, metrics, arms={"dino_only": metrics}, baselines={"copy_last": metrics}))
    assert table is not None
    assert [column.words for column in table.columns][:1] == ["DINOv2 only"]
    assert "Hybrid" not in [column.words for column in table.columns]


def test_the_hybrid_without_a_stream_has_a_table_of_its_own():
    """Beside all baselines it would not fit on a printed page."""
    from orchestration.report.tables import absent, beside

    whole = {"lpips": sample.measured(0.1), "lpips_vgg": sample.measured(0.2), "spatial_iou": sample.measured(0.8)}
    lost = {"lpips": sample.measured(0.6), "spatial_iou": sample.measured(0.02)}
    sets = {"without_semantic": lost, "without_spatial": lost, "copy_last": lost}
    measured = sample.evaluation(2, whole, {"hybrid": whole, "dino_only": lost}, sets)
    table, others = absent(measured), beside(measured)
    assert table is not None
    assert others is not None
    assert [column.words for column in table.columns] == ["Hybrid", "Hybrid, VLM absent", "Hybrid, DINOv2 absent"]
    assert [line.words for line in table.lines] == ["LPIPS", "Spatial IoU"]
    assert [column.words for column in others.columns] == ["Hybrid", "DINOv2 only", "Copy of last frame"]
    assert absent(sample.evaluation(2, whole, baselines={"copy_last": lost})) is None


def test_the_first_screen_answers_with_evidence_cost_time_risks_and_the_next_step(ran):
    page = render(collect(ran.home))
    hero = text(page[page.index('<section class="hero') : page.index('<ol class="phases">')])
    for said in ("128 held-out clips", "0.0 of 300 GPU-hours", "Week 1 of 8 to 9", "None triggered"):
        assert said in hero
    assert re.search(r"Next Measure about [\d,]+ held-out clips and decide again, or a person signs", hero)


def test_what_next_follows_from_the_verdict_and_from_who_signed(empty):
    def next_step() -> str:
        return text(re.search(r'<p class="next">(.*?)</p>', render(collect(empty.home)), re.DOTALL)[1])

    assert next_step() == "Next Run Phase 1; its gate is the first."
    empty.decided(sample.phase1())
    assert next_step() == "Next Phase 2 may start."
    empty.decided(sample.phase1(lpips=sample.measured(0.6)))
    said = next_step()
    assert said.startswith("Next Abort (§4.4), or a person signs that Phase 2 may start. Phase 1 shows that spatial")
    assert "fallback 3 of §4.3: Reframe research questions" in said
    empty.overridden(1, "The decoder is known to blur.")
    assert next_step() == "Next On A. Chair&#39;s word Phase 2 may start, whatever the gate said."


def test_a_triggered_risk_comes_first_with_its_reason_in_words_and_its_answer(empty):
    empty.decided(sample.phase1(bbox_iou=sample.measured(0.1)))
    seen = text(render(collect(empty.home)))
    risks = seen[seen.index("Risks, and what answers them") :]
    assert risks.index("triggered DINOv2 features") < risks.index("open ")
    assert "Bounding Box IoU: whole interval &lt; failure threshold 0.3" in risks
    assert "Next: DINOv2 is proven for dense prediction" in risks
    assert "1 triggered" in seen[: seen.index("Criteria.")]


def test_the_timeline_shows_the_plan_beside_what_happened(ran, monkeypatch):
    monkeypatch.setenv("FORESIGHT_START", "2020-01-06")
    seen = text(render(collect(ran.home)))
    plan = seen[seen.index("Time against plan") :]
    assert re.search(r"Phase 1: spatial reconstruction 2 weeks 26 Jan 2020 .{11,25} 3 min 39 s done", plan)
    assert re.search(r"Phase 2: semantic integration 2 weeks 09 Feb 2020 since .{11} 6 min 42 s late", plan)
    assert "Weeks are counted from 06 Jan 2020." in plan


def test_who_signed_what_names_the_gate_and_the_people(ran):
    ran.overridden(2, "The VLM alone orders events.")
    seen = text(render(collect(ran.home)))
    signed = seen[seen.index("Who signed what") :]
    assert "Phase 1 on moving_shapes: GO, continue the gate 4 of 4 targets met" in signed
    assert "Phase 2 on moving_shapes: goes on A. Chair The VLM alone orders events." in signed


def test_the_project_as_a_whole_has_its_own_verdict_and_rows(ran):
    page = render(collect(ran.home))
    seen = text(page)
    assert seen.index("The project as a whole, §6.4 ? INCONCLUSIVE") < seen.index("Criteria.")
    whole = seen[seen.index("§6.4 The project as a whole") :]
    assert "Phase 1 GO, Phase 2 INCONCLUSIVE, Phase 3 NOT RUN YET." in whole
    assert "phase 3 not evaluated" in whole
