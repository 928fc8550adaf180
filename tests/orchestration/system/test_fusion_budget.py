"""A fusion over §2.2's budget starts nothing, unless its profile says so; then it is said wherever it shows."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from models.fusion.budget import OverBudgetError
from models.fusion.config import FusionError, as_written
from models.fusion.size import parameters
from orchestration.cli.app import app
from orchestration.plan.programme import load as programme
from orchestration.profile import PROFILES, ProfileError, load
from orchestration.system import fusion_budget
from tests.orchestration.test_jobs import job

TOO_LARGE = {"named": "as_written"}
ON_PURPOSE = {**TOO_LARGE, "over_budget": True}


@pytest.fixture
def written(tmp_path) -> Callable[..., Path]:
    """A shipped profile with another fusion, as a file."""

    def write(fusion: dict[str, Any], name: str = "a100") -> Path:
        table = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
        table["fusion"] = fusion
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(table))
        return path

    return write


@pytest.mark.parametrize("name", ["laptop", "a100"])
def test_the_shipped_profiles_are_within(name):
    profile = load(name)
    budget = fusion_budget.require(profile, programme())
    assert budget.over < 0
    assert fusion_budget.said(profile, budget) == str(budget)


def test_over_is_refused_with_the_numbers_and_the_remedy(written):
    with pytest.raises(OverBudgetError) as caught:
        fusion_budget.require(load(str(written(TOO_LARGE))), programme())
    assert str(caught.value) == (
        "fusion: kind=qformer dim=1024 layers=4 has 56,860,817 trainable parameters, 6,860,817 over the budget of "
        "50,000,000 (§2.2); make it smaller, or set over_budget: true under fusion in the profile to go over on purpose"
    )


def test_as_written_in_a_profile_is_1_3s_module(written):
    profile = load(str(written(ON_PURPOSE)))
    config = fusion_budget.fusion_of(profile, fusion_budget.geometry_of(profile))
    cells = as_written().latent_grid[0] ** 2 - config.latent_grid[0] ** 2  # clips of 224 pixels have 7 x 7
    assert parameters(config) == parameters(as_written()) - 1024 * cells


def test_an_override_on_purpose_is_let_through_and_said(written):
    profile = load(str(written(ON_PURPOSE)))
    budget = fusion_budget.require(profile, programme())
    assert budget.over == 6_860_817
    assert fusion_budget.said(profile, budget).endswith("(§2.2), on purpose: fusion.over_budget")


def test_a_run_is_refused_before_it_starts(written, tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["run", "--profile", str(written(TOO_LARGE, "laptop")), "--data", "moving_shapes"])
    assert done.exit_code == 3
    assert done.stderr.startswith("foresight: fusion: kind=qformer dim=1024")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_asking_needs_no_torch():
    code = (
        "import sys; from orchestration import profile; from orchestration.plan import programme; "
        "from orchestration.system import fusion_budget; "
        "fusion_budget.require(profile.load('laptop'), programme.load()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_another_fusion_by_name_or_kind():
    profile = load("a100")
    geometry = fusion_budget.geometry_of(profile)
    named = {name: fusion_budget.fusion_of(profile, geometry, name) for name in ("as_written", "film", "perceiver")}
    assert (named["as_written"].dim, named["as_written"].semantic_queries) == (1024, 0)
    assert (named["film"].kind, named["film"].dim) == ("film", 640)
    assert named["perceiver"].kind == "perceiver"
    with pytest.raises(FusionError, match=r"no fusion 'big'; there are proposed, as_written, qformer, concat"):
        fusion_budget.fusion_of(profile, geometry, "big")


@pytest.mark.parametrize(
    ("fusion", "said"),
    [
        ({"dim": 640, "heads": 8}, "give dim, heads and layers, or named: proposed or as_written"),
        ({"named": "proposed", "dim": 320}, "named: proposed sets dim; leave them out"),
        ({"named": "huge"}, "no configuration 'huge'; there are proposed, as_written"),
    ],
)
def test_sizes_that_are_missing_or_said_twice_are_refused(written, fusion, said):
    with pytest.raises(ProfileError, match=said):
        load(str(written(fusion)))


def test_a_name_and_its_sizes_are_one_fusion_and_the_override_changes_no_result(written):
    spelt = {"dim": 640, "heads": 8, "layers": 4}
    by_name, by_size, over = (
        load(str(written(fusion))) for fusion in ({"named": "proposed"}, spelt, {**spelt, "over_budget": True})
    )
    assert by_name.fusion.choices() == by_size.fusion.choices()
    assert job(profile=over).fingerprint == job(profile=by_size).fingerprint == job(profile=by_name).fingerprint
    other = load(str(written({**spelt, "layers": 3})))
    assert job(profile=other).fingerprint != job(profile=by_size).fingerprint
