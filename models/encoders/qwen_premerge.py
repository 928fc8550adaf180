"""Qwen2.5-VL's vision tower before its 2x2 merger: a spatial encoder like any other (design §4.10).

The tower works on windows: its tokens come out window by window and, within a window, as blocks of 2x2. Read as a
raster, most of them would be in the wrong place. Here both orders are undone.
"""

from typing import Any, Self

import torch
from torch import Tensor
from transformers import AutoVideoProcessor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.vision_utils import get_vision_window_index

from models.encoders.base import Encoder, Tokens, on_grid, require_multiple
from models.encoders.checkpoint import load_model
from models.pretrained import Checkpoint

TOWER_ONLY = {r"^(model\.)?visual\.": ""}
"""The tower's names in a folder of the whole model; the language model is left on the disk."""


class QwenPremergeEncoder(Encoder):
    """The frozen vision tower. It looks at two frames at a time, and never across such a pair.

    One pair to each latent frame of the decoder: that of every `stride`-th frame and the one after it. A stride of 2
    gives every pair, as the language model sees them.
    """

    name = "Qwen2.5-VL's vision tower"

    def __init__(self, model: Any, processor: Any, *, stride: int, weights_sha256: str, standin: bool):
        """`model` is the tower, also one that a `QwenEncoder` holds; `stride` the VAE's frames to a latent frame."""
        super().__init__(model, weights_sha256=weights_sha256, standin=standin)
        config = model.config
        if stride % config.temporal_patch_size:
            raise ValueError(f"{self.name}: a stride of {stride} frames splits its pairs; use a multiple of 2")
        self.processor, self.stride = processor, stride
        self.dim, self.patch, self.merge = config.hidden_size, config.patch_size, config.spatial_merge_size
        self.freeze()

    @classmethod
    def read(cls, checkpoint: Checkpoint, dtype: torch.dtype, **settings: Any) -> Self:
        """The tower out of a folder of the whole model and its processor."""
        tower = {"qwen2_5_vl": Qwen2_5_VisionTransformerPretrainedModel}
        model = load_model(checkpoint, tower, dtype=dtype, key_mapping=TOWER_ONLY)
        processor = AutoVideoProcessor.from_pretrained(checkpoint.folder)
        return cls(model, processor, **checkpoint.identity(), **settings)

    def encode(self, frames: Tensor) -> Tokens:
        """uint8 [B, T, H, W, 3] to tokens [B, (T - 1) // stride + 1, H/patch * W/patch, D]."""
        batch, time, height, width, _ = frames.shape
        require_multiple(self.name, height, width, self.patch * self.merge)
        first = torch.arange(0, time, self.stride)
        pairs = torch.stack([first, (first + 1).clamp(max=time - 1)], dim=1).flatten()
        pixels, grid = self._patches(frames[:, pairs])
        states = self.model(pixels, grid_thw=grid).last_hidden_state
        rows, columns = height // self.patch, width // self.patch
        tokens = self.in_raster_order(states, grid).view(batch, len(first), rows * columns, -1)
        return on_grid(tokens, rows, columns)

    def _patches(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The tower's patches of uint8 [B, T, H, W, 3], and its grid [B, 3] of (T / 2, rows, columns)."""
        inputs = self.processor(
            videos=[clip.permute(0, 3, 1, 2) for clip in frames],
            do_resize=False,
            do_sample_frames=False,
            cap_pixels_per_frame=False,
            return_tensors="pt",
        ).to(self.model.device)
        return inputs["pixel_values_videos"].to(self.model.dtype), inputs["video_grid_thw"]

    def in_raster_order(self, states: Tensor, grid: Tensor) -> Tensor:
        """The tower's states [steps * rows * columns, D], all clips of one size, row by row in each step."""
        config, merge = self.model.config, self.merge
        windows, _ = get_vision_window_index(grid, merge, config.window_size, config.patch_size)
        blocks = states.unflatten(0, (-1, merge**2))[torch.argsort(windows).to(states.device)]
        _, rows, columns = grid[0].tolist()
        cells = blocks.view(-1, rows // merge, columns // merge, merge, merge, states.shape[-1])
        return cells.transpose(2, 3).reshape(-1, states.shape[-1])

    def library_order(self, rows: int, columns: int) -> Tensor:
        """Where the tower puts the tokens of a step of rows x columns: int64 [rows * columns].

        `raster[..., order, :]` is what the library returns; read as a raster, that is the mistake which the premise
        audit looks for (design §4.10).
        """
        places = torch.arange(rows * columns, dtype=torch.float64)[:, None]
        grid = torch.tensor([[1, rows, columns]])
        return torch.argsort(self.in_raster_order(places, grid)[:, 0])
