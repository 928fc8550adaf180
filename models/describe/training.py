"""Memory of a training step of each phase, traced by the modules, losses and optimizer that the phases train with.

On the device lie what the phase's worker holds (fusion, VAE, LPIPS; in Phase 3 LTX's transformer in LPIPS's place; all
float32), the optimizer's two moments and the averaged weights. On top comes what a step needs at its peak: gradients,
activations, the batch and whatever passes. What made the captions was there before and has gone.
"""

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.decoder.conditions import by_route
from models.decoder.grid import VideoGrid
from models.decoder.ltx import LTXGenerator
from models.decoder.vae import LTXVae
from models.describe.networks import Network
from models.describe.peak import PeakMemory, placed, traced
from models.describe.plan import Plan
from models.fusion.base import Fusion
from models.fusion.build import build
from models.fusion.conditioning import cells_of
from models.standins.ltx import build_scheduler
from models.training.config import LoopConfig
from models.training.data import Batch
from models.training.flow import mix
from models.training.generator import LORA, NULL
from models.training.losses import caption, latent_huber, velocity
from models.training.objective import ObjectiveConfig, Reconstruction
from models.training.optimization import Average, optimizer_of
from models.training.recipe import FUSION

NO_WEIGHTS: dict[str, Any] = {"weights_sha256": "", "standin": False}


@dataclass(frozen=True)
class Memory:
    """Bytes on the device at the peak of a step."""

    weights: int
    """Frozen and trained."""
    optimizer: int
    average: int
    step: int
    """Gradients, activations, the batch and temporaries."""
    trained: Mapping[str, int]
    """Parameters that are trained, by part: fusion, lora, null."""

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.average + self.step


def phases(plan: Plan, networks: Mapping[str, Network]) -> dict[int, Memory]:
    """Of each phase that the fusion can train in: without caption tokens, Phase 1 alone."""
    found = {1: _reconstruction(plan, networks, plan.batches[0], semantic=False)}
    if plan.fusion.semantic_queries:
        found[2] = _reconstruction(plan, networks, plan.batches[1], semantic=True)
        found[3] = _generation(plan, networks)
    return found


def generator_on_meta(plan: Plan, networks: Mapping[str, Network]) -> LTXGenerator:
    """A copy of LTX's transformer with Phase 3's adapters, on the grid of the plan's clips."""
    geometry = vae_on_meta(networks).geometry
    grid = VideoGrid(*geometry.shape(plan.frames, plan.size, plan.size), geometry)
    with torch.device("meta"):
        transformer = deepcopy(networks["transformer"].module)
        made = LTXGenerator(transformer, _SCHEDULER, grid, **NO_WEIGHTS)
        made.add_lora(plan.lora_rank)
    if plan.gradient_checkpointing:
        made.enable_gradient_checkpointing()
    return made


def lora_parameters(plan: Plan, networks: Mapping[str, Network]) -> int:
    """How many parameters Phase 3's adapters have."""
    return sum(parameter.numel() for parameter in _named("", generator_on_meta(plan, networks)).values())


def vae_on_meta(networks: Mapping[str, Network]) -> LTXVae:
    """A copy of the VAE."""
    return LTXVae(deepcopy(networks["vae"].module), **NO_WEIGHTS)


def fusion_on_meta(plan: Plan) -> Fusion:
    """The plan's fusion."""
    with torch.device("meta"):
        return build(plan.fusion)


_SCHEDULER = build_scheduler()
"""Made outside of any trace: it reads its own numbers."""


def _reconstruction(plan: Plan, networks: Mapping[str, Network], clips: int, *, semantic: bool) -> Memory:
    """Phases 1 and 2, in a step that compares pixels."""
    config = ObjectiveConfig()
    fusion, vae, distance = fusion_on_meta(plan), vae_on_meta(networks), _perceptual()
    with traced() as peak:
        for module in (fusion, vae, distance):
            placed(module, torch.float32)
        objective = Reconstruction(config, vae, distance)

        def loss() -> Tensor:
            batch = plan.batch(clips, config.pixel_clips)
            conditioning = fusion(batch.spatial, batch.semantic if semantic else None)
            total = objective(conditioning, batch)[0]
            return total + caption(conditioning.semantic_tokens, _captions(batch)) if semantic else total

        return _of_step(peak, _named(FUSION, fusion), loss, plan)


def _generation(plan: Plan, networks: Mapping[str, Network]) -> Memory:
    """Phase 3."""
    fusion, generator, vae = fusion_on_meta(plan), generator_on_meta(plan, networks), vae_on_meta(networks)
    with traced() as peak:
        for module in (fusion, generator, vae):
            placed(module, torch.float32)
        null = nn.Parameter(torch.zeros(plan.fusion.semantic_queries, plan.fusion.caption_channels))

        def loss() -> Tensor:
            batch = plan.batch(plan.batches[2], 0)
            conditioning = fusion(batch.spatial, batch.semantic)
            said = torch.where(torch.zeros(plan.batches[2], 1, 1).bool(), null, conditioning.semantic_tokens.float())
            true, sigma = generator.pack(batch.latents), torch.rand(plan.batches[2])
            noisy, target = mix(true, torch.randn(true.shape), sigma)
            conditions = by_route(plan.routes, generator.pack(conditioning.latents()), said, null)
            flow = velocity(generator.velocity(noisy, sigma, conditions), target)
            return flow.mean() + latent_huber(conditioning.latent_tokens, cells_of(batch.latents))

        trained = {**_named(FUSION, fusion), **_named(LORA, generator), NULL: null}
        return _of_step(peak, trained, loss, plan)


def _of_step(peak: PeakMemory, trained: Mapping[str, nn.Parameter], loss: Callable[[], Tensor], plan: Plan) -> Memory:
    """One step as the loop makes it: forward, backward, clip, step, average, forget the gradients."""
    weights, loop = peak.now, LoopConfig(precision=plan.precision)
    optimizer, average = optimizer_of(trained, {}, loop), Average(trained, loop.ema)
    for parameter in trained.values():  # a first step of no gradient makes the moments, which every later step has
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    peak.peak = peak.now
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bf16"):
        total = loss()
    total.backward()
    idle = {name for name, parameter in trained.items() if parameter.grad is None}
    torch.nn.utils.clip_grad_norm_(trained.values(), loop.clip)
    optimizer.step()
    average.update(0)
    optimizer.zero_grad(set_to_none=True)
    size = {name: sum(value.nbytes for value in optimizer.state[p].values()) for name, p in trained.items()}
    never = sum(size[name] for name in idle)  # what no gradient reaches has no moments: Phase 1's semantic stream
    moments = sum(size.values())
    averaged = sum(value.nbytes for value in average.tensors.values())
    parts: dict[str, int] = {}
    for name, parameter in trained.items():
        part = name.split(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return Memory(weights, moments - never, averaged, peak.peak - weights - moments - averaged, parts)


def _named(prefix: str, module: nn.Module) -> dict[str, nn.Parameter]:
    return {prefix + name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def _captions(batch: Batch) -> Tensor:
    assert batch.captions is not None
    return batch.captions


def _perceptual() -> nn.Module:
    """LPIPS through AlexNet, of random weights."""
    import lpips

    with warnings.catch_warnings(), torch.device("meta"):  # of torchvision, about how the package asks it for AlexNet
        warnings.simplefilter("ignore", UserWarning)
        made = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False)
    return made.requires_grad_(False).eval()
