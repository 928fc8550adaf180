"""The programme says what the proposal says, and a wrong programme says where it is wrong."""

from pathlib import Path

import pytest

from orchestration.plan.programme import DEFAULT_PATH, load
from orchestration.plan.programme_file import ProgrammeError

# As §6.1-6.3 print them: (target, failure).
PROPOSAL = {
    1: {"spatial_iou": (0.75, 0.65), "lpips": (0.25, 0.35), "bbox_iou": (0.50, 0.30), "edge_f1": (0.65, 0.50)},
    2: {
        "spatial_iou": (0.70, 0.60),
        "lpips": (0.28, 0.35),
        "temporal_ordering": (0.85, 0.75),
        "semantic_consistency": (0.80, 0.65),
    },
    3: {
        "lpips": (0.30, 0.40),
        "fvd": (150, 250),
        "spatial_iou": (0.65, 0.55),
        "temporal_lpips_variance": (0.02, 0.04),
        "latency_s": (1.5, 2.5),
    },
}


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_the_thresholds_are_the_proposals(phase) -> None:
    bars = {bar.metric: (bar.target, bar.failure) for bar in load().bars(phase)}
    assert bars == PROPOSAL[phase]
    assert all(bar.section == f"6.{phase}" for bar in load().bars(phase))


def test_decision_points_budget_and_risks_are_the_proposals() -> None:
    programme = load()
    points = [(plan.decision.week, plan.decision.go, plan.decision.no_go) for plan in programme.phases.values()]
    assert points == [(3, "continue", "abort"), (5, "continue", "simplify"), (7, "proceed", "partial_integration")]
    hours = programme.budget.gpu_hours
    assert (hours.phases, hours.warn.at, hours.price.usd_per_hour) == ({1: 80, 2: 100, 3: 120}, 200, 2)
    assert [(risk.probability, risk.level, risk.impact) for risk in programme.risks] == [
        (0.15, "low", "high"),
        (0.30, "medium", "high"),
        (0.10, "low", "medium"),
        (0.25, "medium", "medium"),
        (0.20, "low", "medium"),
        (0.30, "medium", "medium"),
        (0.25, "medium", "low"),
        (0.15, "low", "high"),
    ]
    assert len(programme.worst_case.fallbacks) == 3
    money = programme.budget.money
    assert (hours.before.at, money.compute_usd, money.storage_usd, money.total_usd) == (400, 1200, 50, 1250)
    storage = programme.budget.storage_gb
    assert (storage.phases, storage.features.at, storage.before.at) == ({1: 50, 2: 50, 3: 100}, 100, 500)
    # §4.4's weeks are §3.2's durations added up.
    weeks = [step.weeks[0] for step in programme.timeline.steps]
    assert [sum(weeks[: phase + 1]) for phase in (1, 2, 3)] == [point[0] for point in points]


def test_the_checkpoint_stands_beside_and_the_project_is_judged_by_6_4() -> None:
    programme = load()
    assert [(row.metric, row.target, row.section) for row in programme.beside(1)] == [("spatial_iou", 0.70, "4.4")]
    whole = {row.metric: row.target for row in programme.overall.criteria}
    assert whole == {"spatial_iou": 0.60, "lpips": 0.35, "latency_s": 1.8, "vram_gb": 48}
    assert programme.beside(3) == programme.overall.criteria
    assert set(programme.overall.maintains.margins) == {"temporal_ordering", "semantic_consistency"}


def test_every_failure_leads_to_a_fallback_of_its_own() -> None:
    programme = load()
    assert sorted(plan.if_it_fails.fallback for plan in programme.phases.values()) == [1, 2, 3]
    assert programme.phases[1].if_it_fails.says == "Spatial encoding alone is insufficient"


