"""The recipe of all stand-ins: made anew from generated clips, measured, and given their cards, by one command."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.data.moving_shapes import render_clip
from models.decoder.grid import VideoGrid
from models.decoder.vae import LTXVae
from models.evaluation.lpips import Lpips
from models.evaluation.segmenter import SegmenterRecipe, train_segmenter
from models.standins import cards, dinov2, ltx, qwen, shelf, vae

Progress = Callable[[str, int, int, dict[str, float]], None]
TRAINING_SEED, HELDOUT_SEED = 1_000_000, 9_000_000
HELDOUT_CLIPS = 96
"""Behind each card."""


@dataclass(frozen=True)
class Corpus:
    """Generated clips that no programme run ever sees: their seeds are far from those of `moving_shapes` data sets."""

    frames: Tensor
    """uint8 [N, T, H, W, 3]."""
    masks: Tensor
    """uint8 [N, T, H, W]."""
    captions: list[str]


def make_corpus(count: int, seed: int) -> Corpus:
    """Render `count` clips from consecutive seeds."""
    clips = [render_clip(seed + k) for k in range(count)]
    frames = torch.stack([torch.from_numpy(clip.frames) for clip in clips])
    masks = torch.stack([torch.from_numpy(clip.masks) for clip in clips])
    return Corpus(frames, masks, [clip.caption for clip in clips])


def train(names: tuple[str, ...], progress: Progress, clips: int = 2400) -> None:
    """Train the named stand-ins, put them on the shelf with their cards, and renew the manifest.

    `ltx` needs the `vae` of the shelf; trained together, the new one is used.
    """
    corpus = make_corpus(clips, TRAINING_SEED)
    for name in (name for name in shelf.NAMES if name in names):
        target = shelf.folder(name)
        target.mkdir(parents=True, exist_ok=True)
        recipe = _RECIPES[name](corpus, target, progress)
        card = cards.write(
            name, target, recipe=asdict(recipe), clips=clips, heldout=make_corpus(HELDOUT_CLIPS, HELDOUT_SEED)
        )
        progress(f"{name}: {card}", 1, 1, {})
    shelf.write_manifest()


def save_half(model, target: Path) -> None:
    """Save in half precision: the shelf stays small, and loading widens it again."""
    model.half().save_pretrained(target)


def _train_vae(corpus: Corpus, target: Path, progress: Progress) -> vae.VaeRecipe:
    recipe = vae.VaeRecipe()
    save_half(vae.train(corpus.frames, corpus.masks, Lpips("alex"), recipe, progress), target)
    return recipe


def _train_dinov2(corpus: Corpus, target: Path, progress: Progress) -> dinov2.Dinov2Recipe:
    recipe = dinov2.Dinov2Recipe()
    save_half(dinov2.train(corpus.frames, recipe, progress), target)
    return recipe


def _train_qwen(corpus: Corpus, target: Path, progress: Progress) -> qwen.QwenRecipe:
    recipe = qwen.QwenRecipe()
    model, processor = qwen.train(corpus.frames, corpus.masks, corpus.captions, recipe, progress)
    save_half(model, target)
    processor.save_pretrained(target)
    return recipe


def _train_ltx(corpus: Corpus, target: Path, progress: Progress) -> ltx.LtxRecipe:
    recipe = ltx.LtxRecipe()
    autoencoder = LTXVae.load(shelf.folder("vae"))
    latents = torch.cat([autoencoder.encode(part) for part in corpus.frames.split(16)])
    frames, height, width = latents.shape[2:]
    grid = VideoGrid(frames, height, width, autoencoder.geometry)
    transformer, text, tokenizer = ltx.train(latents, corpus.captions, grid, recipe, progress)
    save_half(transformer, target / "transformer")
    save_half(text, target / "text_encoder")
    tokenizer.save_pretrained(target / "tokenizer")
    ltx.build_scheduler().save_pretrained(target / "scheduler")
    return recipe


def _train_segmenter(corpus: Corpus, target: Path, progress: Progress) -> SegmenterRecipe:
    recipe = SegmenterRecipe()
    save_half(train_segmenter(corpus.frames, corpus.masks, recipe, progress), target)
    return recipe


_RECIPES = {
    "vae": _train_vae,
    "dinov2": _train_dinov2,
    "qwen": _train_qwen,
    "ltx": _train_ltx,
    "segmenter": _train_segmenter,
}
