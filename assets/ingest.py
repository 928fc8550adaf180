"""Clips, decoded once.

`clips` are the raw files with their manifest: generated, taken from a package, or a folder of one's own; data.dvc
holds their hash. `shards` holds every usable clip as frames of one size, with a Parquet index and a hash for each
shard; a clip that cannot be read, is too short, too large or lies outside its folder is in the quarantine table with
the reason.
"""

import dagster as dg

from orchestration import groups
from orchestration.data import data_stage, validation
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight


def assets(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """`clips` and `shards` of one dataset."""

    @dg.asset(
        key=groups.key(dataset.name, "clips"),
        op_tags=groups.priority(dataset.name, "clips"),
        group_name=groups.CLIPS,
        owners=groups.ENGINEERING,
        kinds={"dvc", "file"},
        description=f"The raw clips of `{dataset.name}` and their manifest.\n\n{__doc__}",
    )
    def clips(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return data_stage.make(context, foresight, dataset, "clips")

    @dg.asset(
        key=groups.key(dataset.name, "shards"),
        op_tags=groups.priority(dataset.name, "shards"),
        deps=[clips],
        group_name=groups.CLIPS,
        owners=groups.ENGINEERING,
        kinds={"dvc", "parquet"},
        description=f"Every usable clip of `{dataset.name}`, decoded, hashed and indexed.\n\n{__doc__}",
    )
    def shards(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        return data_stage.make(context, foresight, dataset, "shards")

    return [clips, shards]


def checks(dataset: Dataset) -> list[dg.AssetChecksDefinition]:
    """Whether the clip table is fit, an asset check for each expectation."""
    return [validation.checks(dataset, "shards", validation.CLIP_TABLE, validation.clip_table)]
