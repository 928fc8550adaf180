"""The chair's page: one self-contained HTML file.

The decision first, then the evidence with intervals and baselines, frame strips, cost and time against plan, and what
was a stand-in. It is made of what the log, the ledger and the runs' folders hold; nothing is computed for it.
"""

import hashlib

import dagster as dg

from orchestration import groups
from orchestration.data.datasets import Dataset
from orchestration.resources import Foresight


def asset(dataset: Dataset, after: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The page of one dataset's programme; `after` are the evaluations that it also shows."""

    @dg.asset(
        key=groups.key(dataset.name, "report"),
        op_tags=groups.priority(dataset.name, "report"),
        deps=[groups.key(dataset.name, f"phase{phase}_gate") for phase in groups.PHASES] + after,
        group_name=groups.REPORT,
        owners=groups.CHAIR,
        kinds={"html"},
        description=groups.described(__doc__),
    )
    def report(context: dg.AssetExecutionContext, foresight: Foresight) -> dg.MaterializeResult:
        from orchestration.report.collect import collect
        from orchestration.report.page import write

        path = foresight.home.report
        write(collect(foresight.home, dataset.name), path)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(hashlib.sha256(path.read_bytes()).hexdigest()[:32]),
            metadata={"path": dg.MetadataValue.path(str(path)), "size_kb": path.stat().st_size / 1024},
        )

    return report