@pytest.mark.parametrize(
    ("name", "protocol", "lacks"),
    [
        ("lpips", "lpips 0.1.4 v0.1, alex, input [-1,1]", []),
        ("lpips", "lpips 0.1.4 v0.1, vgg, input [-1,1]", ["alex"]),
        ("fvd", "i3d Kinetics-400 logits", []),
        ("fvd", "VideoMAE features", ["I3D"]),
    ],
)
def test_a_protocol_is_known_by_its_words(name, protocol: str, lacks: list[str]) -> None:
    assert load().metrics[name].foreign(protocol) == lacks


def test_every_protocol_that_this_project_measures_by_may_gate() -> None:
    from models.evaluation import boxes, cka, edges, fvd, iou, probes, semantic, temporal

    measured = {
        "spatial_iou": iou.PROTOCOL,
        "bbox_iou": boxes.BOX_PROTOCOL,
        "map50": boxes.MAP_PROTOCOL,
        "edge_f1": edges.PROTOCOL,
        "temporal_ordering": probes.ORDERING_PROTOCOL,
        "direction": probes.DIRECTION_PROTOCOL,
        "semantic_consistency": semantic.PROTOCOL,
        "fvd": fvd.PROTOCOL,
        "temporal_lpips_variance": temporal.PROTOCOL,
        "cka": cka.PROTOCOL,
        "latency_s": "p50 of 50 calls after 5 of warm-up",
        "vram_gb": "torch.cuda peak allocated",
        "lpips": "lpips 0.1.4 v0.1, alex",
    }
    metrics = load().metrics
    assert set(measured) == set(metrics)
    assert {name: metrics[name].foreign(protocol) for name, protocol in measured.items()} == {
        name: [] for name in measured
    }


def spoil(tmp_path: Path, old: str, new: str) -> str:
    """The error of the programme with one text replaced."""
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "programme.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProgrammeError) as error:
        load(path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


def line_of(old: str) -> int:
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


FIRST = '- {section: "6.1", target: 0.75, failure: 0.65}'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (FIRST, FIRST.replace("6.1", "6.5"), "the proposal has no section '6.5'; allowed: 1.1-1.5, 2.1-2.3"),
        ("protocol: [I3D]", "protocol: []", "metrics.fvd.protocol: List should have at least 1 item"),
        ("probability: 0.20, level", "probability: 20, level", "Input should be less than or equal to 1"),
        (FIRST, '- {section: "6.1", goal: 0.75}', "phases.1.criteria.spatial_iou.0.target: missing"),
        (FIRST, FIRST.replace("}", ", maybe: 1}"), "0.maybe: unknown key; allowed: section, target, failure"),
        (FIRST, FIRST.replace("0.75", "high"), "0.target: Input should be a valid number"),
        (FIRST, FIRST.replace("0.75", ".nan"), "0.target: Input should be a finite number"),
        (FIRST, FIRST.replace('"6.1"', "6.1"), "0.section: Input should be a valid string"),
        ("title: Spatial IoU, better: higher", "title: Spatial IoU, better: more", "'higher' or 'lower'"),
        ("no_go: abort", "no_go: panic", "'continue', 'abort', 'simplify'"),
        ("      edge_f1:\n", "      edge_fl:\n", "no metric is called 'edge_fl'"),
    ],
)
def test_an_error_names_line_key_and_what_is_allowed(tmp_path: Path, old: str, new: str, said: str) -> None:
    message = spoil(tmp_path, old, new)
    assert said in message
    assert message.startswith(f"line {line_of(old)}: ")


def test_unknown_keys_at_the_top_are_refused(tmp_path: Path) -> None:
    message = spoil(tmp_path, "\nworst_case:", "\nworstcase: {}\nworst_case:")
    assert "worstcase: unknown key; allowed: schema, title, metrics, gate" in message


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    message = spoil(tmp_path, "\nrisks:", "\ntimeline: {}\nrisks:")
    assert f"timeline: given twice, first on line {line_of('timeline:')}" in message


