"""The LTX transformer stand-in: `LTXVideoTransformer3DModel` and a small T5 text encoder, trained together.

Flow matching on the VAE stand-in's latents of generated clips, conditioned as LTX is: by caption, and by clean or
noised latent tokens of the first frame or of all frames.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from models.decoder.captions import embed_captions
from models.decoder.conditions import Conditions
from models.decoder.grid import VideoGrid
from models.decoder.ltx import predict_velocity
from models.standins import tokenizer as words

Progress = Callable[[str, int, int, dict[str, float]], None]
CAPTION_CHANNELS = 64


@dataclass(frozen=True)
class LtxRecipe:
    """Shares of the three ways of conditioning, and the training's length."""

    steps: int = 700
    batch: int = 8
    learning_rate: float = 1.2e-3
    first_frame_share: float = 0.3
    all_frames_share: float = 0.45
    caption_dropout: float = 0.1
    shift: float = 0.75
    seed: int = 0


def build(channels: int) -> tuple[LTXVideoTransformer3DModel, T5EncoderModel]:
    """128 wide, 5 layers, 4 heads; the text encoder is 64 wide with one layer."""
    transformer = LTXVideoTransformer3DModel(
        in_channels=channels,
        out_channels=channels,
        num_attention_heads=4,
        attention_head_dim=32,
        cross_attention_dim=128,
        num_layers=5,
        caption_channels=CAPTION_CHANNELS,
    )
    text = T5EncoderModel(
        T5Config(
            vocab_size=len(words.build()),
            d_model=CAPTION_CHANNELS,
            d_kv=32,
            d_ff=128,
            num_layers=1,
            num_heads=2,
            dropout_rate=0.0,
        )
    )
    return transformer, text


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """LTX's own schedule."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        base_shift=0.95,
        max_shift=2.05,
        shift_terminal=0.1,
    )


def shifted_logit_normal(count: int, shift: float, generator: torch.Generator | None = None) -> Tensor:
    """Noise levels in 0..1 (Esser et al. 2024, arXiv:2403.03206): the sigmoid of a unit normal about `shift`."""
    return torch.sigmoid(torch.randn(count, generator=generator) + shift)


def train(latents: Tensor, captions: list[str], grid: VideoGrid, recipe: LtxRecipe, progress: Progress):
    """Train on normalised latents [N, C, T', h, w]; gives (transformer, text encoder, tokenizer)."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    tokenizer = words.build()
    transformer, text = build(latents.shape[1])
    parameters = [*transformer.train().parameters(), *text.train().parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.02)
    coordinates = grid.coordinates()
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            share = step / recipe.steps
            group["lr"] = (
                recipe.learning_rate * min(1, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
            )
        rows = rng.integers(0, len(latents), recipe.batch)
        clean = grid.pack(latents[torch.from_numpy(rows)])
        chosen = ["" if rng.random() < recipe.caption_dropout else captions[row] for row in rows]
        semantic = embed_captions(text, tokenizer, [f"{caption} {words.END}" for caption in chosen])
        condition, cells = _condition(clean, grid, recipe, rng)
        sigma, noise = shifted_logit_normal(len(rows), recipe.shift), torch.randn_like(clean)
        noisy = torch.lerp(clean, noise, sigma.view(-1, 1, 1))
        velocity = predict_velocity(transformer, coordinates, noisy, sigma, Conditions(*semantic, condition, cells))
        loss = nn.functional.mse_loss(velocity, noise - clean)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        way = "caption" if condition is None else "all" if cells is None else "first"
        progress("ltx", step + 1, recipe.steps, {f"loss_{way}": loss.item()})
    return transformer.eval(), text.eval(), tokenizer


def _condition(clean: Tensor, grid: VideoGrid, recipe: LtxRecipe, rng: np.random.Generator):
    """Condition tokens and their cells: the first frame as it is, or all frames under noise of a random level."""
    way = rng.random()
    first = grid.height * grid.width
    if way < recipe.first_frame_share:
        return clean[:, :first], torch.arange(first)
    if way < recipe.first_frame_share + recipe.all_frames_share:
        level = torch.from_numpy(rng.random(len(clean), dtype=np.float32)).view(-1, 1, 1) * 0.7
        return clean + level * torch.randn_like(clean), None
    return None, None
