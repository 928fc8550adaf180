"""A real training that reaches the end of its reservation: it saves, stops and asks, and goes on where it was."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack
SECONDS = 45
ENDLESS = {"steps": 1_000_000, "checkpoint_every": 1_000_000}


@pytest.fixture
def home(programme, tmp_path) -> Path:
    """The data of a finished run; nothing is trained yet."""
    for part in ("data", "remote"):
        shutil.copytree(programme / part, tmp_path / "home" / part, symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def endless(small_profile, tmp_path) -> Path:
    """A profile whose Phase 1 ends only with its reservation."""
    profile = yaml.safe_load(small_profile.read_text())
    profile["phase1"].update(ENDLESS)
    profile["budget"]["max_hours"] = SECONDS / 3600
    path = tmp_path / "endless.yaml"
    path.write_text(yaml.safe_dump(profile))
    return path


def saved(home: Path) -> list[int]:
    folders = (home / "runs" / "moving_shapes" / "phase1" / "checkpoints").glob("step-*")
    return sorted(int(folder.name.removeprefix("step-")) for folder in folders)


def test_a_training_stops_at_its_reservation_and_goes_on_when_hours_are_approved(home, endless):
    def run():
        return foresight(home, "run", "--data", "moving_shapes", "--profile", str(endless), "--until", "phase1")

    def budget():
        return json.loads(foresight(home, "budget", "--json").stdout)

    def reserved():
        return [one for one in budget()["reservations"] if one["experiment"] == "phase1"]

    first = run()
    assert first.returncode == 3, first.stdout[-2000:] + first.stderr[-2000:]
    assert "foresight budget approve moving_shapes/phase1/" in first.stderr, first.stderr
    reached = saved(home)
    assert reached, "45 s hold some steps, and the last of them is saved"
    [held] = reserved()
    assert (held["state"], held["ended"]) == ("settled", "stopped")
    assert held["wall_hours"] <= held["max_hours"], "it does not overrun"

    refused = run()
    assert refused.returncode == 3
    assert saved(home) == reached
    assert len(reserved()) == 1

    approve = ("budget", "approve", "moving_shapes/phase1", "--hours", str(SECONDS / 3600))
    approved = foresight(home, *approve, "--by", "A. Chair", "--why", "it still learns")
    assert approved.returncode == 0, approved.stderr
    assert run().returncode == 3, "it stops again, further on"
    assert max(saved(home)) > max(reached)
    history = (home / "runs" / "moving_shapes" / "phase1" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in history] == list(range(1, max(saved(home)) + 1))
    found = budget()
    assert [one["ended"] for one in reserved()] == ["stopped", "stopped"]
    assert [one["by"] for one in found["approvals"]] == ["A. Chair"]
    assert [one["work"] for one in found["waiting"]] == [found["approvals"][0]["work"]]
