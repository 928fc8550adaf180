"""Which run is meant: `phase2/hybrid`, `real/phase2/vae_roundtrip`, a document's path, or an MLflow run id.

WHERE[/ARM]    WHERE: phaseN, DATASET/phaseN, the path of an evaluation document, or the start of an MLflow run id.
               ARM: an arm or a baseline; left out, the arm that the gate judges, or the run's own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestration import clip_values
from orchestration.documents import Evaluation, read_evaluation
from orchestration.home import Home
from orchestration.paired import CompareError, Side, judged

PHASE = re.compile(r"(?:(?P<dataset>[a-z][a-z0-9_]*)/)?phase(?P<phase>[123])")
RUN = re.compile(r"[0-9a-f]{4,32}")


def find(home: Home, data: str, asked: str) -> Side:
    """The side that a user names.

    Raises:
        CompareError: no such run, more than one, or no such arm; it says which there are.
        DocumentError, ClipValuesError: the evaluation or its per-clip values cannot be read.
    """
    for where, arm in ((asked, None), asked.rpartition("/")[::2]):
        if named := PHASE.fullmatch(where):
            path = home.run(named["dataset"] or data, f"phase{named['phase']}") / "evaluation.json"
            return _side(asked, path, arm)
        if Path(where).is_file():
            return _side(asked, Path(where), arm)
        if RUN.fullmatch(where):
            return _recorded(home, data, asked, where, arm)
    raise CompareError(
        f"{asked}: no phase, no document and no run; name it as phase2/hybrid, as the path of an evaluation.json,"
        " or by the start of its MLflow run id"
    )


def _side(asked: str, path: Path, arm: str | None) -> Side:
    evaluation = read_evaluation(path)
    return _of(asked, evaluation, path, arm or judged(evaluation))


def _recorded(home: Home, data: str, asked: str, prefix: str, arm: str | None) -> Side:
    """From MLflow, which keeps the evaluations that a later run has replaced in the home."""
    import tempfile

    import mlflow

    run = _run(home, asked, prefix)
    name = "evaluation" if run.data.tags.get("dataset", data) == data else data
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetched = {
                kind: Path(
                    mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=kind, dst_path=folder)
                )
                for kind in (f"{name}.json", name)
            }
        except (OSError, mlflow.MlflowException):
            raise CompareError(
                f"{asked}: run {run.info.run_id[:12]} carries no evaluation of {data} with per-clip values; evaluate it"
                " again, or name the run of an arm that was evaluated"
            ) from None
        evaluation = read_evaluation(fetched[f"{name}.json"])
        own = next((arm for arm, run_id in evaluation.runs.items() if run_id == run.info.run_id), judged(evaluation))
        return _of(asked, evaluation, fetched[name] / f"{name}.json", arm or own)


def _run(home: Home, asked: str, prefix: str) -> Any:
    import mlflow

    from orchestration.tracking import connect

    if not home.mlflow.is_dir():
        raise CompareError(f"{asked}: {home.mlflow} holds no runs; set FORESIGHT_HOME")
    connect(home)
    experiments = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    found: list[Any] = mlflow.search_runs(experiments, f"attributes.run_id LIKE '{prefix}%'", output_format="list")
    if len(found) != 1:
        ids = ", ".join(run.info.run_id[: len(prefix) + 4] for run in found[:4])
        raise CompareError(
            f"{asked}: {f'{len(found)} runs start so ({ids})' if found else 'no run starts so'}; give more of its id"
        )
    return found[0]


def _of(asked: str, evaluation: Evaluation, document: Path, arm: str) -> Side:
    known = [*evaluation.arms, *evaluation.baselines]
    if arm not in known:
        raise CompareError(
            f"{asked}: no {arm} in {document.name} of phase {evaluation.phase}; there are {', '.join(known)}"
        )
    return Side(asked, arm, evaluation, clip_values.read(evaluation, document))
