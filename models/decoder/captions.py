"""LTX's T5 text encoder: captions to what the transformer's cross-attention reads."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel

from models.frozen import Frozen

MAX_CAPTION_TOKENS = 64


class CaptionEncoder(Frozen):
    """The frozen text encoder with its tokenizer."""

    def __init__(self, model: T5EncoderModel, tokenizer: PreTrainedTokenizerBase):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.freeze()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the text encoder and the tokenizer below `folder`, as LTX's checkpoints lay them."""
        model = T5EncoderModel.from_pretrained(folder / "text_encoder", use_safetensors=True, dtype=torch.float32)
        return cls(model, AutoTokenizer.from_pretrained(folder / "tokenizer"))

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
