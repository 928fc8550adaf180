"""C2's cells on a few generated clips with the shipped stand-ins: made, judged, and gone on with after a kill."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestration.home import Home
from orchestration.profile import RouteSwitches
from orchestration.studies import c2
from orchestration.studies.study import Bench, Cell, Measured
from tests.orchestration.studies import small

TRAIN, HELD_OUT, DECODED = 6, 5, 3
SHORT = {"steps": 2, "batch": 2, "learning_rate": 1e-3, "warmup": 1, "checkpoint_every": 1}


def declared() -> tuple[c2.Plan, c2.Sizes]:
    initial = RouteSwitches(latent_tokens=False, cross_attention=False, initial_latents=True)
    plan = c2.Plan(streams=["vlm_only"], fusions=["film"], queries={}, routes={"initial": initial})
    narrow = {"dim": 80, "heads": 4, "layers": 1}
    sizes = c2.Sizes.model_validate(
        {
            **{"train": TRAIN, "heldout": HELD_OUT, "decoded": DECODED, "drawn": DECODED, "batch": 4, "seeds": [0]},
            **{"default": narrow, "fusions": {}, "training": SHORT, "generator": SHORT, "max_hours": 1},
            "encoders": {"mae": {"network": "mae", "weights": "untrained", "width": 32, "depth": 1}},
        }
    )
    return plan, sizes


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    return small.home(tmp_path_factory.mktemp("home"), TRAIN, HELD_OUT)


def bench(home: Home, folder: Path, cell: Cell, measured: dict[str, Measured]) -> Bench:
    return small.bench(small.job(home), folder, cell, measured, declared()[1])


@pytest.fixture(scope="module")
def measured(home, tmp_path_factory) -> dict[str, Measured]:
    folder, found = tmp_path_factory.mktemp("cells"), {}
    for cell in c2.cells(*declared()):
        found[cell.name] = c2.measure(cell, bench(home, folder, cell, found))
    return found


def test_a_cell_has_every_held_out_clip_and_the_first_decoded_ones(measured):
    by_clip = measured["fusion-default-0"]["by_clip"]
    counts = {name: len(values) for name, values in by_clip.items()}
    every = dict.fromkeys(("latent", "latent_shuffled", "caption", "misdirected", "misordered"), HELD_OUT)
    assert counts == {**every, "lpips": DECODED}
    assert measured["routes-initial-0"]["by_clip"]["drawn"].keys() == by_clip["lpips"].keys()


def test_a_stream_that_is_absent_costs_its_place(measured):
    assert (
        measured["fusion-default-0"]["numbers"]["parameters"] == measured["stream-vlm_only-0"]["numbers"]["parameters"]
    )
    told = [measured[f"{name}-0"]["by_clip"]["latent"] for name in ("fusion-default", "stream-vlm_only")]
    assert sum(told[0].values()) < sum(told[1].values())


def test_what_rests_on_a_stand_in_says_so(measured):
    assert measured["encoder-mae"]["untrained"]
    assert all(cell["standin"] for cell in measured.values() if "by_clip" in cell)


def test_another_encoder_is_read_in_dinov2s_place(measured):
    mae, default = (measured[name]["by_clip"]["latent"] for name in ("encoder-mae-0", "fusion-default-0"))
    assert mae.keys() == default.keys()
    assert mae != default
    # 32 and 192 wide: the norm and the projection of the spatial stream are narrower.
    fewer = measured["fusion-default-0"]["numbers"]["parameters"] - measured["encoder-mae-0"]["numbers"]["parameters"]
    assert fewer == (192 - 32) * (80 + 2)


def test_the_whole_is_analysed_as_declared(measured):
    plan, sizes = declared()
    values = c2.analyse(plan, sizes, measured, 0).values
    assert {"hybrid_less_vlm_only_misordered", "routes_initial_less_default_drawn"} <= values.keys()
    assert values["encoder_mae_less_default_latent"].n == HELD_OUT


def test_a_training_that_was_cut_short_goes_on_and_ends_the_same(home, tmp_path, measured):
    cell = next(cell for cell in c2.cells(*declared()) if cell.name == "fusion-film-0")
    folder = tmp_path / "cells"
    captions = next(cell for cell in c2.cells(*declared()) if cell.name == c2.TEXTS)
    c2.measure(captions, bench(home, folder, captions, {}))
    steps = []

    def dies(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
        steps.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        c2.measure(cell, replace(bench(home, folder, cell, {}), reporter=dies))
    assert list((folder / cell.name / "checkpoints").glob("step-00000001"))
    again = c2.measure(cell, bench(home, folder, cell, {}))
    assert steps == [1]
    assert again["by_clip"] == measured[cell.name]["by_clip"]


def test_a_fusion_over_the_budget_is_refused_unless_its_sizes_say_so(home, tmp_path, monkeypatch):
    from models.fusion.budget import OverBudgetError
    from orchestration.studies import c2_cells

    made = {cell.name: cell for cell in c2.cells(*declared())}
    c2.measure(made[c2.TEXTS], bench(home, tmp_path, made[c2.TEXTS], {}))
    cell = made["fusion-default-0"]
    few = SimpleNamespace(budget=SimpleNamespace(trainable_parameters=SimpleNamespace(most=1000)))
    monkeypatch.setattr(c2_cells, "load", lambda: few)
    with pytest.raises(OverBudgetError, match="over_budget: true"):
        c2.measure(cell, bench(home, tmp_path, cell, {}))
    wide = Cell(cell.name, {**cell.settings, "over_budget": True}, cell.after)
    assert c2.measure(wide, bench(home, tmp_path, wide, {}))["numbers"]["parameters"] > 1000
