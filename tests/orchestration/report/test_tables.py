"""The tables of the page."""

from orchestration.report.page import render
from orchestration.report.tables import paired
from tests.orchestration.report import sample


def gains(**values: tuple[float, float]) -> dict:
    return {f"{name}_gain": sample.measured(value, half) for name, (value, half) in values.items()}


def measured():
    hybrid = {"lpips": sample.measured(0.14), "spatial_iou": sample.measured(0.83)}
    arms = {
        "hybrid": hybrid,
        "vlm_only": hybrid | gains(lpips=(0.32, 0.02), spatial_iou=(0.53, 0.02)),
        "dino_only": hybrid | gains(lpips=(-0.011, 0.002), spatial_iou=(0.001, 0.01)),
    }
    return sample.evaluation(2, hybrid, arms)


def test_the_hybrid_stands_against_each_arm_clip_by_clip():
    table = paired(measured())
    assert table is not None
    assert [column.words for column in table.columns] == ["Hybrid over VLM only", "Hybrid over DINOv2 only"]
    lines = {line.words: [(cell.value, cell.interval) for cell in line.cells] for line in table.lines}
    assert lines == {
        "LPIPS": [("+0.320", "+0.300 – +0.340, better"), ("-0.011", "-0.013 – -0.009, worse")],
        "Spatial IoU": [("+0.530", "+0.510 – +0.550, better"), ("+0.001", "-0.009 – +0.011, not told apart")],
    }
    assert paired(sample.phase2()) is None, "arms that were not paired have no such table"


def test_it_is_on_the_page_of_phase_2(empty):
    from orchestration.report.collect import collect

    empty.evaluated(measured())
    page = render(collect(empty.home))
    assert "Hybrid against each arm on the same clips" in page
    assert "-0.009 – +0.011, not told apart" in page
