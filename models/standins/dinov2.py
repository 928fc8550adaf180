"""The DINOv2 stand-in: `Dinov2Model` with 8-pixel patches, trained to fill in masked patches of generated frames."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from models.encoders.dinov2 import normalise

Progress = Callable[[str, int, int, dict[str, float]], None]
PATCH = 8


@dataclass(frozen=True)
class Dinov2Recipe:
    """Masked-patch training. Visible patches count too, so that tokens keep their own pixels."""

    steps: int = 5000
    batch: int = 24
    learning_rate: float = 1e-3
    mask_share: float = 0.4
    visible_weight: float = 1.0
    seed: int = 0


def build() -> Dinov2Model:
    """192 wide, 6 layers, 8x8 patches on 64x64 frames: 64 tokens a frame."""
    config = Dinov2Config(
        hidden_size=192,
        num_hidden_layers=6,
        num_attention_heads=3,
        mlp_ratio=3,
        image_size=64,
        patch_size=PATCH,
        use_mask_token=True,
        layerscale_value=1.0,
        initializer_range=0.04,
    )
    return Dinov2Model(config)


def train(clips: Tensor, recipe: Dinov2Recipe, progress: Progress) -> Dinov2Model:
    """Train on uint8 [N, T, H, W, 3]."""
    torch.manual_seed(recipe.seed)
    model = build().train()
    patch = PATCH
    head = nn.Linear(model.config.hidden_size, 3 * patch**2)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    frames = clips.flatten(0, 1)
    for step in range(recipe.steps):
        share = step / recipe.steps
        for group in optimizer.param_groups:
            group["lr"] = (
                recipe.learning_rate * min(1, (step + 1) / 40) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
            )
        pixels = normalise(frames[torch.randint(len(frames), (recipe.batch,))])
        target = nn.functional.unfold(pixels, patch, stride=patch).transpose(1, 2)
        masked = torch.rand(target.shape[:2]) < recipe.mask_share
        states = model(pixels, bool_masked_pos=masked).last_hidden_state[:, 1:]
        error = (head(states) - target).square().mean(dim=-1)
        hidden, visible = error[masked].mean(), error[~masked].mean()
        loss = hidden + recipe.visible_weight * visible
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        progress("dinov2", step + 1, recipe.steps, {"masked": hidden.item(), "visible": visible.item()})
    return model.eval()
