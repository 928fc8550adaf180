"""The SQL record of a home: where its decisions, overrides and ledger are opened."""

from typing import TYPE_CHECKING

from orchestration.home import Home

if TYPE_CHECKING:
    from orchestration.decisions import DecisionLog
    from orchestration.experiments.record import ExperimentLog
    from orchestration.ledger import Ledger


def decisions(home: Home) -> "DecisionLog":
    """The decision log of a home."""
    from orchestration.decisions import DecisionLog
    from orchestration.store import Store

    return DecisionLog(Store(home.database))


def ledger(home: Home) -> "Ledger":
    """The budget ledger of a home."""
    from orchestration.ledger import Ledger
    from orchestration.programme import load
    from orchestration.store import Store

    return Ledger(Store(home.database), load())


def experiments(home: Home) -> "ExperimentLog":
    """The decisions on experiments of a home."""
    from orchestration.experiments.record import ExperimentLog
    from orchestration.store import Store

    return ExperimentLog(Store(home.database))
