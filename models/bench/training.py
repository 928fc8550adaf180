"""Seconds and memory of a step of each phase (§1.4), by the phases themselves on random cached features."""

import gc
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.bench import components
from models.bench.clips import random_data, random_frames
from models.bench.figures import LeftOut, PhaseFigure
from models.bench.setting import Setting
from models.evaluation.latency import GB
from models.fusion.config import FusionConfig
from models.training import phase1, phase2, phase3
from models.training.config import LoopConfig
from models.training.loop import Progress, TrainResult
from models.training.objective import ObjectiveConfig

WARM_UP, STEPS = 4, 8
"""Steps before the mean and in it, in whole rounds of one step with pixels and three without."""
ARMS = ("vlm_only", "dino_only", "hybrid")
"""Of Phase 2; Phase 3 starts from the last."""
THIRD = {"phase3": False, "phase3, gradient checkpointing": True}

Train = Callable[[Path, Progress], TrainResult]


def measure(setting: Setting) -> tuple[list[PhaseFigure], list[LeftOut]]:
    """All phases, each arm of Phase 2, and Phase 3 with and without gradient checkpointing.

    Each trains beside what its worker holds in memory: the VAE, and LPIPS where pixels are compared. What made the
    captions has gone by then.
    """
    left_out: list[LeftOut] = []
    config = _fusion_config(setting)
    data = random_data(setting, config)
    objective, seen = _pixels(setting, left_out)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        first = phase1.Phase1Config(config, loop(setting, setting.batches[0]), objective)
        figure, start = _phase(setting, "phase1", first.loop, out, partial(phase1.run, first, data, **seen))
        figures, make = [figure], _generators(setting, left_out)
        for arm in ARMS:
            second = phase2.Phase2Config(config, arm, loop(setting, setting.batches[1]), objective)
            train = partial(phase2.run, second, data, start=start, **seen)
            figure, trained = _phase(setting, f"phase2 {arm}", second.loop, out, train)
            figures.append(figure)
        for name, checkpointing in THIRD.items():
            generator = make()  # each run adds its adapters to a fresh one
            if generator is None:
                break
            third = phase3.Phase3Config(
                config,
                loop(setting, setting.batches[2]),
                lora_rank=setting.lora_rank,
                gradient_checkpointing=checkpointing,
            )
            train = partial(phase3.run, third, data, generator=generator, start=trained)
            figures.append(_phase(setting, name, third.loop, out, train)[0])
            del generator, train  # before the next is made
    return figures, left_out


def loop(setting: Setting, batch: int) -> LoopConfig:
    """A run just long enough for the mean."""
    steps = WARM_UP + STEPS
    run = {"steps": steps, "checkpoint_every": steps, "batch": batch}
    return LoopConfig(**run, precision=setting.precision, device=setting.device)


def _fusion_config(setting: Setting) -> FusionConfig:
    """The encoders say what they give; they are not kept, as training reads their cached tokens."""
    clip = random_frames(setting)
    return components.fusion_config(setting, components.dinov2(setting)(clip), components.qwen(setting)(clip))


def _pixels(setting: Setting, left_out: list[LeftOut]) -> tuple[ObjectiveConfig, dict[str, Any]]:
    """The objective, and the float32 networks that it looks through; without them it compares latents alone."""
    try:
        import lpips

        from models.bench import decoder
    except ImportError as error:
        left_out.append(LeftOut("the pixel loss of Phases 1 and 2", f"{error}; install diffusers, peft and lpips"))
        return ObjectiveConfig(pixel_every=0), {}
    with warnings.catch_warnings():  # of torchvision, about how the package asks it for the backbone
        warnings.simplefilter("ignore", UserWarning)
        distance = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    distance = distance.to(setting.device).requires_grad_(False).eval()
    return ObjectiveConfig(), {"vae": decoder.vae(setting, torch.float32), "perceptual": distance}


def _generators(setting: Setting, left_out: list[LeftOut]) -> Callable[[], Any]:
    """Makes fresh float32 generators; makes None where diffusers or peft is lacking."""
    try:
        from models.bench import decoder
    except ImportError as error:
        left_out.append(LeftOut("Phase 3", f"{error}; install diffusers and peft"))
        return lambda: None
    return partial(decoder.generator, setting, torch.float32, decoder.vae(setting, torch.float32).geometry)


def _phase(setting: Setting, name: str, config: LoopConfig, folder: Path, train: Train) -> tuple[PhaseFigure, Path]:
    """The figure of one run, and its checkpoint."""
    seconds: list[float] = []

    def note(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
        seconds.append(numbers["seconds"])

    gc.collect()
    if setting.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    result = train(folder / name, note)
    memory = (None, None)
    if setting.on_gpu:
        memory = (torch.cuda.max_memory_allocated() / GB, torch.cuda.max_memory_reserved() / GB)
    mean = float(np.mean(seconds[WARM_UP:]))
    return PhaseFigure(name, mean, STEPS, config.batch, result.trainable_parameters, *memory), result.checkpoint
