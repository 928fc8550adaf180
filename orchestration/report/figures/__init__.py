"""Figures of the programme as PNG bytes, for the report, MLflow and Dagster alike (design §11).

Pure functions of arrays and numbers. None measures anything: what is drawn was measured by models/evaluation or by a
training run, and drawn again it gives the same picture.
"""

from orchestration.report.figures.attention import QueryAttention, attention_maps
from orchestration.report.figures.curves import clock, loss_curve, time_by_stage
from orchestration.report.figures.frames import frame_strip
from orchestration.report.figures.fvd_bias import fvd_bias
from orchestration.report.figures.heat import difference_map
from orchestration.report.figures.interference import interference_curve
from orchestration.report.figures.intervals import arm_comparison, criterion_intervals
from orchestration.report.figures.principal import principal_maps
from orchestration.report.figures.reactions import reaction_table
from orchestration.report.figures.shares import layer_shares, stream_share_map

__all__ = [
    "QueryAttention",
    "arm_comparison",
    "attention_maps",
    "clock",
    "criterion_intervals",
    "difference_map",
    "frame_strip",
    "fvd_bias",
    "interference_curve",
    "layer_shares",
    "loss_curve",
    "principal_maps",
    "reaction_table",
    "stream_share_map",
    "time_by_stage",
]
