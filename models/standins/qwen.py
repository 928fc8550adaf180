"""The Qwen2.5-VL stand-in: the real class with its windowed vision tower and 2x2 merger, taught to caption generated clips.

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

from models.encoders.qwen import video_inputs
from models.standins import tokenizer as words
from models.standins.augment import augmented_batch

Progress = Callable[[str, int, int, dict[str, float]], None]
PATCH = 8


@dataclass(frozen=True)
class QwenRecipe:
    """Next-word training on captions; only the caption's words count in the loss."""

    steps: int = 1600
    batch: int = 16
    learning_rate: float = 1e-3
    seed: int = 0


def build_processor() -> Qwen2_5_VLProcessor:
    sizes = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2, "do_resize": False}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=words.build(),
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=words.CHAT_TEMPLATE,
    )


def build(processor: Qwen2_5_VLProcessor) -> Qwen2_5_VLForConditionalGeneration:
    """160 wide, 4 layers of language over 3 of vision, a window of 2x2 merged tokens."""
    tokens = processor.tokenizer
    ids = {name: tokens.convert_tokens_to_ids(token) for name, token in zip(("start", "end", "image", "video"), words.VISION)}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": 160,
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
            "out_hidden_size": 160,
            "window_size": 4 * PATCH,
            "initializer_range": 0.07,
            "fullatt_block_indexes": [2],
        },
        image_token_id=ids["image"],
        video_token_id=ids["video"],
        vision_start_token_id=ids["start"],
        vision_end_token_id=ids["end"],
        tie_word_embeddings=True,
        initializer_range=0.07,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokens.eos_token_id
    model.generation_config.pad_token_id = tokens.pad_token_id
    return model


def train(clips: Tensor, captions: list[str], recipe: QwenRecipe, progress: Progress):
    """Train on uint8 [N, T, H, W, 3] and their captions; gives (model, processor)."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    processor = build_processor()
    model = build(processor).train()
    answer = processor.tokenizer.convert_tokens_to_ids(words.ANSWER)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    for step in range(recipe.steps):
        share = step / recipe.steps
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
        inputs = video_inputs(processor, *augmented_batch(clips, captions, recipe.batch, rng))
        ids = inputs["input_ids"]
        is_answer = (ids == answer).cumsum(dim=1).bool() & (ids != answer) & (ids != processor.tokenizer.pad_token_id)
        loss = model(**inputs, labels=ids.masked_fill(~is_answer, -100)).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        progress("qwen", step + 1, recipe.steps, {"loss": loss.item()})
    return model.eval(), processor
