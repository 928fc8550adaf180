"""Inference (§1.5): each component of Appendix D.1 and the whole, one clip at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

from models.bench import components
from models.bench.clips import random_frames
from models.bench.figures import WHOLE, CallFigure, LeftOut, call_figure
from models.bench.setting import Setting
from models.encoders.base import Tokens
from models.evaluation.latency import CALLS, GB, measure_latency
from models.fusion.conditioning import Conditioning

ENCODERS = ("both encoders, serial", "both encoders, parallel streams")


class Chain:
    """The networks in the order of §1.5, loaded together as in service; frames are already on the device."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.frames = random_frames(setting)
        self.qwen, self.dinov2 = components.qwen(setting), components.dinov2(setting)
        where, what = self.encode()
        self.fusion = components.fusion(setting, components.fusion_config(setting, where, what))
        self.generation: nn.Module | None = None
        self.left_out: list[LeftOut] = []
        try:
            from models.bench.decoder import Generation

            self.generation = Generation(setting)
        except ImportError as error:
            self.left_out.append(LeftOut("LTX generation and the whole", f"{error}; install diffusers and peft"))
        self._side = torch.cuda.Stream() if setting.on_gpu else None
        self._thread = ThreadPoolExecutor(1)

    def encode(self) -> tuple[Tokens, Tokens]:
        """DINOv2's and Qwen's tokens, one after the other."""
        return self.dinov2(self.frames), self.qwen(self.frames)

    def encode_in_parallel(self) -> tuple[Tokens, Tokens]:
        """The same on two CUDA streams, each from its own thread: an encoder waits for its tokens to check them."""
        if self._side is not None:
            self._side.wait_stream(torch.cuda.current_stream())
        ahead = self._thread.submit(self._spatial)
        what, where = self.qwen(self.frames), ahead.result()
        if self._side is not None:
            torch.cuda.current_stream().wait_stream(self._side)
            # made on the other stream: its memory is not to be given away while this one reads it
            for tensor in (where.tokens, where.positions, where.mask):
                tensor.record_stream(torch.cuda.current_stream())
        return where, what

    def _spatial(self) -> Tokens:
        with torch.cuda.stream(self._side):
            return self.dinov2(self.frames)

    @torch.no_grad()
    def fuse(self, where: Tokens, what: Tokens) -> Conditioning:
        """The conditioning."""
        with torch.autocast(self.frames.device.type, torch.bfloat16, enabled=self.setting.precision == "bf16"):
            return self.fusion(where, what)

    def calls(self) -> dict[str, tuple[Callable[[], Any], list[nn.Module]]]:
        """What is timed, by name, and the networks that each call goes through."""
        where, what = self.encode()
        conditioning = self.fuse(where, what)
        encoders: list[nn.Module] = [self.qwen, self.dinov2]
        timed: dict[str, tuple[Callable[[], Any], list[nn.Module]]] = {
            "Qwen2.5-VL encoding": (lambda: self.qwen(self.frames), [self.qwen]),
            "DINOv2 encoding": (lambda: self.dinov2(self.frames), [self.dinov2]),
            "fusion": (lambda: self.fuse(where, what), [self.fusion]),
            ENCODERS[0]: (self.encode, encoders),
            ENCODERS[1]: (self.encode_in_parallel, encoders),
        }
        if (generate := self.generation) is not None:
            whole = [*encoders, self.fusion, generate]
            timed["LTX generation"] = (lambda: generate(conditioning), [generate])
            timed[WHOLE[0]] = (lambda: generate(self.fuse(*self.encode())), whole)
            timed[WHOLE[1]] = (lambda: generate(self.fuse(*self.encode_in_parallel())), whole)
        return timed

    def close(self) -> None:
        """End the second stream's thread."""
        self._thread.shutdown()


def measure(setting: Setting, *, calls: int = CALLS) -> tuple[list[CallFigure], list[LeftOut]]:
    """Time all calls of the chain.

    Raises:
        ValueError: fewer than 50 calls.
    """
    chain, figures = Chain(setting), []
    for name, (call, networks) in chain.calls().items():
        if setting.on_gpu:
            torch.cuda.empty_cache()
        loaded = torch.cuda.memory_allocated() / GB if setting.on_gpu else 0.0
        found = measure_latency(call, setting.told, calls=calls, device=setting.device)
        own = found.allocated_gb - loaded + sum(map(weights_gb, networks)) if setting.on_gpu else None
        figures.append(call_figure(name, found, own))
    chain.close()
    return figures, chain.left_out


def weights_gb(network: nn.Module) -> float:
    """Size of a network's parameters and buffers in GB."""
    return sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers())) / GB
