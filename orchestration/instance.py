"""The Dagster instance of a home: the one that `foresight run` writes and `foresight ui` shows."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.home import Home

if TYPE_CHECKING:
    import dagster as dg

SETTINGS = """# Written by foresight. Runs wait in one line: two would fight for the same cores and the same files.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
"""


def prepare(home: Home) -> None:
    """Make the instance's folder and point this process and its children at it."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    path = home.dagster / "dagster.yaml"
    if not path.is_file():
        path.write_text(SETTINGS, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ["FORESIGHT_HOME"] = str(home.root)
    # Workers stand in folders of their own: a cache named from this one must stay the same cache.
    os.environ["FORESIGHT_WEIGHTS"] = str(Path(os.environ.get("FORESIGHT_WEIGHTS") or ".foresight/weights").resolve())


def instance(home: Home) -> "dg.DagsterInstance":
    """Open it."""
    import dagster as dg

    prepare(home)
    return dg.DagsterInstance.get()
