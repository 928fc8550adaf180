"""Figures: PNGs of the page's width, the same for the same numbers, and a clear refusal of what cannot be drawn."""

import struct

import numpy as np
import pytest

from models.training.interference import GRADIENT_COSINE
from orchestration.gates import gate
from orchestration.plan import programme
from orchestration.report import figures
from orchestration.report.figures.canvas import DPI, WIDTH, FigureError
from orchestration.report.figures.interference import COSINE
from tests.orchestration.report import sample

CLIP = np.arange(9 * 16 * 16 * 3, dtype=np.uint32).reshape(9, 16, 16, 3).astype(np.uint8)
HISTORY = [{"step": s, "loss": 1 / (s + 1)} for s in range(40)]
GATES = {"gate/spatial/0": 0.9, "gate/semantic/0": 0.8}
WATCHED = [{"step": s, "gradient_cosine": (-1) ** s / s, **GATES} if s % 10 == 0 else {"step": s} for s in range(1, 41)]
SHARE = np.full((5, 4, 4), 0.3)
ROW = {"value": 0.3, "low": 0.2, "high": 0.4}
QUERY = figures.QueryAttention(np.full((5, 4, 4), 0.01), np.full((3, 2, 2), 0.05), (2, 1, 3))


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_every_figure_is_a_png_of_the_page_width():
    decision = gate.decide(programme.load(), sample.phase2())
    evaluation = sample.phase2()
    drawn = [
        figures.frame_strip({"True": CLIP, "Generated": CLIP}),
        figures.loss_curve({"hybrid": HISTORY}),
        figures.criterion_intervals(decision.criteria),
        figures.arm_comparison({**evaluation.arms, **evaluation.baselines}, ["lpips", "spatial_iou"]),
        figures.time_by_stage({"phase1": 181.0, "evaluation1": 0.4}),
        figures.interference_curve({"hybrid": WATCHED}, "hybrid"),
        figures.stream_share_map(CLIP[:5], SHARE, SHARE, np.stack([SHARE, 2 * SHARE], -1)),
        figures.layer_shares({"whole": {"cells": ROW}, "layer 1": {"cells": ROW, "captions": ROW}}, [[0.9, 0.8]]),
        figures.attention_maps(CLIP[:5], {"middle": QUERY}, (4, 4)),
        figures.principal_maps(CLIP[:5], {"DINOv2": (np.zeros((5, 4, 4, 3)), 0.5)}),
    ]
    assert {size(png)[0] for png in drawn} == {round(WIDTH * DPI)}


def test_the_same_numbers_give_the_same_bytes():
    assert figures.loss_curve({"hybrid": HISTORY}) == figures.loss_curve({"hybrid": HISTORY})


def test_a_frame_strip_shows_what_it_is_given():
    other = CLIP.copy()
    other[4] = 255 - other[4]
    assert figures.frame_strip({"True": CLIP}) != figures.frame_strip({"True": other})


def test_the_curve_reads_what_the_training_writes():
    assert COSINE == GRADIENT_COSINE


def test_a_share_map_shows_what_it_is_given():
    other = SHARE.copy()
    other[2, 1, 1] = 0.9
    assert figures.stream_share_map(CLIP[:5], SHARE) != figures.stream_share_map(CLIP[:5], other)


def test_a_cell_that_nothing_moves_is_drawn_clear():
    unknown = np.full((5, 4, 4), np.nan)
    assert figures.stream_share_map(CLIP[:5], unknown) != figures.stream_share_map(CLIP[:5], SHARE)


def test_a_criterion_that_was_not_measured_is_drawn_without_a_value():
    decision = gate.decide(programme.load(), sample.evaluation(1, {}))
    assert {row.value for row in decision.criteria} == {None}
    assert size(figures.criterion_intervals(decision.criteria))[1] > 100


def test_a_loss_that_diverged_does_not_spoil_the_curve():
    spoilt = [*HISTORY, {"step": 41, "loss": float("nan")}]
    assert figures.loss_curve({"hybrid": spoilt}) == figures.loss_curve({"hybrid": HISTORY})


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: figures.frame_strip({"True": CLIP, "Generated": CLIP[:5]}), "of one shape"),
        (lambda: figures.frame_strip({"True": CLIP.astype(float)}), "not uint8"),
        (lambda: figures.loss_curve({"hybrid": HISTORY}, terms=("flow",)), "no run logged 'flow'"),
        (lambda: figures.time_by_stage({}), "no stage"),
        (lambda: figures.stream_share_map(CLIP, np.zeros((5, 4, 4))), r"are not \[T,H,W,3\]"),
        (lambda: figures.interference_curve({"hybrid": HISTORY}, "hybrid"), "no run logged 'gradient_cosine'"),
        (lambda: figures.layer_shares({}, []), "no share"),
        (lambda: figures.attention_maps(CLIP, {}, (4, 4)), "no query"),
        (lambda: figures.principal_maps(CLIP, {}), "PCA maps"),
        (lambda: figures.criterion_intervals([]), "no criteria"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(draw, says):
    with pytest.raises(FigureError, match=says):
        draw()


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (59.7, "60 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_times_are_written_as_people_say_them(seconds, text):
    assert figures.clock(seconds) == text
