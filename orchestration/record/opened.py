"""The SQL record of a home: where its decisions, overrides and ledger are opened."""

from typing import TYPE_CHECKING

from orchestration.home import Home

if TYPE_CHECKING:
    from orchestration.budget.ledger import Ledger
    from orchestration.documents import Decision, Evaluation, Phase
    from orchestration.experiments.record import ExperimentLog
    from orchestration.gates.overall import Overall
    from orchestration.plan.programme import Programme
    from orchestration.record.decisions import DecisionLog


def decisions(home: Home) -> "DecisionLog":
    """The decision log of a home."""
    from orchestration.record.decisions import DecisionLog
    from orchestration.record.store import Store

    return DecisionLog(Store(home.database))


def ledger(home: Home) -> "Ledger":
    """The budget ledger of a home."""
    from orchestration.budget.ledger import Ledger
    from orchestration.plan.programme import load
    from orchestration.record.store import Store

    return Ledger(Store(home.database), load())


def experiments(home: Home) -> "ExperimentLog":
    """The decisions on experiments of a home."""
    from orchestration.experiments.record import ExperimentLog
    from orchestration.record.store import Store

    return ExperimentLog(Store(home.database))


def overall(home: Home, programme: "Programme", dataset: str) -> "Overall":
    """§6.4's verdict on the evaluations of a dataset that stand in a home, beside what its gates said.

    Raises:
        DocumentError: an evaluation is not what it says it is.
    """
    from orchestration.documents import read_evaluation
    from orchestration.gates.overall import judge

    log = decisions(home)
    evaluations: dict[Phase, Evaluation] = {}
    decided: dict[Phase, Decision] = {}
    for phase in programme.phases:
        if (path := home.run(dataset, f"phase{phase}") / "evaluation.json").is_file():
            evaluations[phase] = read_evaluation(path)
    profile = evaluations[max(evaluations)].profile if evaluations else None
    for phase in programme.phases:
        if (decision := log.latest(phase, dataset=dataset, profile=profile)) is not None:
            decided[phase] = decision
    return judge(programme, evaluations, decided, profile=profile)
