"""The record of a run in MLflow: one experiment a phase, a parent run per attempt, a child per arm (design §3).

Written straight into the home's SQLite store, so no server need be up, or to the one that $MLFLOW_TRACKING_URI names.
MLflow is imported late: it costs seconds.
"""

import json
import os
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from orchestration.home import Home
from orchestration.jobs import PREDICTOR, PREMISE, Job
from orchestration.objects.store import patient
from orchestration.sending import Sending

EXPERIMENTS = {
    1: "1 spatial reconstruction",
    2: "2 semantic integration",
    3: "3 full system",
}
PREMISE_AUDIT = "0 premise audit"
PREDICTION = "4 prediction"
STUDY = "5 study {name}"
BUDGET = "budget"
SERVER = "MLFLOW_TRACKING_URI"
SHOWN = ("loss", "eta_s")
ANSWER_S = 10.0
BACK_S = 300.0
"""How long a training that has ended waits for MLflow to come back and take the rest of its numbers."""
CLIENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # its client tries again after 1, 2, 4 ... 64 s: what is not sent in the background outlasts two minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class Run:
    """One MLflow run that is being written."""

    def __init__(self, run_id: str) -> None:
        self.id = run_id

    def numbers(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Metrics at a step."""
        import mlflow

        mlflow.log_metrics({name: float(value) for name, value in values.items()}, step=step, run_id=self.id)

    def params(self, values: Mapping[str, Any]) -> None:
        """Parameters, nested ones by dotted names."""
        import mlflow

        mlflow.log_params(flat(values))

    def say(self, values: Mapping[str, str]) -> None:
        """Tags beside those that every run has."""
        import mlflow

        mlflow.set_tags(dict(values))

    def file(self, path: Path, folder: str = "") -> None:
        """A file or a folder, attached."""
        import mlflow

        log = mlflow.log_artifacts if path.is_dir() else mlflow.log_artifact
        log(str(path), folder or None, run_id=self.id)

    def picture(self, name: str, png: bytes) -> None:
        """A figure, attached under figures/."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(png)
            self.file(path, "figures")

    def document(self, name: str, value: Any) -> None:
        """A JSON document, attached."""
        import mlflow

        mlflow.log_text(json.dumps(value, indent=1), name, run_id=self.id)


class TrackingError(RuntimeError):
    """MLflow's store does not answer."""


def require(home: Home) -> None:
    """Make sure that MLflow's store answers now: its own client would try for most of an hour before it said no.

    Raises:
        TrackingError: it does not.
        HomeError: its address holds a user or a password.
    """
    address = home.tracking_uri
    try:
        if address.startswith("sqlite:///"):
            path = Path(address.removeprefix("sqlite:///"))
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path, timeout=ANSWER_S)) as store:
                store.execute("SELECT count(*) FROM sqlite_master").fetchone()
        elif address.startswith(("http://", "https://")):
            urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=ANSWER_S).close()
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(f"MLflow at {address} does not answer ({error}); mend it and try again") from error


def connect(home: Home) -> None:
    """Point MLflow at the home's store."""
    import mlflow

    home.mlflow.mkdir(parents=True, exist_ok=True)
    for name, value in {**CLIENT, **patient()}.items():  # to S3 it sends by a boto3 of its own
        os.environ.setdefault(name, value)
    named = os.environ.get(SERVER)
    mlflow.set_tracking_uri(home.tracking_uri)
    if named is None:
        os.environ.pop(SERVER, None)  # MLflow writes its own choice there, which would bind every later home to it


@contextmanager
def attempt(job: Job, name: str = "") -> Iterator[Run]:
    """The parent run of one dispatch. An exception that passes through marks it FAILED."""
    import mlflow

    home = Home(job.home)
    connect(home)
    beside = {PREMISE: PREMISE_AUDIT, PREDICTOR: PREDICTION}
    study = STUDY.format(name=job.stage) if job.study is not None else None
    experiment(home, study or beside.get(job.stage, EXPERIMENTS[job.phase]))
    with mlflow.start_run(run_name=name or f"{job.stage} {job.dataset} {job.fingerprint[:8]}", tags=tags(job)) as run:
        made = Run(run.info.run_id)
        made.params(_said(job))
        yield made


@contextmanager
def child(job: Job, arm: str) -> Iterator[Run]:
    """A nested run for one arm."""
    import mlflow

    with mlflow.start_run(run_name=arm, nested=True, tags={**tags(job), "arm": arm}) as run:
        made = Run(run.info.run_id)
        made.params({**_said(job), "arm": arm})
        yield made


