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
ON_POSTGRESQL = """storage:
  postgres:
    postgres_url:
      env: FORESIGHT_DAGSTER_DATABASE
"""
"""The address stays in the environment: a password in it is in no file of the home."""
_WRITTEN = {SETTINGS, SETTINGS + ON_POSTGRESQL}
"""What is no longer one of these was changed by a person, and stays."""


def prepare(home: Home) -> None:
    """Make the instance's folder and point this process and its children at it."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    path, wanted = home.dagster / "dagster.yaml", SETTINGS + (ON_POSTGRESQL if home.dagster_database else "")
    if not path.is_file() or path.read_text(encoding="utf-8") in _WRITTEN - {wanted}:
        path.write_text(wanted, encoding="utf-8")
    if home.dagster_database:
        os.environ["FORESIGHT_DAGSTER_DATABASE"] = _address(home.dagster_database)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ["FORESIGHT_HOME"] = str(home.root)
    # Workers stand in folders of their own: a cache named from this one must stay the same cache.
    os.environ["FORESIGHT_WEIGHTS"] = str(Path(os.environ.get("FORESIGHT_WEIGHTS") or ".foresight/weights").resolve())


def instance(home: Home) -> "dg.DagsterInstance":
    """Open it."""
    import dagster as dg

    prepare(home)
    return dg.DagsterInstance.get()


def _address(url: str) -> str:
    """With the driver that Dagster is written for; SQLAlchemy would take another, with which its NOTIFY fails."""
    from sqlalchemy import make_url

    return make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
