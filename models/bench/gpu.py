"""`make gpu-bench`: everything that needs a GPU in one run, as one JSON and one figure.

    python -m models.bench.gpu --out DIR

Runs with models/ alone. What cannot be measured on this machine is listed with the reason, and is no error.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from models.bench import inference, training
from models.bench.figures import CallFigure, Goal, LeftOut, PhaseFigure, memory_goals, run_goal, time_goals
from models.bench.setting import BenchError, Setting, setting
from models.bench.words import lines, verdicts
from models.evaluation.latency import GB

SCHEMA = "foresight.gpu_bench/1"
PACKAGES = ("torch", "transformers", "diffusers", "peft", "lpips")


@dataclass(frozen=True)
class Machine:
    """Where the figures were measured."""

    system: str
    cpus: int | None
    gpu: str | None
    gpu_memory_gb: float | None
    cuda: str | None
    packages: dict[str, str | None]
    """Version by name; None where it is not installed."""


@dataclass(frozen=True)
class GpuBench:
    """One run."""

    schema: str
    started: str
    seconds: float
    machine: Machine
    setting: dict[str, Any]
    told: str
    """The setting in words."""
    inference: list[CallFigure]
    training: list[PhaseFigure]
    left_out: list[LeftOut]
    goals: list[Goal]


def silent(line: str) -> None:
    """Tell nobody."""


def machine() -> Machine:
    """This machine."""
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return Machine(
        system=platform.platform(),
        cpus=os.cpu_count(),
        gpu=None if gpu is None else gpu.name,
        gpu_memory_gb=None if gpu is None else gpu.total_memory / GB,
        cuda=torch.version.cuda,
        packages={name: _version(name) for name in PACKAGES},
    )


def measure(at: Setting, tell: Callable[[str], None] = silent) -> GpuBench:
    """Inference first, and its networks freed before the phases train; `tell` hears each half when it is done."""
    started, began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
    calls, not_called = inference.measure(at)
    tell("\n".join(lines(calls, [])))
    phases, not_trained = training.measure(at)
    tell("\n".join(lines([], phases)))
    seconds, judged = time.perf_counter() - began, at.size == "true"
    goals = [
        *time_goals(calls, judged=judged),
        *memory_goals(calls, phases, judged=judged),
        run_goal(seconds, judged=judged),
    ]
    left_out = [*not_called, *not_trained]
    return GpuBench(SCHEMA, started, seconds, machine(), asdict(at), at.told, calls, phases, left_out, goals)


def write(bench: GpuBench, out: Path) -> tuple[Path, Path]:
    """gpu_bench.json and gpu_bench.png in `out`, which is made when absent."""
    from models.bench.figure import draw

    out.mkdir(parents=True, exist_ok=True)
    document, picture = out / "gpu_bench.json", out / "gpu_bench.png"
    document.write_text(json.dumps(asdict(bench), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    judged = bench.setting["size"] == "true"
    picture.write_bytes(draw(bench.told, bench.machine.gpu, bench.inference, bench.training, judged=judged))
    return document, picture


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m models.bench.gpu", description="Times and memory on this GPU.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the JSON and the figure")
    parser.add_argument("--size", choices=("true", "small"), help="true where there is a GPU, else small")
    given = parser.parse_args()
    try:
        at = setting(given.size)
    except BenchError as error:
        parser.error(str(error))
    print(at.told, flush=True)
    bench = measure(at, partial(print, flush=True))
    print("\n".join(verdicts(bench.goals, bench.left_out)))
    print(f"{bench.seconds:.0f} s; wrote", *write(bench, given.out))


if __name__ == "__main__":
    main()
