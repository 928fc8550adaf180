"""Claims judged by whole intervals, and declarations that cannot be judged refused."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.documents import MetricValue
from orchestration.plan.programme_file import ProgrammeError
from orchestration.studies import declared
from orchestration.studies.declaration import EXPERIMENTS, ClaimRule, StudyDeclaration, load, study
from orchestration.studies.rule import judge
from tests.orchestration.studies.test_stage import DECLARED

NUMBERS = st.floats(-10, 10)


def rule(**side: float) -> ClaimRule:
    return ClaimRule.model_validate({"claim": "it", "says": "It is so.", "section": "house", "value": "v", **side})


def value(low: float, high: float, n: int = 50) -> MetricValue:
    return MetricValue(value=(low + high) / 2, low=low, high=high, n=n, protocol="")


@given(NUMBERS, NUMBERS, NUMBERS)
def test_what_holds_above_a_line_fails_below_it_and_an_interval_across_it_is_open(one, other, line):
    low, high = sorted((one, other))
    above, _ = judge(rule(above=line), value(low, high), 20)
    below, _ = judge(rule(below=line), value(low, high), 20)
    assert (above, below) in {("holds", "fails"), ("fails", "holds"), ("open", "open")}
    assert (above == "holds") == (low > line)
    assert (below == "holds") == (high < line)


@pytest.mark.parametrize(
    ("given_value", "why"),
    [
        (None, "not measured"),
        (MetricValue(value=1.0, low=None, high=None, n=50, protocol=""), "not measured"),
        (value(1, 2, n=19), "19 clips, fewer than 20"),
    ],
)
def test_what_was_not_measured_or_on_too_few_clips_is_open(given_value, why):
    outcome, said = judge(rule(above=0), given_value, 20)
    assert outcome == "open"
    assert why in said


def test_a_claim_without_a_side_or_with_both_is_refused():
    with pytest.raises(ValidationError, match="give either above or below"):
        rule()
    with pytest.raises(ValidationError, match="give either above or below"):
        rule(above=0, below=1)


@pytest.mark.parametrize("name", declared())
def test_what_is_declared_can_be_read_planned_and_judged(name):
    found = load(name)
    module = study(name)
    for profile, given_sizes in found.sizes.items():
        cells = module.cells(found.planned, module.Sizes.model_validate(given_sizes))
        names = [cell.name for cell in cells]
        assert len(set(names)) == len(names), profile
        for number, cell in enumerate(cells):
            assert set(cell.after) <= set(names[:number])


def test_a_declaration_says_in_one_line_where_it_is_wrong(tmp_path):
    path = tmp_path / "q4.yaml"
    text = yaml.safe_load((EXPERIMENTS / "q4.yaml").read_text())
    path.write_text(yaml.safe_dump({**text, "plan": {**text["plan"], "pases": 3}}))
    with pytest.raises(ProgrammeError, match=r"q4.yaml: plan.pases: Extra inputs are not permitted"):
        load("q4", path)
    del text["sizes"]["a100"]
    path.write_text(yaml.safe_dump(text))
    with pytest.raises(ProgrammeError, match="a100 missing"):
        load("q4", path)
    with pytest.raises(ProgrammeError, match="it declares q4, not c3"):
        load("c3", EXPERIMENTS / "q4.yaml")


def test_a_changed_rule_is_another_declaration():
    one = StudyDeclaration.model_validate(DECLARED)
    other = StudyDeclaration.model_validate(
        {**DECLARED, "rule": [{**DECLARED["rule"][0], "above": 0.5}]}  # type: ignore[index]
    )
    assert one.sha256 != other.sha256
