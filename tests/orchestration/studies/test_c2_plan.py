"""What C2 declares: one factor at a time, three seeds, and nothing that passes for what it is not."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from orchestration.home import REPOSITORY
from orchestration.studies import c2
from orchestration.studies.study import Cell

DECLARED: dict[str, Any] = yaml.safe_load((REPOSITORY / "config" / "experiments" / "c2.yaml").read_text())
PLAN = c2.Plan.model_validate(DECLARED["plan"])
PROFILES = ("laptop", "a100")


def sizes(profile: str = "laptop", **changes: Any) -> c2.Sizes:
    return c2.Sizes.model_validate({**DECLARED["sizes"][profile], **changes})


def cells(profile: str = "laptop", **changes: Any) -> dict[str, Cell]:
    made = c2.cells(PLAN, sizes(profile, **changes))
    assert len({cell.name for cell in made}) == len(made)
    return {cell.name: cell for cell in made}


def fusions(made: dict[str, Cell]) -> list[dict[str, Any]]:
    settings: list[dict[str, Any]] = [dict(cell.settings) for cell in made.values()]
    return [one["fusion"] for one in settings if one["kind"] == "fusion"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_cell_comes_after_those_it_reads(profile):
    seen: set[str] = set()
    for name, cell in cells(profile).items():
        assert set(cell.after) <= seen, name
        seen.add(name)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_variant_differs_from_the_default_in_one_thing(profile):
    made = cells(profile)
    default, routes = made["fusion-default-0"].settings, made["routes-default-0"].settings
    trained = [cell for cell in made.values() if cell.settings["kind"] in ("fusion", "routes")]
    for cell in trained:
        if cell.settings["seed"] != 0 or cell.name in ("fusion-default-0", "routes-default-0"):
            continue
        base = default if cell.settings["kind"] == "fusion" else routes
        changed = {key for key in base if cell.settings[key] != base[key]} - {"over_budget", "probed"}
        assert len(changed) == 1, cell.name


@pytest.mark.parametrize("profile", PROFILES)
def test_every_variant_has_three_seeds_and_routes_go_on_from_their_own(profile):
    made = cells(profile)
    trained = {name for name, cell in made.items() if cell.settings["kind"] in ("fusion", "routes")}
    variants = {name.rsplit("-", 1)[0] for name in trained}
    assert trained == {f"{variant}-{seed}" for variant in variants for seed in (0, 1, 2)}
    assert "fusion-default-2" in made["routes-where-2"].after


def test_the_study_covers_what_5_1_and_the_design_ask_for():
    made = cells("a100")
    assert {"stream-vlm_only-0", "stream-dino_only-0"} <= made.keys()
    assert {fusion["kind"] for fusion in fusions(made)} == {"qformer", "perceiver", "film", "concat"}
    largest: Any = made["size-as_written-0"].settings
    assert largest["fusion"]["dim"] == 1024
    assert largest["over_budget"]


def test_a_number_that_changes_a_result_is_in_the_settings_of_its_cells():
    changed = cells(training={**DECLARED["sizes"]["laptop"]["training"], "steps": 31})
    for name, cell in cells().items():
        assert (changed[name].settings == cell.settings) == (cell.settings["kind"] != "fusion"), name


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ({"network": "siglip", "weights": "profile"}, "give a source"),
        ({"network": "siglip", "weights": "untrained"}, "width and depth"),
        ({"network": "dinov2", "weights": "profile", "width": 64, "depth": 2}, "width and depth"),
        ({"network": "mobile_sam", "weights": "fetched"}, "px belongs"),
        ({"network": "mae", "weights": {"source": "some/hub-name@main"}}, "commit"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(encoder, says):
    with pytest.raises(ValidationError, match=says):
        sizes(encoders={"other": encoder})


def test_the_defaults_own_encoders_keep_their_names():
    with pytest.raises(ValidationError, match="dinov2 is the default's own"):
        sizes(encoders={"dinov2": {"network": "dinov2", "weights": "untrained", "width": 64, "depth": 2}})


def test_more_clips_to_judge_than_are_held_out_are_refused():
    with pytest.raises(ValidationError, match="decoded: more than the 20 held-out"):
        sizes(heldout=20, drawn=20)
