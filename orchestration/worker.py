"""The one door to a worker: `python -m orchestration.worker STAGE [--job FILE | --bundle KEY]` (design §2).

A stage of dvc.yaml reads ./params.yaml of the workspace it stands in; every other stage reads a typed job file. On a
machine that shares no disk with the orchestration both come out of a bundle in S3 (ADR 18). All print plain progress
lines and, when Dagster started them, report by Pipes. The last message carries the result: without it the work is not
trusted.
"""

import argparse
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from orchestration.progress import Every, Progress
from orchestration.studies import STUDIES

STAGES = {
    "clips": "orchestration.stages.clips",
    "shards": "orchestration.stages.shards",
    "dinov2": "orchestration.stages.tokens",
    "qwen": "orchestration.stages.tokens",
    "latents": "orchestration.stages.tokens",
    "premise": "orchestration.stages.premise",
    "phase1": "orchestration.stages.training",
    "phase2": "orchestration.stages.training",
    "phase3": "orchestration.stages.training",
    "predictor": "orchestration.stages.training",
    "evaluate": "orchestration.stages.evaluation",
    **dict.fromkeys(STUDIES, "orchestration.studies.stage"),
}


DISPATCHER = "FORESIGHT_DISPATCHER"
"""The process that started a worker and pays for it."""
LOOK_EVERY_S = 1.0


class Reporter:
    """What a stage says while it works. Callable as the `progress` that models take."""

    def __init__(self, stage: str, pipes: Any | None) -> None:
        self.stage, self._pipes = stage, pipes
        self._lines, self._messages = Every(), Every(0.5)

    def __call__(self, what: str, done: int, total: int, numbers: dict[str, float] | None = None) -> None:
        progress = Progress(self.stage, what, done, total, {k: float(v) for k, v in (numbers or {}).items()})
        if self._lines.due(progress):
            print(progress.line(), flush=True)
        if self._pipes and self._messages.due(progress):
            self._pipes.report_custom_message(progress.message())

    def result(self, result: dict[str, Any]) -> None:
        """The final message."""
        self._send({"type": "result", "result": result})

    def failed(self, error: BaseException) -> None:
        """Why there is no result."""
        self._send({"type": "failed", "error": one_line(error), "kind": type(error).__name__})

    def _send(self, message: dict[str, Any]) -> None:
        if self._pipes:
            self._pipes.report_custom_message(message)


def one_line(error: BaseException) -> str:
    """An error as one line; its type only where it carries no words of its own."""
    return " ".join(str(error).split()) or type(error).__name__


def main(arguments: list[str] | None = None) -> int:
    """Run one stage. Exit status 0; 3 where it refuses to go on, else 1, with one line on stderr (and the traceback
    above it when it is not ours).
    """
    parser = argparse.ArgumentParser(prog="python -m orchestration.worker", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--job", type=Path, help="the typed job file; a stage of dvc.yaml reads ./params.yaml instead")
    told.add_argument("--bundle", help="the key of what an orchestration elsewhere put into $FORESIGHT_OBJECTS")
    given = parser.parse_args(arguments)
    _end_with_dispatcher()
    pipes = _pipes()
    reporter = Reporter(given.stage, pipes)
    try:
        reporter.result(_work(given.stage, given.job, given.bundle, reporter))
    except Exception as error:
        if not _ours(error):
            traceback.print_exc()
        reporter.failed(error)
        print(f"{given.stage}: {one_line(error)}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    finally:
        if pipes:
            pipes.close()
    return 0


def _work(stage: str, job: Path | None, bundle: str | None, reporter: Reporter) -> dict[str, Any]:
    """The stage's result; out of a bundle, it is in S3 when this returns."""
    work = importlib.import_module(STAGES[stage]).run
    if bundle is None:
        return work(stage, job, reporter)
    from orchestration.dispatch import scratch

    return scratch.run(stage, bundle, reporter, work)


def _end_with_dispatcher() -> None:
    """A worker whose dispatcher was killed ends too: nobody holds hours for it, and the next one would write beside it.

    What it has not saved it does again; a kill at any moment leaves the last checkpoint whole.
    """
    if DISPATCHER not in os.environ:
        return
    dispatcher = int(os.environ.pop(DISPATCHER))

    def watch() -> None:
        while os.getppid() == dispatcher:
            time.sleep(LOOK_EVERY_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="dispatcher", daemon=True).start()


def _pipes() -> Any | None:
    """The channel to Dagster, when it started this process."""
    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    if not PipesEnvVarParamsLoader().is_dagster_pipes_process():
        return None
    from orchestration.messages_out import WholeLines

    return open_dagster_pipes(message_writer=WholeLines())


def _ours(error: Exception) -> bool:
    """Whether the error was raised with a line meant for a person."""
    return type(error).__module__.split(".")[0] in {"models", "orchestration", "assets"}


if __name__ == "__main__":
    raise SystemExit(main())
