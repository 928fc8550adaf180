"""The log of a Ray job: the worker's messages in it, and everything else that it prints (ADR 18).

Messages are lines of the log, so whoever takes a job up again reads them from the log's start. dagster-ray's reader
does the session's part; its way of following the log is not used, because it stops for good when a connection is
lost, and waits half a minute at the end. Here a lost connection is made again, what was read is not read twice, and
after the end the whole log is asked for once.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import dagster as dg
from dagster._core.pipes.context import PipesLaunchedData
from dagster_ray.core.pipes import PIPES_LAUNCHED_EXTRAS_RAY_JOB_ID_KEY, PipesRayJobMessageReader

from orchestration.messages import Heard

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

LOOK_S = 1.0
LATER_S = 5.0
MESSAGE = '{"__dagster_pipes_version"'
AWAY = (OSError, RuntimeError, aiohttp.ClientError)
"""What Ray's client raises when the cluster does not answer, or not well."""


class JobLog(PipesRayJobMessageReader):
    """Follows the log of one job from its start. For one session only."""

    def __init__(self, heard: Heard, client: "JobSubmissionClient") -> None:
        super().__init__()
        self._heard, self._client, self._read, self._line = heard, client, 0, ""

    def on_launched(self, launched_payload: PipesLaunchedData) -> None:
        """The job has its id: its log can be read, by the client that asks for everything else too."""
        self._job_id = launched_payload["extras"][PIPES_LAUNCHED_EXTRAS_RAY_JOB_ID_KEY]
        dg.PipesMessageReader.on_launched(self, launched_payload)

    def handle_job_logs(self, handler: dg.PipesMessageHandler) -> None:
        """Follow the log until it ends or the session does."""
        self._handler = handler
        try:
            while self._job_id is None and not self.session_closed.wait(0.1):
                pass
            while not self.session_closed.is_set():
                with contextlib.suppress(*AWAY):
                    asyncio.run(self._follow(handler))
                    return
                self.session_closed.wait(LATER_S)
        finally:
            self.completed.set()

    def finish(self, whole: str) -> None:
        """Take what was not yet read of the log of a job that is over."""
        self.session_closed.set()
        self.completed.wait()
        self._take(whole[self._read :] + "\n", self._handler)

    async def _follow(self, handler: dg.PipesMessageHandler) -> None:
        tail, passed = self.client.tail_job_logs(self.job_id), 0
        while (chunk := await self._next(tail)) is not None:
            passed += len(chunk)
            self._take(chunk[max(0, len(chunk) - (passed - self._read)) :] if passed > self._read else "", handler)

    async def _next(self, tail: AsyncIterator[str]) -> str | None:
        """The next part of the log; None at its end, or at the session's."""
        coming = asyncio.ensure_future(anext(tail, None))
        while not self.session_closed.is_set():
            if (await asyncio.wait({coming}, timeout=LOOK_S))[0]:
                return coming.result()
        coming.cancel()
        return None

    def _take(self, text: str, handler: dg.PipesMessageHandler) -> None:
        """Messages go to who listens, the rest to this step's own output, where Dagster's UI shows it."""
        self._read += len(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.startswith(MESSAGE):
                self._heard.take(json.loads(line), handler)
            elif line:
                sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
