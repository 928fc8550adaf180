"""`foresight gate`: what its commands print, where, and how they exit."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from orchestration.cli.gate import gate_app
from orchestration.documents import Decision, sha256
from orchestration.gates.board import criteria_rows, criteria_table
from orchestration.gates.gate import decide
from orchestration.plan.programme import DEFAULT_PATH, load
from tests.orchestration.evaluations import document, evaluation, metric

app = typer.Typer()
app.add_typer(gate_app, name="gate")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def foresight(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def printed(result: Result) -> Any:
    """The one document on stdout."""
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def evaluated(home: Path, phase: int = 1, **metrics: Any) -> Path:
    path = home / "runs" / "moving_shapes" / f"phase{phase}" / "evaluation.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(phase, **metrics)))
    return path


def test_decide_records_and_prints_the_decision(home: Path) -> None:
    evaluated(home)
    body = printed(foresight("gate", "decide", "1", "--json"))
    assert (body["schema"], body["verdict"], body["action"]) == ("foresight.decision/1", "GO", "continue")
    assert body["pins"]["dataset"] == "moving_shapes"
    assert body.pop("sha256") == sha256(body)
    assert printed(foresight("gate", "decide", "1", "--json"))["previous_sha256"] is None, "decided once"
    assert len(printed(foresight("gate", "log", "--json"))["entries"]) == 1


def test_decide_without_an_evaluation_says_how_to_make_one(home: Path) -> None:
    result = foresight("gate", "decide", "2")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "no evaluation of phase 2 at" in result.stderr
    assert "foresight run" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_board_names_every_criterion_and_says_what_is_open(home: Path) -> None:
    evaluated(home, spatial_iou=metric(0.76, 0.02))
    shown = foresight("gate", "decide", "1").stdout
    assert "Phase 1 gate: INCONCLUSIVE -> wait (stand-ins)" in shown
    for text in ("spatial_iou", "lpips", "bbox_iou", "edge_f1", "> 0.75", "< 0.65", "0.74 .. 0.78", "6.1", "1025"):
        assert text in shown


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_the_board_fits_100_columns(phase: int) -> None:
    from rich.console import Console

    page = io.StringIO()
    console = Console(width=100, file=page)
    console.print(criteria_table(decide(load(), evaluation(phase, fvd=None, spatial_iou=metric(0.7, 0.2)))))
    shown = page.getvalue()
    assert "…" not in shown
    assert "spatial_iou: interval straddles" in shown.replace("\n", " ")


def test_rows_are_texts_for_any_table() -> None:
    rows = {row["label"]: row for row in criteria_rows(decide(load(), evaluation(2)))}
    assert rows["lpips"]["target"] == "< 0.28"
    assert rows["lpips over vlm_only"]["gates"]
    beside = criteria_rows(decide(load(), evaluation(1)))[-1]
    assert (beside["label"], beside["gates"]) == ("spatial_iou (beside)", False)


def test_show_tells_what_stands_and_whether_the_next_phase_may_start(home: Path) -> None:
    assert "is not decided" in foresight("gate", "show", "1").stdout
    evaluated(home, spatial_iou=metric(0.5))
    foresight("gate", "decide", "1")
    shown = printed(foresight("gate", "show", "1", "--json"))
    assert shown["decision"]["verdict"] == "NO_GO"
    assert not shown["next_phase"]["allowed"]
    assert "may not start" in foresight("gate", "show", "1").stdout
    assert printed(foresight("gate", "show", "3", "--json"))["next_phase"] is None


def test_approve_is_signed_shown_and_logged(home: Path) -> None:
    evaluated(home, spatial_iou=metric(0.5))
    foresight("gate", "decide", "1")
    signed = ("--by", "Chair", "--why", "one week", "--until", "2999-01-01")
    body = printed(foresight("gate", "approve", "1", *signed, "--json"))
    assert (body["by"], body["why"], body["until"]) == ("Chair", "one week", "2999-01-01")
    assert "Overridden by Chair, until 2999-01-01: one week" in foresight("gate", "show", "1").stdout
    assert printed(foresight("gate", "show", "1", "--json"))["next_phase"]["allowed"]
    logged = printed(foresight("gate", "log", "--json"))
    assert [entry["kind"] for entry in logged["entries"]] == ["decision", "override"]
    assert "2 entries, the chain holds" in foresight("gate", "log").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--by", "Chair"),
        ("--why", "because"),
        ("--by", "Chair", "--why", " "),
        ("--by", "", "--why", "because"),
        ("--by", "Chair", "--why", "because", "--until", "tomorrow"),
        ("--by", "Chair", "--why", "because", "--until", "2001-01-01"),
    ],
)
def test_an_override_nobody_answers_for_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = foresight("gate", "approve", "1", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert printed(foresight("gate", "log", "--json"))["entries"] == []


@pytest.mark.parametrize("phase", ["0", "4", "one"])
def test_there_are_three_phases(phase: str) -> None:
    assert foresight("gate", "show", phase).exit_code == 2


def test_replay_answers_what_if_and_records_nothing(home: Path, tmp_path: Path) -> None:
    path = evaluated(home, spatial_iou=metric(0.72))
    assert printed(foresight("gate", "replay", "--evaluation", str(path), "--json"))["verdict"] == "MARGINAL"
    other = tmp_path / "what-if.yaml"
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    other.write_text(text.replace("target: 0.75, failure: 0.65", "target: 0.70, failure: 0.65", 1), encoding="utf-8")
    replayed = foresight("gate", "replay", "--evaluation", str(path), "--programme", str(other), "--json")
    body = Decision.model_validate(printed(replayed))
    assert (body.verdict, body.previous_sha256) == ("GO", None)
    assert not (home / "foresight.db").exists()


def test_replay_finds_the_evaluation_of_a_phase(home: Path) -> None:
    evaluated(home, 2)
    assert printed(foresight("gate", "replay", "--evaluation", "phase2", "--json"))["phase"] == 2


def test_replay_sets_single_thresholds_and_names_the_rows_that_turn(home: Path) -> None:
    path = str(evaluated(home, spatial_iou=metric(0.72)))
    easier = ("gate", "replay", "--evaluation", path, "--set", "1.spatial_iou.target=0.7")
    shown = foresight(*easier).stdout
    assert "What if: MARGINAL -> GO" in shown
    assert "spatial_iou: MARGINAL (target 0.75, failure 0.65) -> GO (target 0.7, failure 0.65)" in shown
    body = Decision.model_validate(printed(foresight(*easier, "--json")))
    assert body.verdict == "GO"
    what_if: Any = body.pins["what_if"]
    assert (what_if["verdict_as_it_stands"], [row["metric"] for row in what_if["changed"]]) == (
        "MARGINAL",
        ["spatial_iou"],
    )
    same = foresight("gate", "replay", "--evaluation", path, "--set", "1.lpips.target=0.24").stdout
    assert "What if: MARGINAL -> MARGINAL" in same
    assert not (home / "foresight.db").exists()
    refused = foresight("gate", "replay", "--evaluation", path, "--set", "1.fvd.target=1")
    assert (refused.exit_code, refused.stdout, "no criterion of phase 1" in refused.stderr) == (2, "", True)


def test_the_project_as_a_whole_is_shown(home: Path) -> None:
    assert "The project as a whole (§6.4): INCONCLUSIVE" in foresight("gate", "show", "overall").stdout
    for phase in (1, 2, 3):
        evaluated(home, phase)
        foresight("gate", "decide", str(phase))
    body = printed(foresight("gate", "show", "overall", "--json"))
    assert (body["schema"], body["verdict"]) == ("foresight.overall/1", "GO")
    assert body["gates"] == {"1": "GO", "2": "GO", "3": "GO"}
    assert "Phase 1: GO, Phase 2: GO, Phase 3: GO." in foresight("gate", "show", "overall").stdout
    evaluated(home, 3, lpips=metric(0.5))
    assert "Next, fallback 2 of §4.3" in " ".join(foresight("gate", "show", "overall").stdout.split())


def test_a_no_go_says_what_it_shows_and_what_comes_next(home: Path) -> None:
    evaluated(home, spatial_iou=metric(0.5))
    shown = " ".join(foresight("gate", "decide", "1").stdout.split())
    assert "Phase 1 shows that spatial encoding alone is insufficient. Next, fallback 3 of §4.3: Reframe" in shown
    assert "fallback 3" in printed(foresight("gate", "show", "1", "--json"))["next_step"]
    evaluated(home)
    foresight("gate", "decide", "1")
    assert printed(foresight("gate", "show", "1", "--json"))["next_step"] is None


def test_decide_finds_that_the_data_changed_since(home: Path) -> None:
    import yaml

    from orchestration.jobs import DATA, data_version

    workspace = home / "data" / "moving_shapes"
    workspace.mkdir(parents=True)
    stages = {stage: {"outs": [{"path": stage, "md5": f"{stage}.dir"}]} for stage in DATA}
    (workspace / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    evaluated(home)
    body = printed(foresight("gate", "decide", "1", "--json"))
    assert (body["verdict"], "stale: data_version" in body["criteria"][0]["why"]) == ("INCONCLUSIVE", True)
    now = data_version({stage: f"{stage}.dir" for stage in DATA})
    assert body["pins"]["expected"] == {"data_version": now}
    path = home / "runs" / "moving_shapes" / "phase1" / "evaluation.json"
    path.write_text(json.dumps(document(1) | {"data_version": now}))
    assert printed(foresight("gate", "decide", "1", "--json"))["verdict"] == "GO"


def test_decide_finds_per_clip_values_that_were_touched(home: Path) -> None:
    pinned = {"file": "clips.parquet", "sha256": "ab", "clips": {}}
    path = home / "runs" / "moving_shapes" / "phase1" / "evaluation.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document(1) | {"per_clip": pinned}))
    body = printed(foresight("gate", "decide", "1", "--json"))
    assert (body["verdict"], body["pins"]["expected"]) == ("INCONCLUSIVE", {"per_clip_sha256": None})


def test_bad_files_are_wrong_input_in_one_line(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    shutil.copy(DEFAULT_PATH, bad)
    bad.write_text(bad.read_text(encoding="utf-8") + "surprise: 1\n", encoding="utf-8")
    path = str(evaluated(home))
    for arguments in (("--evaluation", path, "--programme", str(bad)), ("--evaluation", str(tmp_path / "none.json"))):
        result = foresight("gate", "replay", *arguments, "--json")
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_a_broken_log_fails_and_names_the_link(home: Path) -> None:
    import sqlite3

    evaluated(home)
    foresight("gate", "decide", "1")
    connection = sqlite3.connect(home / "foresight.db")
    connection.execute("DROP TRIGGER decisions_no_update")
    connection.execute("UPDATE decisions SET document = replace(document, '\"standins\":true', '\"standins\":false')")
    connection.commit()
    connection.close()
    result = foresight("gate", "log", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["intact"] is False
    assert "decisions, row 1" in result.stderr


def test_every_command_helps_with_an_example() -> None:
    for command in ("show", "decide", "approve", "replay", "log"):
        assert f"foresight gate {command}" in foresight("gate", command, "--help").stdout


def test_brackets_in_a_reason_are_shown_as_they_are(home: Path) -> None:
    evaluated(home)
    printed(foresight("gate", "decide", "1", "--json"))
    assert foresight("gate", "approve", "1", "--by", "A. [Chair]", "--why", "short [/bold] by [red].01").exit_code == 0
    log = foresight("gate", "log")
    assert log.exit_code == 0, log.exception
    assert "A. [Chair]" in log.stdout
    assert "short [/bold] by [red].01" in log.stdout


@pytest.mark.parametrize("sign", ["\x1b[2J", "\n", "\r", "\x07", "\u2028", "\u202e"])
def test_what_moves_in_a_terminal_is_not_signed(home: Path, sign: str) -> None:
    for by, why in (("A. Chair", f"short{sign}GO"), (f"A.{sign}Chair", "short")):
        refused = foresight("gate", "approve", "1", "--by", by, "--why", why)
        assert refused.exit_code == 2
        assert "in one line of plain text" in refused.stderr
        assert sign.strip() not in refused.stderr.rstrip() or not sign.strip()
    assert printed(foresight("gate", "log", "--json"))["entries"] == []
