"""The Qwen2.5-VL stand-in: the real class, windowed vision tower and 2x2 merger included, taught to caption.

Its chat template drops the question: the stand-in knows one task.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from models.data.moving_shapes import DIRECTIONS
from models.encoders.qwen import video_inputs
from models.standins import tokenizer as words
from models.standins.augment import augment

Progress = Callable[[str, int, int, dict[str, float]], None]
PATCH = 8
WIDTH = 160


@dataclass(frozen=True)
class QwenRecipe:
    """Next-word training on captions, with what the vision tower must see taught beside it.

    Words alone do not teach so small a model motion: directions stayed at chance for two thousand steps. So the vision
    tower also learns, for each merged token, whether the first-named shape covers it and which way it goes.
    """

    word_steps: int = 1600
    sight_steps: int = 700
    motion_steps: int = 1300
    direction_weight: float = 4.0
    """How many times a word of direction counts in the last stage."""
    batch: int = 16
    learning_rate: float = 1e-3
    seed: int = 0


def build_processor(patch: int = PATCH) -> Qwen2_5_VLProcessor:
    """The processor of frames cut into patches of so many pixels; frames keep their size."""
    sizes = {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2, "do_resize": False}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=words.build(),
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=words.CHAT_TEMPLATE,
    )


def build(processor: Qwen2_5_VLProcessor) -> Qwen2_5_VLForConditionalGeneration:
    """160 wide, 4 layers of language over 3 of vision, a window of 2x2 merged tokens."""
    tokens = processor.tokenizer
    ids = {
        name: tokens.convert_tokens_to_ids(token)
        for name, token in zip(("start", "end", "image", "video"), words.VISION)
    }
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": WIDTH,
            "intermediate_size": 432,
            "num_hidden_layers": 4,
            "num_attention_heads": 5,
            "num_key_value_heads": 1,
            "max_position_embeddings": 512,
            "initializer_range": 0.07,
            "bos_token_id": None,
            "eos_token_id": tokens.eos_token_id,
            "pad_token_id": tokens.pad_token_id,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "depth": 3,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_heads": 3,
            "patch_size": PATCH,
            "out_hidden_size": WIDTH,
            "window_size": 4 * PATCH,
            "initializer_range": 0.07,
            "fullatt_block_indexes": [2],
        },
        image_token_id=ids["image"],
        video_token_id=ids["video"],
        vision_start_token_id=ids["start"],
        vision_end_token_id=ids["end"],
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokens.eos_token_id
    model.generation_config.pad_token_id = tokens.pad_token_id
    return model


def train(clips: Tensor, masks: Tensor, captions: list[str], recipe: QwenRecipe, progress: Progress):
    """Train on uint8 [N, T, H, W, 3], masks uint8 [N, T, H, W] and captions; gives (model, processor)."""
    torch.manual_seed(recipe.seed)
    processor = build_processor()
    model = build(processor).train()
    sight = Sight(WIDTH)
    stages = (
        Stage("words", recipe.word_steps, words=1.0, sight=0.0, direction_weight=1.0),
        Stage("sight", recipe.sight_steps, words=0.0, sight=1.0, direction_weight=1.0),
        Stage("motion", recipe.motion_steps, words=1.0, sight=0.5, direction_weight=recipe.direction_weight),
    )
    for stage in stages:
        learn(model, sight, processor, Labelled(clips, masks, captions), recipe, stage, progress)
    return model.eval(), processor


@dataclass(frozen=True)
class Stage:
    """One stretch of training: its length and what counts in its loss."""

    name: str
    steps: int
    words: float
    sight: float
    direction_weight: float


@dataclass(frozen=True)
class Labelled:
    """Clips with everything that is known of them."""

    clips: Tensor
    masks: Tensor
    captions: list[str]

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """Frames, masks and captions of `size` random clips under random symmetries."""
        rows = rng.integers(0, len(self.clips), size)
        both = torch.cat([self.clips[rows], self.masks[rows, ..., None]], dim=-1)
        turned = [augment(clip, self.captions[row], rng) for clip, row in zip(both, rows)]
        stacked = torch.stack([clip for clip, _ in turned])
        return stacked[..., :3].contiguous(), stacked[..., 3], [caption for _, caption in turned]


class Sight(nn.Module):
    """Linear read-outs of a merged token: is the first-named shape here, and which way does it go?"""

    def __init__(self, dim: int):
        super().__init__()
        self.here = nn.Linear(dim, 1)
        self.way = nn.Linear(dim, len(DIRECTIONS))

    def loss(self, tokens: Tensor, masks: Tensor, captions: list[str]) -> Tensor:
        """`tokens` [B, T', cells, D] in raster order against masks [B, T, H, W] and the captions' directions."""
        batch, times, cells, _ = tokens.shape
        side, half = math.isqrt(cells), masks.shape[1] // 2
        first = (masks[:, ::2] == 1).float().flatten(0, 1)[:, None]
        cover = nn.functional.adaptive_avg_pool2d(first, side).view(batch, times, cells)
        here = nn.functional.binary_cross_entropy_with_logits(self.here(tokens)[..., 0], (cover > 0.15).float())
        moving = [[word for word in caption.split() if word in DIRECTIONS] for caption in captions]
        names = list(DIRECTIONS)
        ways = torch.tensor([[names.index(pair[2 * t >= half]) for t in range(times)] for pair in moving])
        # The last time step holds one frame, repeated: nothing moves in it.
        seen = (cover > 0.15) & (torch.arange(times) < times - 1)[:, None]
        target = ways[..., None].expand(-1, -1, cells)
        return here + nn.functional.cross_entropy(self.way(tokens)[seen], target[seen])


def learn(model, sight: Sight, processor, data: Labelled, recipe: QwenRecipe, stage: Stage, progress: Progress) -> None:
    """One stage: AdamW under a cosine."""
    rng = np.random.default_rng([recipe.seed, len(stage.name)])
    parameters = [*model.parameters(), *sight.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    for step in range(stage.steps):
        cosine = 0.02 + 0.49 * (1 + math.cos(math.pi * step / stage.steps))
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1, (step + 1) / 100) * cosine
        clips, masks, captions = data.batch(recipe.batch, rng)
        inputs = video_inputs(processor, clips, captions)
        seen = model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"])
        numbers, loss = {}, torch.zeros(())
        if stage.sight:
            tokens = torch.stack(seen.pooler_output).unflatten(1, (int(inputs["video_grid_thw"][0, 0]), -1))
            missed = sight.loss(tokens, masks, captions)
            numbers["sight"], loss = missed.item(), loss + stage.sight * missed
        if stage.words:
            error, weight = _word_errors(model, processor, inputs, seen, stage.direction_weight)
            numbers["words"] = error[weight == 1].mean().item()
            numbers["directions"] = error[weight != 1].mean().item() if stage.direction_weight != 1 else math.nan
            loss = loss + stage.words * (error * weight).sum() / weight.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        progress(f"qwen: {stage.name}", step + 1, stage.steps, numbers)


def _word_errors(model, processor, inputs, seen, direction_weight: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each word of the captions, and how often it counts."""
    tokenizer, ids = processor.tokenizer, inputs["input_ids"]
    answer = tokenizer.convert_tokens_to_ids(words.ANSWER)
    directions = torch.tensor(tokenizer.convert_tokens_to_ids(list(DIRECTIONS)))
    said = (ids == answer).cumsum(dim=1).bool() & (ids != answer) & (ids != tokenizer.pad_token_id)
    rest = {key: value for key, value in inputs.items() if key != "pixel_values_videos"}
    logits = model(**rest, mm_encoder_outputs={"video": seen}).logits[:, :-1]
    target, said = ids[:, 1:], said[:, 1:]
    error = nn.functional.cross_entropy(logits[said], target[said], reduction="none")
    return error, torch.where(torch.isin(target[said], directions), direction_weight, 1.0)
