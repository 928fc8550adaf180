"""The SQL record of a home: where its decisions, overrides and ledger are opened."""

from typing import TYPE_CHECKING

from orchestration.home import Home

if TYPE_CHECKING:
    from orchestration.decisions import DecisionLog


def decisions(home: Home) -> "DecisionLog":
    """The decision log of a home."""
    from orchestration.decisions import DecisionLog
    from orchestration.store import Store

    return DecisionLog(Store(home.database))
