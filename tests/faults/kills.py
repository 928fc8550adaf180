"""Figures: of many evaluations, each with a kill in its way, how many were decided and launched, and how often.

`make fault-figures`, or: python -m tests.faults.kills --kills 200. Ctrl-C stops it and counts what was done.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

AFTER = 4
"""Iterations after a kill: the tick that was cut short, the decision, the launch, and one that must do nothing."""


@dataclass
class Figures:
    """What became of `kills` evaluations; `decisions` and `launches` count those made, lost and doubled."""

    kills: int = 0
    decisions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("made", "lost", "doubled"), 0))
    launches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("made", "lost", "doubled"), 0))
    points: dict[str, int] = field(default_factory=dict)
    record: str = "whole"
    seconds: float = 0.0


def run(root: Path, kills: int, tell=lambda figures: None) -> Figures:
    """Kill the daemon so many times, at each place in turn, and count over the record at the end."""
    os.environ["FORESIGHT_HOME"] = str(root)
    from orchestration.documents import read_evaluation
    from orchestration.record.decisions import DecisionLog
    from orchestration.record.store import Store
    from tests.faults.daemon import POINTS, Machine, document_path

    figures, began, machine = Figures(), time.monotonic(), Machine(root)
    evaluations: list[str] = []
    try:
        for number in range(kills):
            sensor, point = POINTS[number % len(POINTS)]
            if not machine.evaluate_and_tick(f"run-{number}", sensor, point):
                raise AssertionError(f"{sensor} never came to {point}")
            machine.tick(AFTER)
            evaluations.append(read_evaluation(document_path(machine.home)).sha256)
            name = f"{sensor.partition('__')[2]} {point}"
            figures.points[name] = figures.points.get(name, 0) + 1
            figures.kills += 1
            tell(figures)
    except KeyboardInterrupt:
        print(f"stopped after {figures.kills} kills; these are counted", file=sys.stderr)
    log = DecisionLog(Store(machine.home.database))
    made = [decision for _, decision in log.decisions(1)]
    decided = Counter(str(one.pins["evaluation_sha256"]) for one in made)
    figures.decisions = _counted([decided[sha256] for sha256 in evaluations])
    first = {str(one.pins["evaluation_sha256"]): one.sha256 for one in reversed(made)}
    launched = Counter(_lines(machine.home.root / "launched"))
    figures.launches = _counted([launched[f"launch/moving_shapes/2/{first.get(sha256)}"] for sha256 in evaluations])
    figures.record = log.verify() or "whole"
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def _counted(times: list[int]) -> dict[str, int]:
    return {
        "made": sum(1 for count in times if count),
        "lost": times.count(0),
        "doubled": sum(count - 1 for count in times if count > 1),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def main() -> None:
    """Print the figures, as a table or as JSON; exit 1 when one was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()

    def tell(figures: Figures) -> None:
        if figures.kills % 20 == 0:
            print(f"{figures.kills} of {given.kills} kills", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder) / "home", given.kills, tell)
    if given.json:
        print(json.dumps(asdict(figures), indent=1))
    else:
        print(f"{figures.kills} kills in {figures.seconds:.0f} s; the record is {figures.record}")
        for what in ("decisions", "launches"):
            counted = getattr(figures, what)
            print(f"{what:<10} made {counted['made']}, lost {counted['lost']}, doubled {counted['doubled']}")
        for point, count in figures.points.items():
            print(f"  {count:>4} x {point}")
    wrong = sum(getattr(figures, what)[how] for what in ("decisions", "launches") for how in ("lost", "doubled"))
    raise SystemExit(1 if wrong or figures.record != "whole" else 0)


if __name__ == "__main__":
    main()
