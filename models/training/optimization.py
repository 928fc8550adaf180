"""The optimizer of every phase: AdamW in groups, warm-up and cosine, averaged weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

from models.training.config import LoopConfig


def optimizer_of(
    parameters: Mapping[str, Parameter], rates: Mapping[str, float], config: LoopConfig
) -> torch.optim.AdamW:
    """AdamW over one group per (rate factor, decayed or not); the group keeps its factor as `factor`."""
    groups: dict[tuple[float, bool], list[Parameter]] = {}
    for name, parameter in parameters.items():
        factor = next((rate for prefix, rate in rates.items() if name.startswith(prefix)), 1.0)
        matrix = parameter.ndim > 1 and name.endswith("weight")
        groups.setdefault((factor, matrix), []).append(parameter)
    described = [
        {"params": group, "factor": factor, "weight_decay": config.weight_decay if matrix else 0.0}
        for (factor, matrix), group in groups.items()
    ]
    return torch.optim.AdamW(described, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def rate_at(step: int, config: LoopConfig) -> float:
    """Learning rate of a step, counted from 0: linear warm-up, then a cosine down to the final rate."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * cosine)


class Average:
    """Exponential average of the parameters; its decay grows with the steps, so the first are soon forgotten."""

    def __init__(self, parameters: Mapping[str, Parameter], decay: float) -> None:
        self.decay = decay
        self._live = list(parameters.values()) if decay else []
        self.tensors = {name: p.detach().clone() for name, p in parameters.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        if self._live:
            weight = 1 - min(self.decay, (1 + step) / (10 + step))
            for mean, live in zip(self.tensors.values(), self._live, strict=True):
                mean.lerp_(live, weight)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat tensors; a parameter that never had a gradient has none."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, entry in state.items() for key, value in entry.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
