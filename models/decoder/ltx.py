"""LTX-Video's transformer with the hybrid's conditioning (design §4.5; HaCohen et al. 2024, arXiv:2501.00103).

*Where* goes in as extra latent tokens at timestep 0, at the places that they condition, as LTX's own condition pipeline
does; *what* goes in by cross-attention through the frozen caption projection. The model predicts the velocity
noise - latents at noise level sigma of (1 - sigma) * latents + sigma * noise.

All sizes are those of the checkpoint's configurations: LTX 2B, 13B and the stand-in differ in all of them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift
from torch import Tensor, nn

from models.decoder import lora
from models.decoder.conditions import Conditions
from models.decoder.grid import GridError, VideoGrid
from models.pretrained import LTX_PARTS
from models.provenance import folder_sha256, is_standin


def predict_velocity(
    transformer: LTXVideoTransformer3DModel, coordinates: Tensor, noisy: Tensor, sigma: Tensor, conditions: Conditions
) -> Tensor:
    """Velocity [B, L, C] of `noisy` tokens [B, L, C] at `sigma` [B] in 0..1; `coordinates` [3, L] of `VideoGrid`."""
    batch, length, _ = noisy.shape
    timestep = (sigma * 1000).view(-1, 1).expand(-1, length)
    hidden, places = noisy, coordinates
    if conditions.latents is not None:
        at = coordinates if conditions.cells is None else coordinates[:, conditions.cells]
        hidden = torch.cat([conditions.latents.to(noisy), noisy], dim=1)
        places = torch.cat([at, coordinates], dim=1)
        timestep = torch.cat([timestep.new_zeros(batch, conditions.latents.shape[1]), timestep], dim=1)
    mask = conditions.mask
    if mask is None:
        mask = torch.ones(conditions.semantic.shape[:2], dtype=torch.bool, device=conditions.semantic.device)
    velocity = transformer(
        hidden_states=hidden,
        encoder_hidden_states=conditions.semantic.to(hidden),
        timestep=timestep,
        encoder_attention_mask=mask.to(hidden.dtype),
        video_coords=places.to(hidden.device).expand(batch, -1, -1),
        return_dict=False,
    )[0]
    return velocity[:, -length:]


class LTXGenerator(nn.Module):
    """The frozen transformer, to which Phase 3 adds LoRA, on the grid of one size of clips."""

    coordinates: Tensor

    def __init__(self, transformer, scheduler, grid: VideoGrid, *, weights_sha256: str, standin: bool):
        """Put the modules on `grid`, cut into the transformer's patches.

        Raises:
            GridError: the transformer takes other tokens than the VAE's latents make.
        """
        super().__init__()
        sizes = transformer.config
        self.transformer, self.scheduler = transformer, scheduler
        self.grid = replace(grid, patch=(sizes.patch_size_t, sizes.patch_size, sizes.patch_size))
        if sizes.in_channels != self.grid.channels:
            raise GridError(
                f"ltx: the transformer takes tokens of {sizes.in_channels} channels, the VAE's latents make "
                f"{self.grid.channels}; use the transformer and the VAE of one checkpoint"
            )
        self.weights_sha256, self.standin = weights_sha256, standin
        self.transformer.requires_grad_(False).eval()
        self.register_buffer("coordinates", self.grid.coordinates(), persistent=False)

    @classmethod
    def load(cls, folder: Path, grid: VideoGrid) -> Self:
        """Load transformer and scheduler below `folder`, as LTX's checkpoints lay them.

        Its text encoder is a network of its own, larger than the transformer: `CaptionEncoder.load`. The hash is that
        of all `LTX_PARTS`.
        """
        transformer = LTXVideoTransformer3DModel.from_pretrained(
            folder / "transformer", use_safetensors=True, torch_dtype=torch.float32
        )
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
        return cls(
            transformer,
            scheduler,
            grid,
            weights_sha256=folder_sha256(folder, LTX_PARTS),
            standin=is_standin(folder),
        )

    @property
    def shift(self) -> float:
        """mu of the timestep shift at this clip's token count, as LTX's pipelines compute it."""
        config = self.scheduler.config
        return calculate_shift(
            self.grid.tokens,
            config.base_image_seq_len,
            config.max_image_seq_len,
            config.base_shift,
            config.max_shift,
        )

    def pack(self, latents: Tensor) -> Tensor:
        """Latents [B, C, T', h, w] as the transformer's tokens [B, L, channels]."""
        return self.grid.pack(latents)

    def velocity(self, noisy: Tensor, sigma: Tensor, conditions: Conditions) -> Tensor:
        """`predict_velocity` on this clip's grid."""
        return predict_velocity(self.transformer, self.coordinates, noisy, sigma, conditions)

    def add_lora(self, rank: int) -> None:
        """Add trainable adapters."""
        lora.add_lora(self.transformer, rank)

    def save_lora(self, folder: Path) -> None:
        """Write the adapters in diffusers' format."""
        lora.save_lora(self.transformer, folder)

    def enable_gradient_checkpointing(self) -> None:
        """Keep only each block's input for the backward pass and compute the rest again: less memory, more time."""
        self.transformer.enable_gradient_checkpointing()
