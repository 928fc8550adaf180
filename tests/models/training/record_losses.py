"""Fixed-seed losses of the three phases, on the toy data.

Record them anew, on purpose, where a change is meant to change them:

    .venv/bin/python -m tests.models.training.record_losses
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from tests.models.training import runs, toy

RECORDED = Path(__file__).with_name("losses.json")
# Short and slow: rounding, which differs between processors, grows with each step and with the rate. The weights' decay
# is such that so few steps show it.
LOOP = toy.loop(steps=10, accumulation=2, learning_rate=1e-3, clip=0.5, weight_decay=0.1)


def measure() -> dict[str, list[float]]:
    """Loss of every step by phase; Phase 3 starts from Phase 2's weights, the others from the seed's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums are split among threads, which rounds them differently
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _train(Path(folder))
    finally:
        torch.set_num_threads(threads)


def _train(folder: Path) -> dict[str, list[float]]:
    first, second = (runs.train(phase, folder / phase, LOOP, pixel_every=3) for phase in ("phase1", "phase2"))
    faster = replace(LOOP, learning_rate=5e-3)  # adapters start at zero
    third = runs.train("phase3", folder / "phase3", faster, start=second.checkpoint)
    return {"phase1": first.losses, "phase2": second.losses, "phase3": third.losses}


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(measure(), indent=1) + "\n")
