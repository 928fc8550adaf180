"""The segmenter of Spatial IoU (§6): frozen before any training, trained on true frames only, never on generated ones.

The laptop's is a stand-in: a small SegFormer (transformers' own class) that tells shapes from ground in generated
clips. Its first stage keeps every second pixel, so 64x64 frames give 32x32 logits, scaled up to the frames' size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from models.evaluation.inputs import check_clips, chunks, distinct
from models.evaluation.lpips import to_signed
from models.frozen import Frozen
from models.provenance import folder_sha256, is_standin

Progress = Callable[[str, int, int, dict[str, float]], None]


class Segmenter(Frozen):
    """Object or ground for each pixel; label 0 is ground, every other label an object."""

    def __init__(self, model: SegformerForSemanticSegmentation, weights_sha256: str, standin: bool):
        super().__init__()
        self.model, self.weights_sha256, self.standin = model, weights_sha256, standin
        self.freeze()

    @classmethod
    def load(cls, folder: Path) -> "Segmenter":
        """From a folder written by `save_pretrained`; safetensors only."""
        digest = folder_sha256(folder)
        model = SegformerForSemanticSegmentation.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=torch.float32
        )
        return cls(model, digest, is_standin(folder))

    @torch.no_grad()
    def masks(self, frames: np.ndarray) -> np.ndarray:
        """Objects in clips uint8 [N, T, H, W, 3] -> bool [N, T, H, W]."""
        check_clips(frames, "segmenter")
        shown, places = distinct(frames)
        parts = [pixel_logits(self.model, to_signed(shown[some])).argmax(1) != 0 for some in chunks(shown)]
        return torch.cat(parts).numpy()[places]


def pixel_logits(model: SegformerForSemanticSegmentation, images: Tensor) -> Tensor:
    """Logits at the images' own size: [B, 3, H, W] in [-1, 1] -> [B, labels, H, W]."""
    logits = model(pixel_values=images).logits
    return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class SegmenterRecipe:
    """How the stand-in is made."""

    steps: int = 1500
    batch: int = 24
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    seed: int = 0


def build_segmenter() -> SegformerForSemanticSegmentation:
    """The stand-in's architecture with random weights."""
    config = SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 96],
        num_attention_heads=[1, 2, 2, 3],
        patch_sizes=[5, 3, 3, 3],
        strides=[2, 2, 2, 2],
        sr_ratios=[8, 4, 2, 1],
        mlp_ratios=[2, 2, 2, 2],
        decoder_hidden_size=48,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
    )
    config.num_labels = 2
    return SegformerForSemanticSegmentation(config)


def train_segmenter(
    frames: Tensor, masks: Tensor, recipe: SegmenterRecipe, progress: Progress = lambda *_: None
) -> SegformerForSemanticSegmentation:
    """Trains the stand-in on true frames uint8 [N, T, H, W, 3] and their masks uint8 [N, T, H, W], single frames."""
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build_segmenter().train()
    flat, truth = frames.flatten(0, 1), (masks.flatten(0, 1) > 0).long()
    optimizer = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.steps, pct_start=0.1)
    for step in range(recipe.steps):
        rows = torch.randint(len(flat), (recipe.batch,), generator=generator)
        logits = pixel_logits(model, to_signed(flat[rows].numpy()))
        loss = F.cross_entropy(logits, truth[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0 or step + 1 == recipe.steps:
            progress("segmenter", step + 1, recipe.steps, {"loss": loss.item()})
    return model.eval()
