"""LTX-Video's transformer with the hybrid's conditioning (design §4.5; HaCohen et al. 2024, arXiv:2501.00103).

*Where* goes in as extra latent tokens at timestep 0, at the places that they condition, as LTX's own condition pipeline
does; *what* goes in by cross-attention through the frozen caption projection. The model predicts the velocity
noise - latents at noise level sigma of (1 - sigma) * latents + sigma * noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel

from models.decoder.vae import LatentGeometry
from models.frozen import Frozen
from models.provenance import folder_sha256, is_standin

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
MAX_CAPTION_TOKENS = 64


def pack(latents: Tensor) -> Tensor:
    """Latents [B, C, T', h, w] to tokens [B, T' * h * w, C] in raster order."""
    return latents.flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Tokens [B, T' * h * w, C] to latents [B, C, T', h, w]."""
    return tokens.transpose(1, 2).unflatten(2, shape)


class CaptionEncoder(Frozen):
    """LTX's T5 text encoder: captions to what its cross-attention reads."""

    def __init__(self, model: T5EncoderModel, tokenizer: PreTrainedTokenizerBase):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.freeze()

    @torch.no_grad()
    def forward(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Embeddings float [B, S, caption_channels] and mask bool [B, S], padded to the longest caption."""
        return embed_captions(self.model, self.tokenizer, captions)


def embed_captions(model: T5EncoderModel, tokenizer, captions: list[str]) -> tuple[Tensor, Tensor]:
    """Embed captions with `model`; differentiable, for whoever trains it."""
    inputs = tokenizer(captions, padding=True, truncation=True, max_length=MAX_CAPTION_TOKENS, return_tensors="pt")
    inputs = inputs.to(model.device)
    states = model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).last_hidden_state
    return states, inputs.attention_mask.bool()


@dataclass(frozen=True)
class VideoGrid:
    """A clip's latent shape and the coordinates that LTX's rotary embedding wants: pixels, and seconds."""

    frames: int
    height: int
    width: int
    geometry: LatentGeometry
    fps: float = 8.0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.frames, self.height, self.width

    @property
    def tokens(self) -> int:
        return self.frames * self.height * self.width

    def coordinates(self) -> Tensor:
        """float [3, T' * h * w]: seconds, y and x in pixels; a causal VAE's first latent frame is one frame."""
        axes = (torch.arange(n, dtype=torch.float32) for n in self.shape)
        t, y, x = torch.meshgrid(*axes, indexing="ij")
        seconds = (t * self.geometry.temporal + 1 - self.geometry.temporal).clamp(min=0) / self.fps
        return torch.stack([seconds, y * self.geometry.spatial, x * self.geometry.spatial]).flatten(1)


def predict_velocity(
    transformer: LTXVideoTransformer3DModel,
    coordinates: Tensor,
    noisy: Tensor,
    sigma: Tensor,
    semantic: tuple[Tensor, Tensor],
    condition: Tensor | None = None,
    cells: Tensor | None = None,
) -> Tensor:
    """Velocity [B, L, C] of `noisy` tokens [B, L, C] at `sigma` [B] in 0..1.

    Args:
        coordinates: [3, L] of `VideoGrid.coordinates`.
        semantic: caption-space tokens [B, S, D] and their mask [B, S].
        condition: clean latent tokens [B, K, C], or None.
        cells: the K places in 0..L-1 that `condition` speaks of; None means all L in order.
    """
    batch, length, _ = noisy.shape
    timestep = (sigma * 1000).view(-1, 1).expand(-1, length)
    hidden, places = noisy, coordinates
    if condition is not None:
        at = coordinates if cells is None else coordinates[:, cells]
        hidden = torch.cat([condition.to(noisy), noisy], dim=1)
        places = torch.cat([at, coordinates], dim=1)
        timestep = torch.cat([timestep.new_zeros(batch, condition.shape[1]), timestep], dim=1)
    tokens, mask = semantic
    velocity = transformer(
        hidden_states=hidden,
        encoder_hidden_states=tokens.to(hidden),
        timestep=timestep,
        encoder_attention_mask=mask.to(hidden.dtype),
        video_coords=places.to(hidden.device).expand(batch, -1, -1),
        return_dict=False,
    )[0]
    return velocity[:, -length:]


class LTXGenerator(nn.Module):
    """The frozen transformer, to which Phase 3 adds LoRA; conditioned by the fusion module's tokens."""

    coordinates: Tensor

    def __init__(
        self, transformer, captions: CaptionEncoder, scheduler, grid: VideoGrid, *, weights_sha256: str, standin: bool
    ):
        super().__init__()
        self.transformer, self.captions, self.scheduler, self.grid = transformer, captions, scheduler, grid
        self.weights_sha256, self.standin = weights_sha256, standin
        self.caption_channels = transformer.config.caption_channels
        self.transformer.requires_grad_(False).eval()
        self.register_buffer("coordinates", grid.coordinates(), persistent=False)

    @classmethod
    def load(cls, folder: Path, grid: VideoGrid) -> Self:
        """Load transformer/, text_encoder/, tokenizer/ and scheduler/ below `folder`, as LTX's checkpoints lay them."""
        transformer = LTXVideoTransformer3DModel.from_pretrained(
            folder / "transformer", use_safetensors=True, torch_dtype=torch.float32
        )
        text = T5EncoderModel.from_pretrained(folder / "text_encoder", use_safetensors=True, dtype=torch.float32)
        captions = CaptionEncoder(text, AutoTokenizer.from_pretrained(folder / "tokenizer"))
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
        return cls(
            transformer,
            captions,
            scheduler,
            grid,
            weights_sha256=folder_sha256(folder),
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

    def velocity(
        self,
        noisy: Tensor,
        sigma: Tensor,
        condition_latents: Tensor | None,
        semantic_tokens: Tensor,
        semantic_mask: Tensor | None = None,
        cells: Tensor | None = None,
    ) -> Tensor:
        """`predict_velocity` on this clip's grid; no mask means that every semantic token counts."""
        if semantic_mask is None:
            semantic_mask = torch.ones(semantic_tokens.shape[:2], dtype=torch.bool, device=semantic_tokens.device)
        semantic = (semantic_tokens, semantic_mask)
        return predict_velocity(self.transformer, self.coordinates, noisy, sigma, semantic, condition_latents, cells)

    @torch.no_grad()
    def sample(
        self,
        condition_latents: Tensor | None,
        semantic_tokens: Tensor,
        semantic_mask: Tensor | None = None,
        *,
        steps: int,
        generator: torch.Generator,
        cells: Tensor | None = None,
    ) -> Tensor:
        """Latents [B, C, T', h, w] drawn in `steps` Euler steps from noise of `generator`, without guidance."""
        batch, channels = len(semantic_tokens), self.transformer.config.in_channels
        latents = torch.randn(batch, self.grid.tokens, channels, generator=generator, device=generator.device)
        latents = latents.to(semantic_tokens)
        sigmas = torch.linspace(1.0, 1 / steps, steps).tolist()
        self.scheduler.set_timesteps(sigmas=sigmas, mu=self.shift, device=latents.device)
        for sigma, timestep in zip(self.scheduler.sigmas[:-1], self.scheduler.timesteps, strict=True):
            velocity = self.velocity(
                latents, sigma.expand(batch), condition_latents, semantic_tokens, semantic_mask, cells
            )
            latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        return unpack(latents, self.grid.shape)

    def add_lora(self, rank: int) -> None:
        """Add trainable low-rank adapters to the attention projections (Hu et al. 2021)."""
        self.transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LORA_TARGETS)))

    def lora_parameters(self) -> Iterator[nn.Parameter]:
        """The adapters' parameters."""
        return (p for name, p in self.transformer.named_parameters() if "lora_" in name)

    def lora_state(self) -> dict[str, Tensor]:
        """The adapters' tensors under diffusers' names."""
        state = get_peft_model_state_dict(self.transformer)
        return {f"transformer.{name}": tensor.detach().contiguous() for name, tensor in state.items()}

    def load_lora_state(self, state: dict[str, Tensor]) -> None:
        """Take adapters saved by `lora_state`; `add_lora` comes first.

        Raises:
            ValueError: the tensors are not those of these adapters.
        """
        bare = {name.removeprefix("transformer."): tensor for name, tensor in state.items()}
        wanted, given = set(get_peft_model_state_dict(self.transformer)), set(bare)
        if wanted != given:
            raise ValueError(
                f"LoRA: the file differs from the model in {sorted(wanted ^ given)[:4]}; use the rank it has"
            )
        set_peft_model_state_dict(self.transformer, bare)
