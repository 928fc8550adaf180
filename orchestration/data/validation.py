"""Is this data fit? One adapter: Great Expectations' result to one asset check for each expectation (design §3).

GX takes 5 s to import, so it is imported only when something has to be validated; verdicts on the same data version are
kept beside the run and used again.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.data.datasets import Dataset
from orchestration.data.workspace import Workspace, remote_of
from orchestration.groups import priority
from orchestration.home import Home
from orchestration.resources import Foresight

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 512


@dataclass(frozen=True)
class Expected:
    """One expectation: its class in Great Expectations, and what it is told."""

    name: str
    kind: str
    says: str
    arguments: dict[str, Any] = field(default_factory=dict)


CLIP_TABLE = (
    Expected("clips_are_there", "ExpectTableRowCountToBeBetween", "At least one clip is usable", {"min_value": 1}),
    Expected("ids_are_unique", "ExpectColumnValuesToBeUnique", "No clip is there twice", {"column": "clip_id"}),
    Expected(
        "split_is_known",
        "ExpectColumnValuesToBeInSet",
        "Every clip is for training or held out",
        {"column": "split", "value_set": ["train", "heldout"]},
    ),
    Expected(
        "hashes_are_there",
        "ExpectColumnValuesToMatchRegex",
        "Every raw file has its hash",
        {"column": "sha256", "regex": "^[0-9a-f]{64}$"},
    ),
    Expected(
        "frame_rate_is_plausible",
        "ExpectColumnValuesToBeBetween",
        "1 to 240 frames a second",
        {"column": "fps", "min_value": 1, "max_value": 240},
    ),
    Expected(
        "few_are_quarantined",
        "ExpectColumnMaxToBeBetween",
        "At most a tenth of the source was set aside",
        {"column": "quarantined_share", "max_value": 0.1},
    ),
)
FEATURES = (
    Expected("every_clip_has_features", "ExpectColumnValuesToNotBeNull", "No clip is without", {"column": "std"}),
    Expected(
        "values_are_finite",
        "ExpectColumnValuesToBeInSet",
        "No NaN, no infinity",
        {"column": "finite", "value_set": [True]},
    ),
    Expected(
        "features_vary", "ExpectColumnValuesToBeBetween", "No clip's are constant", {"column": "std", "min_value": 1e-4}
    ),
    Expected("scale_is_sane", "ExpectColumnValuesToBeBetween", "They fit 16 bits", {"column": "std", "max_value": 1e3}),
)


def clip_table(workspace: Workspace) -> "pd.DataFrame":
    """index.parquet, with the share that was set aside."""
    import pandas as pd

    table = pd.read_parquet(workspace.root / "shards" / "index.parquet")
    aside = len(pd.read_parquet(workspace.root / "shards" / "quarantine.parquet"))
    return table.assign(quarantined_share=aside / max(1, aside + len(table)))


def feature_table(stage: str) -> Callable[[Workspace], "pd.DataFrame"]:
    """Spread and finiteness of each clip's features, of evenly spaced clips when there are many."""

    def table(workspace: Workspace) -> "pd.DataFrame":
        import numpy as np
        import pandas as pd

        from models.data.shards import ClipShards
        from orchestration.stages.tokens import open_store

        store = open_store(workspace.root, stage, ClipShards(workspace.root / "shards"))
        name, ids, rows = "latents" if stage == "latents" else "tokens", store.shards.ids(), []
        for clip in ids[:: max(1, len(ids) // SAMPLE)]:
            values = store.read([clip], name).astype(np.float32)
            rows.append({"clip_id": clip, "std": float(values.std()), "finite": bool(np.isfinite(values).all())})
        return pd.DataFrame(rows)

    return table


def checks(
    dataset: Dataset, stage: str, expected: Sequence[Expected], table: Callable[[Workspace], Any]
) -> dg.AssetChecksDefinition:
    """The asset checks of one data asset."""
    key = dg.AssetKey([dataset.name, stage])
    specs = [dg.AssetCheckSpec(one.name, asset=key, description=one.says) for one in expected]

    @dg.multi_asset_check(specs=specs, name=f"{dataset.name}__{stage}__fit", op_tags=priority(dataset.name, stage))
    def fit(foresight: Foresight) -> Iterator[dg.AssetCheckResult]:
        workspace = Workspace(foresight.home.workspace(dataset.name), remote_of(foresight.home))
        for name, passed, observed in verdicts(foresight.home, dataset, stage, workspace, expected, table):
            yield dg.AssetCheckResult(asset_key=key, check_name=name, passed=passed, metadata={"observed": observed})

    return fit


def verdicts(
    home: Home,
    dataset: Dataset,
    stage: str,
    workspace: Workspace,
    expected: Sequence[Expected],
    table: Callable[[Workspace], Any],
) -> list[tuple[str, bool, str]]:
    """(name, passed, observed) of each expectation; kept for this data version and these expectations."""
    path = home.run(dataset.name, stage) / "checks.json"
    mark = [workspace.version(stage), [[one.name, one.kind, one.arguments] for one in expected]]
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["of"] == mark:
            return [tuple(row) for row in kept["verdicts"]]
    found = validate(table(workspace), expected)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"of": mark, "verdicts": found}), encoding="utf-8")
    return found


def validate(frame: "pd.DataFrame", expected: Sequence[Expected]) -> list[tuple[str, bool, str]]:
    """Hold a table against the expectations."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    batch = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("table")
        .add_batch_definition_whole_dataframe("whole")
    )
    suite = gx.ExpectationSuite(
        name="fit",
        expectations=[getattr(gx.expectations, one.kind)(**one.arguments, meta={"name": one.name}) for one in expected],
    )
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    result = batch.get_batch({"dataframe": frame}).validate(suite)
    by_name: dict[str, Any] = {config.meta["name"]: one for one in result.results if (config := one.expectation_config)}
    return [(one.name, bool(by_name[one.name].success), _observed(by_name[one.name])) for one in expected]


def _observed(result: Any) -> str:
    """What was seen, in few words."""
    seen = dict(result.result)
    if "observed_value" in seen:
        return str(seen["observed_value"])
    if "unexpected_count" in seen:
        return f"{seen['unexpected_count']} of {seen.get('element_count', '?')} not as expected"
    return str(result.exception_info.get("exception_message", "no observation"))[:300]
