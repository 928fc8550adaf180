"""A home whose gate path can be killed, what stands in its record, and the row that each fault's test fills in."""

from collections.abc import Iterator

import pytest

from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.faults.figures import PROPERTY
from tests.faults.nodes import nodes  # noqa: F401  a fixture
from tests.faults.rows import FaultRow


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


@pytest.fixture
def fault_row(request: pytest.FixtureRequest) -> Iterator[FaultRow]:
    """The row of a test that is marked `fault("its name")`; what the test leaves unsaid or finds wrong fails it."""
    row = FaultRow(request.node.get_closest_marker("fault").args[0])
    yield row
    request.node.user_properties.append((PROPERTY, row.document()))
    if request.node.stash.get(PASSED, False):
        assert not row.wrong(), f"{row.fault}: {row.wrong()}"


PASSED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Clusters without a token come first: a process that Ray has known one in may start none without."""
    items.sort(key=lambda item: "nodes" not in getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report
