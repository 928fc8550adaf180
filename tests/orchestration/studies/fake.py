"""A study that needs no network: two trainings that read a table, to see what the framework does with them."""

from collections.abc import Mapping
from typing import Any

from orchestration.documents import MetricValue
from orchestration.plan.programme import Part
from orchestration.studies.study import Analysis, Bench, Cell, Measured, StudySizes, Table

PHASE, NEEDS, WEIGHTS, CODE = 2, (), (), ("orchestration/studies/study.py",)
CAPTIONS = {"bars": "What was measured"}
calls: list[str] = []
failing: set[str] = set()


class Plan(Part):
    """Numbers that are measured."""

    numbers: dict[str, float]


class Sizes(StudySizes):
    """How many clips."""

    clips: int


def cells(plan: Plan, sizes: Sizes) -> list[Cell]:
    """A table, then a cell a number, and one that reads the first of them."""
    first = [Cell("table", {"clips": sizes.clips})]
    numbers = [Cell(name, {"number": number}, ("table",)) for name, number in plan.numbers.items()]
    return [*first, *numbers, Cell("after", {}, (numbers[0].name,))]


def measure(cell: Cell, bench: Bench) -> Measured:
    """The number for every clip."""
    calls.append(cell.name)
    if cell.name in failing:
        raise ValueError("no table is that long")
    (bench.folder / "left").write_text("there")
    number: Any = cell.settings.get("number", 0.0)
    clips = {str(clip): float(number) + 0.001 * clip for clip in range(bench.sizes.clips)}
    return {"standin": True, "by_clip": {"value": clips}, "numbers": {"seen": float(len(bench.measured))}}


def analyse(plan: Plan, sizes: Sizes, measured: Mapping[str, Measured], seed: int) -> Analysis:
    """The mean of each number."""
    values = {}
    for name in plan.numbers:
        clips = list(measured[name]["by_clip"]["value"].values())
        mean = sum(clips) / len(clips)
        values[name] = MetricValue(value=mean, low=min(clips), high=max(clips), n=len(clips), protocol="mean")
    return Analysis(values, (Table("Numbers", ("name", "value"), (("a", "1"),)),), {"names": list(plan.numbers)})


def finding(plan: Plan, analysis: Analysis) -> str:
    """How many there are."""
    return f"{len(analysis.values)} numbers were measured."


def figures(plan: Plan, analysis: Analysis) -> dict[str, bytes]:
    """One that nobody looks at."""
    return {"bars": b"\x89PNG\r\n\x1a\n"}
