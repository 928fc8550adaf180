"""The programme says what the proposal says, and a wrong programme says where it is wrong."""

from pathlib import Path

import pytest

from orchestration.programme import DEFAULT_PATH, load
from orchestration.programme_file import ProgrammeError

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
    assert [risk.probability for risk in programme.risks] == [0.15, 0.30, 0.10, 0.25, 0.20, 0.30, 0.25, 0.15]
    assert len(programme.worst_case.fallbacks) == 3
    # §4.4's weeks are §3.2's durations added up.
    weeks = [step.weeks[0] for step in programme.timeline.steps]
    assert [sum(weeks[: phase + 1]) for phase in (1, 2, 3)] == [point[0] for point in points]


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


def test_contradictions_that_no_rule_resolves_are_named(tmp_path: Path) -> None:
    swapped = spoil(tmp_path, FIRST, FIRST.replace("0.65", "0.80"))
    assert "phase 1, spatial_iou: failure 0.8 lies on the good side of target 0.75 (§6.1)" in swapped
    second = '- {section: "1.4", target: 0.70'
    assert "two failure thresholds, 0.65 (§6.1) and 0.5 (§1.4)" in spoil(tmp_path, second, second + ", failure: 0.5")


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
