"""What one study is made of: cells that are measured one by one, and what is made of all of them (ADR 24).

A study NAME is `config/experiments/NAME.yaml`, written before any run, and the module `orchestration/studies/NAME.py`
with what `Study` asks for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import JsonValue, PositiveFloat

from orchestration.documents import MetricValue
from orchestration.plan.programme import Part

if TYPE_CHECKING:
    from orchestration.jobs import Job
    from orchestration.stages.inputs import Inputs

Measured = dict[str, Any]
"""What a cell measured, as plain JSON: always `standin`; by clip under `by_clip`, single values under `numbers`."""


class StudySizes(Part):
    """How much of a study one profile does; each study adds its own."""

    max_hours: PositiveFloat


@dataclass(frozen=True)
class Cell:
    """The smallest part that is measured by itself; `after` names the cells whose result or folder it reads."""

    name: str
    settings: dict[str, JsonValue]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What a cell is measured with."""

    job: "Job"
    inputs: "Inputs"
    sizes: Any
    seed: int
    folder: Path
    """The cell's own, kept between attempts: a training goes on there from its last checkpoint."""
    measured: Mapping[str, Measured]
    """Of the cells that it comes after."""
    folder_of: Callable[[str], Path]
    reporter: Callable[..., None]
    left: Callable[[], float]
    """Seconds until the study must have stopped."""


@dataclass(frozen=True)
class Table:
    """Rows of words as people read them; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Analysis:
    """What the cells say together: a function of them alone."""

    values: dict[str, MetricValue]
    """What the rule's claims judge, by name."""
    tables: tuple[Table, ...] = ()
    series: dict[str, JsonValue] = field(default_factory=dict)
    """What the figures draw."""


class Study(Protocol):
    """A module of this package. Importing it loads neither torch nor matplotlib."""

    PHASE: int
    """Out of whose hours it is paid."""
    NEEDS: tuple[str, ...]
    """Trainings of the programme that it starts from: phase1, phase2, phase3, predictor."""
    WEIGHTS: tuple[str, ...]
    """Frozen weights that it loads."""
    CODE: tuple[str, ...]
    """Sources that the result of a cell depends on."""
    CAPTIONS: Mapping[str, str]
    """What each figure shows, by its name."""
    Plan: type[Part]
    Sizes: type[StudySizes]

    def cells(self, plan: Any, sizes: Any) -> list[Cell]:
        """The cells in an order in which each comes after what it reads."""
        ...

    def measure(self, cell: Cell, bench: Bench) -> Measured:
        """Measure one."""
        ...

    def analyse(self, plan: Any, sizes: Any, measured: Mapping[str, Measured], seed: int) -> Analysis:
        """What all of them say."""
        ...

    def figures(self, plan: Any, analysis: Analysis) -> dict[str, bytes]:
        """PNGs by name."""
        ...

    def finding(self, plan: Any, analysis: Analysis) -> str:
        """The numbers in plain words, without the verdict."""
        ...
