"""Qwen2.5-VL: the semantic stream, frozen (§1.1 of the proposal).

Tokens are the language model's last hidden states at the video positions, after the 2x2 merger. The same model captions
clips, which is how semantic consistency is measured.
"""

from typing import Any, Self

import torch
from torch import Tensor
from transformers import BatchFeature, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from models.encoders.base import Encoder, Tokens, on_grid, require_multiple
from models.encoders.checkpoint import load_model
from models.pretrained import Checkpoint

FPS = 8.0
PROMPT = "Describe what moves in the video and in which order."
MAX_CAPTION_TOKENS = 40


def video_inputs(processor: Any, frames: Tensor, captions: list[str] | None = None) -> BatchFeature:
    """The model's inputs for uint8 [B, T, H, W, 3], with the captions as the answer where they are given.

    Frames keep their size: resizing would move the tokens' places.
    """
    message = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": PROMPT}]}
    prompt = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    end = processor.tokenizer.eos_token
    answers = [""] * len(frames) if captions is None else [f"{caption}{end}" for caption in captions]
    inputs = processor(
        text=[prompt + answer for answer in answers],
        videos=[clip.permute(0, 3, 1, 2) for clip in frames],
        do_resize=False,
        do_sample_frames=False,
        cap_pixels_per_frame=False,
        fps=FPS,
        padding=True,
        padding_side="right",
        return_mm_token_type_ids=True,
        return_tensors="pt",
    )
    inputs["second_per_grid_ts"] = torch.as_tensor(inputs["second_per_grid_ts"])
    return inputs


class QwenEncoder(Encoder):
    """The frozen vision-language model as encoder and as captioner."""

    name = "Qwen2.5-VL"

    def __init__(self, model: Any, processor: Any, *, weights_sha256: str, standin: bool):
        super().__init__(model, weights_sha256=weights_sha256, standin=standin)
        self.processor = processor
        vision = model.config.vision_config
        self.dim = model.config.text_config.hidden_size
        self.cell = vision.patch_size * vision.spatial_merge_size
        self.freeze()

    @classmethod
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        """Of a folder that holds the model and its processor."""
        model = load_model(checkpoint, {"qwen2_5_vl": Qwen2_5_VLForConditionalGeneration}, dtype=dtype)
        processor = Qwen2_5_VLProcessor.from_pretrained(checkpoint.folder)
        return cls(model, processor, **checkpoint.identity(), **settings)

    def _inputs(self, frames: Tensor) -> BatchFeature:
        require_multiple(self.name, frames.shape[2], frames.shape[3], self.cell)
        return video_inputs(self.processor, frames).to(self.model.device)

    def encode(self, frames: Tensor) -> Tokens:
        """uint8 [B, T, H, W, 3] to tokens [B, ceil(T / 2), H/cell * W/cell, D]."""
        inputs = self._inputs(frames)
        states = self.model.model(**inputs).last_hidden_state
        video = inputs["input_ids"] == self.model.config.video_token_id
        rows, columns = frames.shape[2] // self.cell, frames.shape[3] // self.cell
        tokens = states[video].view(len(frames), -1, rows * columns, states.shape[-1])
        return on_grid(tokens, rows, columns)

    @torch.no_grad()
    def caption(self, frames: Tensor) -> list[str]:
        """Greedy captions of uint8 [B, T, H, W, 3]."""
        inputs = self._inputs(frames)
        made = self.model.generate(**inputs, max_new_tokens=MAX_CAPTION_TOKENS, do_sample=False)
        answers = made[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.batch_decode(answers, skip_special_tokens=True)]
