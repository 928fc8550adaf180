"""The documents hold what they promise: closed, finite, and identified by what they say."""

import json
from pathlib import Path

import pytest

from orchestration.documents import DocumentError, canonical, parse_evaluation, read_evaluation, sha256
from orchestration.gates.gate import decide
from orchestration.plan.programme import load
from tests.orchestration.evaluations import document, evaluation, metric


def test_an_evaluation_survives_its_own_json() -> None:
    assert parse_evaluation(json.loads(json.dumps(document(2)))).document() == evaluation(2).document()
    assert evaluation().document()["schema"] == "foresight.evaluation/1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"extra": 1}, "extra"),
        ({"schema": "foresight.evaluation/2"}, "schema"),
        ({"phase": 4}, "phase"),
        ({"metrics": {"spatial_uoi": metric(0.5)}}, "spatial_uoi"),
        ({"metrics": {"lpips": metric(0.5) | {"unit": "x"}}}, "unit"),
        ({"metrics": {"lpips": metric(0.5) | {"n": -1}}}, "n"),
        ({"arms": {"sam_only": {}}}, "sam_only"),
        ({"baselines": {"last": {}}}, "last"),
    ],
)
def test_what_the_contract_does_not_know_is_refused_by_name(change: dict[str, object], said: str) -> None:
    with pytest.raises(DocumentError, match=said) as refusal:
        parse_evaluation(document() | change)
    assert "\n" not in str(refusal.value)


def test_a_missing_key_is_refused() -> None:
    body = document()
    del body["schema"]
    with pytest.raises(DocumentError, match="schema: Field required"):
        parse_evaluation(body)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_becomes_null(bad: str, tmp_path: Path) -> None:
    text = json.dumps(document()).replace('"value": 0.8,', f'"value": {bad},', 1)
    (tmp_path / "evaluation.json").write_text(text)
    read = read_evaluation(tmp_path / "evaluation.json")
    assert read.metrics["spatial_iou"].value is None
    assert '"value":null' in canonical(read.document())


def test_the_names_beside_a_name_are_known() -> None:
    metrics = {"fvd_smallN": metric(90.0), "lpips_vgg": metric(0.2), "temporal_lpips_variance_true": metric(0.0)}
    assert set(evaluation(1, **metrics).metrics) > set(metrics)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_is_no_evaluation_says_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=r"evaluation\.json: "):
        read_evaluation(path)
    with pytest.raises(DocumentError, match="cannot be read"):
        read_evaluation(tmp_path / "nowhere.json")


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert sha256({"a": 1, "b": [1.5, "é"]}) == sha256({"b": [1.5, "é"], "a": 1})
    assert sha256({"a": 1}) != sha256({"a": 2})


def test_anyone_can_check_a_decisions_hash_from_its_json() -> None:
    decision = decide(load(), evaluation(), previous_sha256="f" * 64)
    body = json.loads(json.dumps(decision.document()))
    assert body.pop("sha256") == sha256(body)
    assert decision.intact()
    assert not decision.model_copy(update={"verdict": "NO_GO"}).intact()
