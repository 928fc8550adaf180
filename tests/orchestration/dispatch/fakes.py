"""A cluster without Ray: `JobSubmissionClient` as far as dispatch uses it, with jobs that end when a test says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from orchestration.dispatch.bundle import Done
from orchestration.dispatch.cluster import Cluster

PLACE = "s3://bucket/programme"


@dataclass
class Job:
    """One job of the client."""

    submission_id: str
    metadata: dict[str, str]
    asked: dict[str, Any]
    status: str = "PENDING"
    log: str = ""
    exit_code: int | None = None
    start_time: int = 1_000_000
    end_time: int | None = None
    message: str = ""
    log_is_lost: bool = False
    node: str | None = "node"

    @property
    def told(self) -> SimpleNamespace:
        return SimpleNamespace(**{**vars(self), "driver_exit_code": self.exit_code, "driver_node_id": self.node})

    def say(self, **payload: Any) -> None:
        """A message of the worker's, as it stands in its log."""
        message = {"__dagster_pipes_version": "0.1", "method": "report_custom_message", "params": {"payload": payload}}
        self.log += f"{json.dumps(message)}\n"

    def end(self, status: str, exit_code: int | None = None, at: int = 0, message: str = "") -> None:
        self.status, self.exit_code, self.message = status, exit_code, message
        self.end_time = at or self.start_time


@dataclass
class Client:
    """Answers as Ray's does, errors included. `acts` is called with a job each time it is looked at."""

    acts: Callable[[Job], None] = lambda job: None
    held: dict[str, Job] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    away: int = 0
    """So many calls fail."""

    def get_address(self) -> str:
        return "http://nowhere"

    def submit_job(self, *, submission_id: str, metadata: dict[str, str], **asked: Any) -> str:
        self._answer()
        if submission_id in self.held:
            raise RuntimeError(
                f"Request failed with status code 500: Job with submission_id {submission_id} already exists."
            )
        self.held[submission_id] = Job(submission_id, metadata, asked)
        return submission_id

    def get_job_info(self, job_id: str) -> SimpleNamespace:
        self._answer()
        if job_id not in self.held:
            raise RuntimeError("Request failed with status code 404: no such job")
        job = self.held[job_id]
        told = job.told
        self.acts(job)
        return told

    def list_jobs(self) -> list[SimpleNamespace]:
        self._answer()
        return [job.told for job in self.held.values()]

    def get_job_logs(self, job_id: str) -> str:
        if self.held[job_id].log_is_lost:
            raise RuntimeError("Request failed with status code 500: no agent on that node")
        return self.held[job_id].log

    def stop_job(self, job_id: str) -> bool:
        self.stopped.append(job_id)
        self.held[job_id].end("STOPPED", at=self.held[job_id].start_time + 5000)
        return True

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        read = 0
        while True:
            text = self.held[job_id].log[read:]
            read += len(text)
            if text:
                yield text
            elif self.held[job_id].end_time:
                return
            await asyncio.sleep(0.01)

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise ConnectionError("nobody there")


def cluster_of(client: Client) -> Cluster:
    """The cluster that this client speaks for."""
    return Cluster(client, PLACE, {"FORESIGHT_OBJECTS": PLACE, "MLFLOW_TRACKING_URI": "http://mlflow"})


@dataclass
class Parcel:
    """A parcel that travels nowhere: a test puts the final message down."""

    done: Done | None = None
    sent: list[tuple[str, float | None]] = field(default_factory=list)

    def send(self, attempt: str, allowed_s: float | None) -> str:
        self.sent.append((attempt, allowed_s))
        return f"work/{attempt}/bundle.json"

    def result(self) -> Done | None:
        return self.done

    def finish(self, work: str, **result: Any) -> None:
        self.done = Done(work=work, home="/there", seconds=7.0, result=result)
