"""The whole budget of a home, hours, money and storage: as one document, and mirrored where people look (design §8).

The mirrors are a run in MLflow for each reservation and a figure in Dagster; where they differ, SQL is right.
"""

import logging
from pathlib import Path
from typing import Any

from orchestration.budget import storage
from orchestration.home import Home
from orchestration.record import opened


def document(home: Home) -> dict[str, Any]:
    """The ledger's summary, `foresight.budget/1`, with the storage beside it."""
    return {**opened.ledger(home).summary(), "storage": storage.document(home)}


def draw(found: dict[str, Any], path: Path) -> bytes:
    """It as a PNG, also in a file."""
    from orchestration.report.figures.budget import budget_figure

    png = budget_figure(found)
    path.write_bytes(png)
    return png


def mirror(home: Home, log: logging.Logger) -> Path | None:
    """Bring MLflow up to date with the ledger; the figure, or None where that failed: the run it tells of did not."""
    from orchestration import tracking

    try:
        found = document(home)
        tracking.spent(home, found, draw(found, home.budget_figure))
    except Exception as error:
        log.warning(f"the budget could not be mirrored to MLflow ({error}); the ledger has it, the next run mirrors it")
        return None
    return home.budget_figure
