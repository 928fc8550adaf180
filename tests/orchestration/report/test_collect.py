"""What the report is made of, where it is looked for, and what happens when a part of it is damaged."""

import pytest
import typer
from typer.testing import CliRunner

from orchestration.cli.report import report
from orchestration.documents import DocumentError
from orchestration.home import Home
from orchestration.report.collect import ReportError, collect
from tests.orchestration.report import sample


def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(report)
    return made


def test_everything_is_found_where_a_run_leaves_it(ran):
    bundle = collect(ran.home)
    assert bundle.latest == 2
    assert [picture.name for picture in bundle.phases[1].pictures] == ["frames", "loss"]
    assert bundle.phases[1].pictures[0].caption.startswith("Held-out clips")
    assert list(bundle.times) == ["dinov2", "phase1", "phase1_evaluation", "phase2", "real/shards"]
    assert [(link.what.partition(":")[0], link.by) for link in bundle.chain] == [
        ("Phase 1 on moving_shapes", "the gate"),
        ("Phase 2 on moving_shapes", "the gate"),
    ]
    assert bundle.chain_broken is None


def test_an_evaluation_on_real_clips_stands_apart(ran):
    ran.evaluated(sample.real(), "real")
    bundle = collect(ran.home)
    assert bundle.phases[2].evaluation != bundle.elsewhere["real"][2].evaluation
    assert bundle.elsewhere["real"][2].decision is None


def test_the_cards_of_the_stand_ins_that_were_used_are_on_the_page(ran, tmp_path, monkeypatch):
    for name in ("vae", "ltx"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "CARD.md").write_text(f"# Stand-in: {name}\n\nA small {name}.\nIt blurs.\n\n| a | b |\n")
    monkeypatch.setattr("orchestration.report.collect.CARDS", tmp_path)
    cards = collect(ran.home).cards
    assert [(card.name, card.says) for card in cards] == [("vae", "A small vae. It blurs.")]


def test_another_data_set_is_not_mixed_in(ran):
    bundle = collect(ran.home, "street_scenes")
    assert bundle.latest is None
    assert not bundle.evaluations


def test_a_home_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ReportError, match="no programme has run here"):
        collect(Home(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_evaluation_is_an_error_and_never_an_empty_phase(ran):
    (ran.home.run("moving_shapes", "phase1") / "evaluation.json").write_text('{"phase": 1')
    with pytest.raises(DocumentError, match=r"evaluation\.json: not JSON"):
        collect(ran.home)


def test_damaged_times_are_an_error(ran):
    ran.home.times.write_text("[1, 2]")
    with pytest.raises(ReportError, match=r"times\.json: not a table of seconds"):
        collect(ran.home)


def test_the_command_writes_one_file(ran, tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(ran.home.root))
    out = tmp_path / "sent" / "page.html"
    result = CliRunner().invoke(app(), ["--out", str(out)])
    assert result.exit_code == 0
    assert str(out) in result.stdout
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in out.parent.iterdir()] == ["page.html"]


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(app(), ["--out", str(tmp_path / "page.html")])
    assert result.exit_code == 2
    assert "no programme has run here" in result.stderr
    assert result.stderr.count("\n") == 1
