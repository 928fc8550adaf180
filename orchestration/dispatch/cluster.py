"""A Ray cluster, by the HTTP interface of its head: the jobs of this programme, and what its nodes have.

Where it is, Ray's own variables say ($RAY_API_SERVER_ADDRESS, $RAY_ADDRESS). What a job is given shows in Ray's
dashboard to whoever may look, so it is given no credential: workers have their own, of their machine.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestration.dispatch.attempts import Job, JobState, submission_id
from orchestration.dispatch.needs import Gpus, accelerator
from orchestration.dispatch.task import Detached, DispatchError
from orchestration.messages import Heard

if TYPE_CHECKING:
    from orchestration.dispatch.job_log import JobLog

ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
SHARED = ("s3", "http", "https")
GIVEN = ("FORESIGHT_OBJECTS", "MLFLOW_TRACKING_URI")
"""All that a job is given of this process's environment: where the programme's state is. The rest is its machine's."""
STATES: dict[str, JobState] = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "STOPPED": "stopped",
}
NO_SUCH, THERE_ALREADY = "status code 404", "already exists"


class Unreachable(Detached):
    """The cluster does not answer."""


class Cluster:
    """One cluster as one programme sees it. `place` is where that programme's results lie."""

    def __init__(self, client: Any, place: str, environment: Mapping[str, str]) -> None:
        self._client, self._place, self._environment = client, place, environment

    @classmethod
    def of_environment(cls) -> "Cluster":
        """The cluster that the environment names.

        Raises:
            DispatchError: it names none, or state of the programme is where no worker could reach it.
            Unreachable: it does not answer.
        """
        found = {name: os.environ.get(name, "") for name in (*ADDRESSES, *GIVEN)}
        if not any(found[name] for name in ADDRESSES):
            raise DispatchError(
                "no Ray cluster: set RAY_API_SERVER_ADDRESS to the address of its dashboard, http://HOST:8265"
            )
        for name in GIVEN:
            # MLflow's client writes the address that it is given, a file of this home's too, into the environment.
            if urlsplit(found[name]).scheme not in SHARED:
                raise DispatchError(
                    f"workers of a cluster cannot reach this home: set {name} to what all machines share"
                )
            if urlsplit(found[name]).username is not None:
                raise DispatchError(
                    f"{name} holds a credential, which Ray's dashboard would show; give it to the workers"
                )
        from ray.job_submission import JobSubmissionClient

        with _reached():
            client = JobSubmissionClient()
        return cls(client, found["FORESIGHT_OBJECTS"], {name: found[name] for name in GIVEN})

    @property
    def address(self) -> str:
        """Of its head's HTTP interface."""
        return self._client.get_address()

    def id_of(self, work: str, attempt: int) -> str:
        """The id of the job of an attempt."""
        return submission_id(work, self._place, attempt)

    def find(self, job_id: str) -> Job | None:
        """A job by its id; None where the cluster knows none."""
        with _reached():
            try:
                return _job(self._client.get_job_info(job_id))
            except RuntimeError as error:
                if NO_SUCH not in str(error):
                    raise
                return None

    def jobs(self) -> list[Job]:
        """The jobs of this programme, the oldest first."""
        with _reached():
            told = self._client.list_jobs()
        mine = [_job(one) for one in told if (one.metadata or {}).get("foresight.place") == self._place]
        return sorted(mine, key=lambda job: job.submitted_at)

    def last(self, work: str) -> Job | None:
        """The newest attempt at a piece of work."""
        return max((job for job in self.jobs() if job.work == work), key=lambda job: job.attempt, default=None)

    def submit(
        self,
        job_id: str,
        command: str,
        *,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
        needs: Mapping[str, float],
    ) -> None:
        """Submit a job under its id. Where another was just submitted under it, that one stands.

        Args:
            needs: quantities by Ray's names, `memory` in bytes.
        """
        variables = {**env, **self._environment, "PYTHONUNBUFFERED": "1"}
        custom = {name: amount for name, amount in needs.items() if name not in ("CPU", "GPU", "memory")}
        with _reached():
            try:
                self._client.submit_job(
                    entrypoint=command,
                    submission_id=job_id,
                    runtime_env={"env_vars": variables},
                    metadata={**metadata, "foresight.place": self._place},
                    entrypoint_num_cpus=needs["CPU"],
                    entrypoint_num_gpus=needs.get("GPU", 0.0),
                    entrypoint_memory=int(needs["memory"]),
                    entrypoint_resources=custom or None,
                )
            except RuntimeError as error:
                if THERE_ALREADY not in str(error):
                    raise

    def stop(self, job_id: str) -> None:
        """Ask a job to end, with SIGTERM and soon after SIGKILL; nothing happens to one that is over."""
        with _reached():
            self._client.stop_job(job_id)

    def log(self, job_id: str) -> str:
        """All that a job has printed, as far as its node still has it."""
        with _reached():
            return self._client.get_job_logs(job_id)

    def listener(self, heard: Heard) -> "JobLog":
        """A reader for the messages of one job, which it takes from the job's log."""
        from orchestration.dispatch.job_log import JobLog

        return JobLog(heard, self._client)

    def choose(self, gpus: Sequence[Gpus]) -> Gpus | None:
        """The first of these that a node has; the first where none does, to wait for. None where none is needed."""
        if len(gpus) < 2:
            return next(iter(gpus), None)
        nodes = self._nodes()
        there = (
            one
            for one in gpus
            if any(node.get("GPU", 0) >= one.count and accelerator(one.kind) in node for node in nodes)
        )
        return next(there, gpus[0])

    def _nodes(self) -> list[dict[str, float]]:
        """What each node that is alive has in all."""
        from ray.util.state import list_nodes

        with _reached():
            nodes: list[Any] = list_nodes(address=self.address, filters=[("state", "=", "ALIVE")])
        return [dict(node.resources_total or {}) for node in nodes]


@contextmanager
def _reached() -> Iterator[None]:
    """Whatever Ray's client raises when its cluster is away or falters, as one exception."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, as is ConnectionError
        raise Unreachable(
            f"the Ray cluster does not answer as it should ({' '.join(str(error).split())[:300]})"
        ) from error


def _job(told: Any) -> Job:
    said = told.metadata or {}
    ended = None if not told.end_time else told.end_time / 1000
    return Job(
        id=told.submission_id or "",
        work=said.get("foresight.work", ""),
        attempt=int(said.get("foresight.attempt", 0)),
        key=said.get("foresight.key", ""),
        state=STATES[str(getattr(told.status, "value", told.status))],
        submitted_at=(told.start_time or 0) / 1000,
        ended_at=ended,
        exit_code=told.driver_exit_code,
        message=next(iter((told.message or "").splitlines()), ""),
        ran=told.driver_node_id is not None,
    )
