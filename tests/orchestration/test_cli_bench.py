"""`foresight bench`: what is measured is told with its goal and verdict, as lines and as one document."""

import json

import pytest
import typer
from typer.testing import CliRunner

from models.bench import encode, inference, loop, measure, training
from models.bench.figures import CallFigure, LeftOut, PhaseFigure
from models.evaluation import coverage, fvd, fvd_bias, i3d
from orchestration.bench import extraction
from orchestration.cli.bench import bench_app

app = typer.Typer()
app.add_typer(bench_app, name="bench")
CALL = CallFigure("whole, serial", 0.9, 1.0, 50, 30.0, 32.0, 28.0, "torch.cuda peak allocated")
PHASE = PhaseFigure("phase3", 0.5, 8, 4, 38_000_000, 40.0, 44.0)


def bench(*arguments: str):
    return CliRunner().invoke(app, ["bench", *arguments])


def documented(*arguments: str):
    """The document of a command, which holds nothing else on stdout."""
    done = bench(*arguments, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["schema"], document["bench"]) == ("foresight.bench/1", arguments[0])
    return document


@pytest.fixture
def measured(monkeypatch):
    """Figures as they could be, in no time."""
    peaks = {100: 500_000_000, 1000: 530_000_000}
    monkeypatch.setattr(encode, "measure", lambda name: encode.EncodeFigure(name, 100, 46.0, 50.0, peaks))
    monkeypatch.setattr(loop, "measure", lambda *_: loop.LoopFigure(24, 0.52, 0.5, 0.002, 2.0, 100))
    monkeypatch.setattr(inference, "measure", lambda _: ([CALL], [LeftOut("LPIPS", "not here")]))
    monkeypatch.setattr(training, "measure", lambda _: ([PHASE], []))


@pytest.mark.usefixtures("measured")
def test_ratios_stand_beside_their_goals():
    told = bench("encode", "--encoder", "qwen").stdout
    assert "ratio 0.920 (goal: at least 0.9; met)" in told
    assert "500 MB at 100 clips, 530 MB at 1,000 clips; ratio 1.060 (goal: at most 1.05; missed)" in told
    told = bench("train").stdout
    assert "step: 1.0400 (goal: at most 1.05; met)" in told
    assert "data wait: 0.0020 (goal: at most 0.01; met)" in told
    assert "checkpoint: 0.0370 (goal: at most 0.02; missed)" in told
    assert documented("encode")["goals"] == {"ratio": 0.9, "growth": 1.05}
    assert documented("train")["shares"]["step"] == pytest.approx(1.04)


def test_two_workers_stand_beside_one(monkeypatch):
    paces = (extraction.Pace(1, 10.0, 30.0, 600), extraction.Pace(2, 12.0, 16.0, 600))
    monkeypatch.setattr(extraction, "measure", lambda name, clips: extraction.ExtractionFigure(name, paces))
    told = bench("extract").stdout
    assert "1 worker: 20.0 clips/s, start-up 10.0 s of 40.0 s (25% lost)" in told
    assert "2 workers: 37.5 clips/s, start-up 12.0 s of 28.0 s (43% lost)" in told
    assert "2 workers over linear: 0.938 (goal: at least 0.9; met)" in told
    assert documented("extract")["paces"][1]["lost"] == pytest.approx(12 / 28)


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("name", "goals"), [("latency", 2), ("vram", 2)])
def test_small_sizes_are_told_and_not_judged(name, goals):
    told = bench(name, "--size", "small").stdout
    assert "say nothing of the proposal's" in told
    assert "whole, serial: p50 0.9000 s, p95 1.0000 s of 50 calls" in told
    assert "left out: LPIPS (not here)" in told
    document = documented(name, "--size", "small")
    assert [goal["met"] for goal in document["goals"]] == [None] * goals
    assert len(document["training"]) == (name == "vram")


def test_coverage_is_told_with_its_own_uncertainty(monkeypatch):
    tables = [coverage.Coverage("lpips", 20, 2000, 30, 90), coverage.Coverage("lpips", 64, 2000, 40, 160)]
    monkeypatch.setattr(coverage, "measure", lambda **_: tables)
    told = bench("intervals").stdout
    assert "20 clips: 94.0% of 2000 (92.9% .. 95.0%), truth below 1.5%, above 4.5%; met" in told
    assert "64 clips: 90.0% of 2000 (88.6% .. 91.2%), truth below 2.0%, above 8.0%; missed" in told
    table = documented("intervals")["table"]
    assert [(one["n"], one["share"], one["holds"]) for one in table] == [(20, 0.94, True), (64, 0.9, False)]


def test_where_the_time_of_an_evaluation_goes(monkeypatch):
    looks = {"edges": measure.Looks(360, 148, 148), "captions (clips)": measure.Looks(40, 33, 32)}
    figure = measure.MeasureFigure(8, ("made", "shuffled"), 2, {"FVD": 3.0, "Edge F1": 1.0}, looks)
    monkeypatch.setattr(measure, "measure", lambda *_: figure)
    told = bench("measure", "--clips", "8", "--few", "2").stdout
    assert "4.0 clips/s, 4.0 s in all" in told
    assert "75.0%  FVD, 2 clips" in told
    assert "edges: 360 given, 148 different, 148 looked at" in told
    assert "nothing looked at twice (goal): missed" in told
    document = documented("measure")
    assert (document["clips_per_s"], document["once"]) == (4.0, False)


def test_fvd_against_the_number_of_clips(monkeypatch, tmp_path):
    table = [fvd_bias.Bias(8, (0.4, 0.1), (0.38, 0.1)), fvd_bias.Bias(256, None, (0.01, 0.002))]
    monkeypatch.setattr(fvd_bias, "bias", lambda _: table)
    monkeypatch.setattr(fvd, "logits", lambda *_: None)
    monkeypatch.setattr(i3d, "I3D", lambda: None)
    told = bench("fvd", "--clips", "16", "--out", str(tmp_path / "deep" / "bias.png")).stdout
    assert "N     8: between clips 0.4 (sd 0.1); between draws of their normal 0.38 (sd 0.1); fvd_small8" in told
    assert "N   256: between clips -; between draws of their normal 0.01 (sd 0.002)\n" in told
    assert (tmp_path / "deep" / "bias.png").read_bytes().startswith(b"\x89PNG")
    assert [row["gates"] for row in documented("fvd", "--clips", "16")["table"]] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["latency", "--size", "huge"], "no size 'huge'; there are true and small"),
        (["encode", "--encoder", "sam"], "no stand-in of an encoder 'sam'; there are dinov2 and qwen"),
    ],
)
def test_what_there_is_not_is_one_line_and_exit_2(arguments, says):
    done = bench(*arguments)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [f"foresight: bench: {says}"]