SECOND = '- {section: "1.4", target: 0.70}'
EXCEEDS = "vlm_only: [spatial_iou, lpips]"


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        (FIRST, FIRST.replace("0.65", "0.80"), "      spatial_iou:", "failure 0.8 lies on the good side of target"),
        (SECOND, SECOND.replace("}", ", failure: 0.5}"), "      spatial_iou:", "0.65 (§6.1) and 0.5 (§1.4)"),
        (SECOND, SECOND.replace("1.4", "6.1"), "      spatial_iou:", "§6.1 states it twice"),
        (FIRST, FIRST.replace("0.75", "75"), FIRST, "target 75 is outside the metric's range 0 to 1"),
        ("target: 0.60, says", "target: 60, says", '- {section: "6.4", metric: spatial_iou', "target 60 is outside"),
        ("least: -1, most: 1", "least: 1, most: 1", "  semantic_consistency:\n", "no value is in range"),
        ("no_go: abort", "no_go: continue", "    decision:", "GO and NO_GO are both 'continue'"),
        ("go: continue, no_go: abort", "go: wait, no_go: abort", "    decision:", "go is 'wait'"),
        (EXCEEDS, EXCEEDS.replace("lpips", "temporal_ordering"), "    single_stream:", "exceed vlm_only in temp"),
        ("fallback: 3}", "fallback: 4}", "    if_it_fails:", "no fallback 4; allowed: 1 to 3"),
        ("week: 5", "week: 3", '    decision: {section: "4.4", week: 5', "in week 3, not after phase 1 (week 3)"),
        ("weeks: [2, 3]", "weeks: [3, 2]", '    - {name: "Phase 3', "[3, 2] run backwards"),
        ("total_weeks: [6, 7]", "total_weeks: [7, 6]", "  total_weeks:", "[7, 6] run backwards"),
        ('after: "Phase 3: full', 'after: "Phase 4: full', "    - {name: Integration", "is not a step above it"),
        ("phases: {1: 80, 2: 100, 3: 120}", "phases: {1: 80, 2: 100}", "    phases: {1: 80", "phase 3 has no cap"),
        ("at: 200}", "at: 300}", "    warn:", "the caps add up to 300: it never would"),
        ("usd_per_hour: 2", "usd_per_hour: 3", "  money:", "600 hours (§3.1) at 3 USD are 1800, not 1200 (§3.4)"),
        ("storage_usd: 50", "storage_usd: 60", "  money:", "1200 and 60 USD are not 1250 together"),
        ("probability: 0.20, level", "probability: 0.30, level", '  - {section: "4.1", risk: VLM', "is low at 0.3"),
    ],
)  # fmt: skip
def test_a_contradiction_that_no_rule_resolves_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, where: str, said: str
) -> None:
    message = spoil(tmp_path, old, new)
    assert said in message
    assert message.startswith(f"line {line_of(where)}: ")


def test_a_phase_or_a_metric_that_is_not_defined_is_named(tmp_path: Path) -> None:
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    third = text[text.index("  3:\n    name: Full") : text.index("\n# The project as a whole")]
    assert "phases: 3 missing; allowed: exactly 1, 2, 3" in spoil(tmp_path, third, "")
    row = next(line for line in text.splitlines(keepends=True) if line.startswith("  edge_f1: {title"))
    assert "phases/1/criteria/edge_f1: edge_f1 is not under `metrics`; allowed: spatial_iou" in spoil(
        tmp_path, row, ""
    ).replace(".", "/")


def test_the_strictest_target_governs(tmp_path: Path) -> None:
    path = tmp_path / "programme.yaml"
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    path.write_text(
        text.replace('- {section: "1.4", target: 0.70}', '- {section: "1.4", target: 0.90}', 1), encoding="utf-8"
    )
    bar = load(path).bars(1)[0]
    assert (bar.target, bar.failure, bar.section) == (0.90, 0.65, "1.4")
    assert load(path).sha256 != load().sha256


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"])
def test_a_file_that_is_no_programme_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "programme.yaml"
    path.write_text(text)
    with pytest.raises(ProgrammeError, match=r"programme\.yaml: "):
        load(path)
