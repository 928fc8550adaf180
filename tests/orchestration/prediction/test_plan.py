"""`foresight predict --plan`: the proposal's machines hold the proposal's networks, and a smaller one is refused."""

import json

import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app


def call(*arguments):
    runner = CliRunner(env={"FORESIGHT_MODELS": "/nowhere"})
    return runner.invoke(app, ["predict", "--plan", *arguments])


def test_two_small_cards_hold_the_proposals_networks():
    found = call("--profile", "a100", "--devices", "24,24", "--json")
    assert found.exit_code == 0, found.output
    first, second = json.loads(found.stdout)["devices"]
    assert first["networks"][0]["name"] == "qwen"
    assert {one["name"] for one in (*first["networks"], *second["networks"])} == {
        "qwen", "dinov2", "fusion", "ltx", "vae"
    }  # fmt: skip
    assert max(first["needed_gb"], second["needed_gb"]) < 0.95 * 24


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--profile", "a100", "--devices", "16"), 3, "qwen needs"),
        (("--profile", "a100", "--devices", "many"), 2, "sizes in GB"),
        (("--profile", "a100"), 2, "there is none"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments, code, says, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = call(*arguments)
    assert found.exit_code == code
    (line,) = found.stderr.strip().splitlines()
    assert says in line


def test_on_a_cpu_all_share_its_memory():
    found = call("--profile", "laptop")
    assert found.exit_code == 0, found.output
    assert "cpu" in found.stdout
    assert "qwen" in found.stdout
