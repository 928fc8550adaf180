"""What each step of a run measured: one JSON line a step in `history.jsonl`, up to the checkpoint it goes on from."""

import json
import os
from pathlib import Path

from models.data import write_durably
from models.training.checkpoint import CheckpointError


class History:
    """The lines of a run, in memory as `rows` and on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def cut(self, steps: int) -> None:
        """Keep the first `steps` lines: what a killed run did after its checkpoint is done again.

        Raises:
            CheckpointError: the file does not reach as far as the checkpoint.
        """
        lines = self.path.read_bytes().splitlines(keepends=True)[:steps] if self.path.exists() else []
        try:
            self.rows = [json.loads(line) for line in lines]
        except ValueError as error:
            raise CheckpointError(f"{self.path}: damaged ({error}); train in a folder of its own") from error
        if len(lines) < steps:
            raise CheckpointError(
                f"{self.path}: {len(lines)} lines and a checkpoint of step {steps}; train in a folder of its own"
            )
        write_durably(self.path, b"".join(lines))

    def sync(self) -> None:
        """On disk before the checkpoint that counts on it."""
        with self.path.open("a") as file:
            os.fsync(file.fileno())

    def add(self, row: dict[str, float]) -> None:
        """One more step."""
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