@contextmanager
def steps(run: Run, reporter: Callable[..., None]) -> Iterator[Callable[..., None]]:
    """A `progress` that tells the reporter and records each step's numbers in the background (`orchestration.sending`).

    Raises:
        TrackingError: all steps were made, and MLflow has not come back to take the rest of their numbers.
    """
    import mlflow
    from mlflow.entities import Metric

    client = mlflow.MlflowClient()
    sending = Sending(lambda batch: client.log_batch(run.id, metrics=batch), (mlflow.MlflowException, OSError))

    def progress(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
        reporter(what, done, total, {name: numbers[name] for name in SHOWN if name in numbers})
        now = int(time.time() * 1000)
        sending.add([Metric(name, float(value), now, done) for name, value in numbers.items()])

    try:
        yield progress
    except BaseException:
        sending.end(ANSWER_S)  # what failed has its own reason, and must not wait for MLflow
        raise
    if left := sending.end(BACK_S):
        raise TrackingError(
            f"MLflow is away ({sending.why}) and has not taken {left} of the numbers of run {run.id}; the training is "
            "done, its checkpoint and history.jsonl stand: bring MLflow back and run again"
        )


@contextmanager
def continued(job: Job, run_id: str) -> Iterator[Run]:
    """A finished run, opened again to add to it (an evaluation adds to the run of its training)."""
    import mlflow

    connect(Home(job.home))
    with mlflow.start_run(run_id=run_id):
        yield Run(run_id)


def tags(job: Job) -> dict[str, str]:
    """What every run says of itself."""
    return {
        "data_version": job.data_version,
        "code_commit": job.code_commit,
        "profile": job.profile.name,
        "standins": str(job.profile.standins).lower(),
        "dataset": job.dataset,
        "fingerprint": job.fingerprint,
        "stage": job.stage,
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names."""
    table: dict[str, Any] = {}
    for name, value in values.items():
        table |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return table


def _said(job: Job) -> dict[str, Any]:
    if job.declaration is not None:
        sizes = job.declaration.sizes_of(job.profile).model_dump()
        return {"profile": job.profile.name, "dataset": job.dataset, "declaration": job.declaration.sha256, **sizes}
    if job.study is not None:
        sizes = job.study.sized(job.profile).model_dump(mode="json")
        return {"profile": job.profile.name, "dataset": job.dataset, "declaration": job.study.sha256, "sizes": sizes}
    wanted = {"name", "device", "fusion", f"phase{job.phase}"} | ({"routes", "lora"} if job.phase == 3 else set())
    said = job.profile.model_dump(mode="json", include=wanted)
    return {"profile": said.pop("name"), **said, "dataset": job.dataset}


def experiment(home: Home, name: str) -> str:
    """Make an experiment the one that runs go to, and give its id."""
    import mlflow

    if mlflow.get_experiment_by_name(name) is None:
        served = home.tracking_uri.startswith(("http://", "https://"))  # a server says itself where artifacts go
        mlflow.create_experiment(name, None if served else home.artifacts)
    return mlflow.set_experiment(name).experiment_id


def spent(home: Home, found: Mapping[str, Any], figure: bytes) -> None:
    """Every reservation that is over as a run of its own, once; the newest carries the whole budget and its figure."""
    import mlflow

    over = [one for one in found["reservations"] if one["state"] in ("settled", "expired", "released")]
    marks = {one["key"]: home.mlflow / "spent" / f"{one['key'].replace('/', '-')}-{one['state']}" for one in over}
    new = [one for one in over if not marks[one["key"]].is_file()]
    if not new:
        return
    connect(home)
    experiment(home, BUDGET)
    for one in new:
        words = ("key", "state", "ended", "phase", "experiment", "person", "device", "gpus")
        with mlflow.start_run(run_name=one["key"], tags={name: str(one[name]) for name in words}) as run:
            made = Run(run.info.run_id)
            made.numbers({name: one[name] for name in ("max_hours", "wall_hours", "gpu_hours", "usd")})
            for seen in one["foreseen"]:
                made.numbers({f"foreseen_{name}": seen[name] for name in ("hours", "low", "high")}, seen["reached"])
            if one["forecast_error"] is not None:
                made.numbers({"forecast_error": one["forecast_error"]})
            if one is new[-1]:
                made.numbers({f"left_gpu_hours/{row['phase']}": row["left_gpu_hours"] for row in found["phases"]})
                made.document("budget.json", found)
                made.picture("budget.png", figure)
        marks[one["key"]].parent.mkdir(exist_ok=True)
        marks[one["key"]].touch()
