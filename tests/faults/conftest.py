"""A home whose gate path can be killed, and what stands in its record."""

import pytest

from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.faults.nodes import nodes  # noqa: F401  a fixture


class Record:
    """What was decided and launched in a home, counted."""

    def __init__(self, home) -> None:
        self.home = home

    @property
    def log(self) -> DecisionLog:
        return DecisionLog(Store(self.home.database))

    def decided(self, phase: int = 1) -> list[str]:
        return [decision.verdict for _, decision in self.log.decisions(phase)]

    def launched(self, phase: int = 2) -> int:
        path = self.home.root / "launched"
        lines = path.read_text().splitlines() if path.is_file() else []
        return sum(line.startswith(f"launch/moving_shapes/{phase}/") for line in lines)

    def mirrored(self) -> int:
        return len(list((self.home.mlflow / "mirrored").glob("*")))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The daemon's iterations, in forked processes."""
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "home"))
    from tests.faults.daemon import Machine

    return Machine(tmp_path / "home")


@pytest.fixture
def record(machine) -> Record:
    return Record(machine.home)
