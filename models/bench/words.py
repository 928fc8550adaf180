"""The figures of a run in lines for people."""

from collections.abc import Sequence

from models.bench.figures import CallFigure, Goal, LeftOut, PhaseFigure


def lines(calls: Sequence[CallFigure], phases: Sequence[PhaseFigure]) -> list[str]:
    """A line a figure, for people."""
    told = []
    for call in calls:
        own = "" if call.own_gb is None else f", own {call.own_gb:.1f} GB"
        reserved = "" if call.reserved_gb is None else f", {call.reserved_gb:.1f} GB reserved"
        memory = f"{call.memory} {call.peak_gb:.1f} GB{reserved}{own}"
        told.append(f"{call.name}: p50 {call.p50_s:.4f} s, p95 {call.p95_s:.4f} s of {call.calls} calls; {memory}")
    for phase in phases:
        memory = "memory not measured without a GPU"
        if phase.peak_gb is not None and phase.reserved_gb is not None:
            memory = f"peak {phase.peak_gb:.1f} GB allocated, {phase.reserved_gb:.1f} GB reserved"
        told.append(f"{phase.name}: {phase.s_per_step:.3f} s a step of {phase.batch} clips; {memory}")
    return told


def verdicts(judged: Sequence[Goal], left_out: Sequence[LeftOut]) -> list[str]:
    """A line a goal and a line for each thing left out."""
    words = {True: "met", False: "missed", None: "not judged here"}
    told = []
    for goal in judged:
        value = "" if goal.value is None else f"{goal.value:.3g} {goal.unit}, "
        told.append(f"goal {goal.name} under {goal.limit:g} {goal.unit}: {value}{words[goal.met]}")
    return told + [f"left out: {item.what} ({item.why})" for item in left_out]
