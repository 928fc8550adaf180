"""Figures of the programme as PNG bytes, for the report, MLflow and Dagster alike (design §11).

Pure functions of arrays and numbers. None measures anything: what is drawn was measured by models/evaluation or by a
training run, and drawn again it gives the same picture.
"""

from orchestration.report.figures.attention import attention_heat
from orchestration.report.figures.curves import clock, loss_curve, time_by_stage
from orchestration.report.figures.frames import frame_strip
from orchestration.report.figures.intervals import arm_comparison, criterion_intervals
from orchestration.report.figures.reactions import reaction_table

__all__ = [
    "arm_comparison",
    "attention_heat",
    "clock",
    "criterion_intervals",
    "frame_strip",
    "loss_curve",
    "reaction_table",
    "time_by_stage",
]
