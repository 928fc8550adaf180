"""What each stand-in can and cannot do, measured on held-out generated clips, as a card beside its weights."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.data.moving_shapes import DIRECTIONS
from models.decoder.captions import CaptionEncoder
from models.decoder.conditions import Conditions
from models.decoder.grid import VideoGrid
from models.decoder.ltx import LTXGenerator
from models.decoder.vae import LTXVae, to_uint8, to_unit_range
from models.encoders.dinov2 import Dinov2Encoder
from models.encoders.qwen import QwenEncoder
from models.evaluation.lpips import Lpips, clip_lpips
from models.evaluation.segmenter import Segmenter
from models.standins import shelf

_ABOUT = {
    "vae": ("AutoencoderKLLTXVideo", "turns 64x64 clips of 2k+1 frames into 8x8x64 latents and back", "photographs"),
    "dinov2": ("Dinov2Model", "gives 8x8 patch tokens of generated frames", "what DINOv2 learned from 142M images"),
    "qwen": ("Qwen2_5_VLForConditionalGeneration", "captions generated clips, order included", "any other language"),
    "ltx": ("LTXVideoTransformer3DModel", "continues and denoises latents of generated clips", "natural video"),
    "segmenter": ("SegformerForSemanticSegmentation", "tells shapes from ground in generated frames", "natural scenes"),
}


def write(name: str, target: Path, *, recipe: dict, clips: int, heldout) -> str:
    (target / "CARD.md").touch()
    measures = _MEASURES[name](heldout)
    kind, does, cannot = _ABOUT[name]
    rows = "\n".join(f"| {label} | {value:.4g} |" for label, value in measures.items())
    settings = "\n".join(f"| {key} | {value} |" for key, value in recipe.items())
    (target / "CARD.md").write_text(
        f"# Stand-in: {name}\n\n"
        f"A small `{kind}` trained by this project. It {does}. It knows nothing of {cannot}, and no result made with "
        "it says anything about the real model.\n\n"
        f"Data: {clips} clips of `moving_shapes`, from seeds that no data set uses. "
        f"Made by `foresight standins train {name}`.\n\n"
        f"## Recipe\n\n| setting | value |\n|---|---|\n{settings}\n\n"
        f"## Measured on {len(heldout.frames)} held-out generated clips\n\n| measure | value |\n|---|---|\n{rows}\n"
    )
    return ", ".join(f"{label} {value:.3g}" for label, value in measures.items())


def _vae(heldout) -> dict[str, float]:
    autoencoder, lpips = LTXVae.load(shelf.folder("vae")), Lpips("alex")
    made = torch.cat([to_uint8(_round_trip(autoencoder, part)) for part in heldout.frames.split(16)])
    error = (to_unit_range(made) - to_unit_range(heldout.frames)).abs().mean().item()
    distance = clip_lpips(lpips, heldout.frames.numpy(), made.numpy())
    return {"round-trip LPIPS (alex)": float(distance.mean()), "round-trip L1, range -1..1": error}


@torch.no_grad()
def _round_trip(autoencoder: LTXVae, frames: Tensor) -> Tensor:
    return autoencoder.decode(autoencoder.encode(frames))


def _dinov2(heldout) -> dict[str, float]:
    """A linear read-out of what covers each patch, fitted on one half of the clips and tested on the other."""
    encoder = Dinov2Encoder.load(shelf.folder("dinov2"), stride=2)
    tokens = torch.cat([encoder(part).tokens for part in heldout.frames.split(16)])
    cells = heldout.masks[:, ::2].bool().float().unflatten(-1, (8, 8)).unflatten(-3, (8, 8)).mean(dim=(-3, -1))
    half = len(tokens) // 2
    x, y = (tokens[:half].flatten(0, 2), cells[:half].flatten())
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    weights = torch.linalg.lstsq(design, y[:, None]).solution
    test = tokens[half:].flatten(0, 2)
    guess = (torch.cat([test, torch.ones(len(test), 1)], dim=1) @ weights).flatten()
    truth = cells[half:].flatten()
    residual = (guess - truth).square().sum() / (truth - truth.mean()).square().sum()
    return {"R2 of a linear read-out of shape cover a patch": 1 - float(residual)}


def caption_scores(made: list[str], true: list[str]) -> dict[str, float]:
    """Shares of captions that are right word for word, name the first shape right, and order the directions right."""
    ways = [[[word for word in text.split() if word in DIRECTIONS][:2] for text in texts] for texts in (made, true)]
    first = [text.split()[:5] for text in made], [text.split()[:5] for text in true]
    return {
        "captions right word for word": float(np.mean([a == b for a, b in zip(made, true)])),
        "first shape named right": float(np.mean([a == b for a, b in zip(*first)])),
        "first direction right (chance 0.25)": float(np.mean([a[:1] == b[:1] for a, b in zip(*ways)])),
        "both directions in order right (chance 0.083)": float(np.mean([a == b for a, b in zip(*ways)])),
    }


def _qwen(heldout) -> dict[str, float]:
    encoder = QwenEncoder.load(shelf.folder("qwen"))
    made = [caption for part in heldout.frames.split(32) for caption in encoder.caption(part)]
    return caption_scores(made, heldout.captions)


def _ltx(heldout) -> dict[str, float]:
    """Held-out velocity error at fixed noise levels with the first frame given, and without."""
    autoencoder = LTXVae.load(shelf.folder("vae"))
    latents = torch.cat([autoencoder.encode(part) for part in heldout.frames.split(16)])
    frames, height, width = latents.shape[2:]
    grid = VideoGrid(frames, height, width, autoencoder.geometry)
    generator = LTXGenerator.load(shelf.folder("ltx"), grid)
    clean, first = grid.pack(latents), grid.height * grid.width
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    tokens, mask = CaptionEncoder.load(shelf.folder("ltx"))([f"{caption} <|im_end|>" for caption in heldout.captions])
    measures = {}
    for sigma in (0.3, 0.6, 0.9):
        noisy = torch.lerp(clean, noise, sigma)
        level = torch.full((len(clean),), sigma)
        for label, condition, cells in (
            ("caption", None, None),
            ("first frame", clean[:, :first], torch.arange(first)),
        ):
            with torch.no_grad():
                velocity = generator.velocity(noisy, level, Conditions(tokens, mask, condition, cells))
            measures[f"velocity MSE at sigma {sigma}, {label}"] = (velocity - (noise - clean)).square().mean().item()
    return measures


def _segmenter(heldout) -> dict[str, float]:
    guess = Segmenter.load(shelf.folder("segmenter")).masks(heldout.frames.numpy())
    truth = heldout.masks.bool().numpy()
    union = (guess | truth).sum(axis=(2, 3))
    iou = (guess & truth).sum(axis=(2, 3)) / np.maximum(union, 1)
    return {"mask IoU on true frames (the ceiling)": float(iou.mean())}


_MEASURES = {"vae": _vae, "dinov2": _dinov2, "qwen": _qwen, "ltx": _ltx, "segmenter": _segmenter}
