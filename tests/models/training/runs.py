"""The three phases on the toy data, with the repository's own decoder at toy size."""

from pathlib import Path

from models.training import phase1, phase2, phase3
from models.training.config import LoopConfig
from models.training.loop import Kept, Left, Progress, TrainResult, silent, unkept, unlimited
from models.training.objective import ObjectiveConfig
from models.training.parallel import ALONE, Workers
from tests.models.decoder import small
from tests.models.training import toy

PHASES = ("phase1", "phase2", "phase3")


def train(
    phase: str,
    folder: Path,
    loop: LoopConfig,
    progress: Progress = silent,
    *,
    start: Path | None = None,
    pixel_every: int = 0,
    left: Left = unlimited,
    kept: Kept = unkept,
    workers: Workers = ALONE,
    **choices,
) -> TrainResult:
    """Train a phase in `folder`, Phase 3 from the checkpoint `start`; the others may compare pixels now and then."""
    given = {"left": left, "kept": kept, "workers": workers}
    if phase == "phase3":
        assert start is not None
        config = phase3.Phase3Config(toy.FUSION, loop, lora_rank=2, **choices)
        return phase3.run(config, toy.data(), folder, progress, generator=small.toy_generator(), start=start, **given)
    choices["objective"] = ObjectiveConfig(pixel_every=pixel_every)
    given |= {"vae": small.vae(toy.CHANNELS, patch=1, scalings=1), "perceptual": toy.distance}
    if phase == "phase1":
        config = phase1.Phase1Config(toy.FUSION, loop, **choices)
        return phase1.run(config, toy.data(), folder, progress, **given)
    config = phase2.Phase2Config(toy.FUSION, loop=loop, **choices)
    return phase2.run(config, toy.data(), folder, progress, **given)
