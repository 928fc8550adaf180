"""Which run is meant: `phase2/hybrid`, `real/phase2/vae_roundtrip`, a document's path, or an MLflow run id.

WHERE[/ARM]    WHERE: phaseN, DATASET/phaseN, the path of an evaluation document, or the start of an MLflow run id.
               ARM: an arm or a baseline; left out, the arm that the gate judges, or the run's own.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.compare import clip_values
from orchestration.compare.paired import CompareError, Side, judged
from orchestration.documents import Evaluation, read_evaluation
from orchestration.home import Home

PHASE = re.compile(r"(?:(?P<dataset>[a-z][a-z0-9_]*)/)?phase(?P<phase>[123])")
RUN = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True)
class _Found:
    document: Path
    run: str | None = None
    """The MLflow run that carries it, where it was found by that."""


def find(home: Home, data: str, asked: str) -> Side:
    """The side that a user names.

    Raises:
        CompareError: no such run, more than one, or no such arm; it says which there are.
        DocumentError, ClipValuesError: the evaluation or its per-clip values cannot be read.
    """
    for where, arm in ((asked, ""), asked.rpartition("/")[::2]):
        with _open(home, data, asked, where) as found:
            if found is not None:
                return _side(asked, found, arm)
    raise _nothing(asked)


def evaluation(home: Home, data: str, asked: str) -> Evaluation:
    """The evaluation that a user names, in the same ways.

    Raises:
        CompareError: no such run, or more than one.
        DocumentError: the evaluation cannot be read.
    """
    with _open(home, data, asked, asked) as found:
        if found is not None:
            return read_evaluation(found.document)
    raise _nothing(asked)


def _nothing(asked: str) -> CompareError:
    return CompareError(
        f"{asked}: no phase, no document and no run; name a phase, the path of an evaluation.json,"
        " or the start of an MLflow run id"
    )


def _side(asked: str, found: _Found, arm: str) -> Side:
    evaluation = read_evaluation(found.document)
    own = next((name for name, run in evaluation.runs.items() if found.run == run), judged(evaluation))
    known = [*evaluation.arms, *evaluation.baselines]
    if (arm := arm or own) not in known:
        there = ", ".join(known) or "none"
        raise CompareError(f"{asked}: no {arm} in the evaluation of phase {evaluation.phase}; there are {there}")
    return Side(asked, arm, evaluation, clip_values.read(evaluation, found.document))


@contextmanager
def _open(home: Home, data: str, asked: str, where: str) -> Iterator[_Found | None]:
    """The document that `where` names, for as long as it is read; nothing where it names none."""
    if named := PHASE.fullmatch(where):
        yield _Found(home.run(named["dataset"] or data, f"phase{named['phase']}") / "evaluation.json")
    elif Path(where).is_file():
        yield _Found(Path(where))
    elif RUN.fullmatch(where):
        run = _run(home, asked, where)
        with tempfile.TemporaryDirectory() as folder:
            yield _Found(_fetch(run, data, asked, Path(folder)), run.info.run_id)
    else:
        yield None


def _fetch(run: Any, data: str, asked: str, folder: Path) -> Path:
    """From MLflow, which keeps the evaluations that a later run has replaced in the home."""
    from mlflow.artifacts import download_artifacts, list_artifacts

    name = "evaluation" if run.data.tags.get("dataset", data) == data else data
    there = {artifact.path for artifact in list_artifacts(run_id=run.info.run_id)}
    if f"{name}.json" not in there:
        raise CompareError(
            f"{asked}: run {run.info.run_id[:12]} carries no evaluation of {data}; name the run of an evaluated arm"
        )
    if name in there:
        download_artifacts(run_id=run.info.run_id, artifact_path=name, dst_path=str(folder))
    beside = folder / name
    return Path(download_artifacts(run_id=run.info.run_id, artifact_path=f"{name}.json", dst_path=str(beside)))


def _run(home: Home, asked: str, prefix: str) -> Any:
    import mlflow

    from orchestration.tracking import connect

    if not home.has_mlflow:
        raise CompareError(f"{asked}: {home.mlflow} holds no runs; set FORESIGHT_HOME")
    connect(home)
    experiments = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    found: list[Any] = mlflow.search_runs(experiments, f"attributes.run_id LIKE '{prefix}%'", output_format="list")
    if len(found) != 1:
        ids = ", ".join(run.info.run_id[: len(prefix) + 4] for run in found[:4])
        said = f"{len(found)} runs start so ({ids})" if found else "no run starts so"
        raise CompareError(f"{asked}: {said}; give more of its id")
    return found[0]
