"""A clip through the whole system (§1.5): both encoders in parallel, fusion, LTX, and the frames to come.

The context alone is looked at, and it is cut off before anything is computed. An encoder that is absent, or that fails
on a clip, leaves its place to the fusion's learned null: the prediction goes on by the other stream and says so.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from models.decoder.sampling import SamplingConfig
from models.decoder.vae import LTXVae, to_uint8
from models.encoders.base import Encoder, Tokens
from models.encoders.stored import latents_of, tokens_of
from models.predict.sampling import Trained, condition, foretell
from models.training.horizon import Horizon, padded

ENCODERS = ("dinov2", "qwen")
"""The streams: where, and what."""
Progress = Callable[[str, int, int, dict[str, float]], None]


class PredictionError(ValueError):
    """A clip from which nothing can be foretold."""


@dataclass(frozen=True)
class Prediction:
    """What is foretold of one clip."""

    frames: np.ndarray
    """uint8 [T, H, W, 3]: the context as it was given, then the predicted frames."""
    latents: Tensor
    """float32 [C, T', h, w], normalised, on the CPU."""
    conditioning: dict[str, Tensor]
    """float32, on the CPU: `latent_tokens` [T', h*w, C], `semantic_tokens` [S, D], `hidden` [T', h*w, dim]."""
    horizon: Horizon
    seed: int
    lost: dict[str, str]
    """Stream -> why it was not there."""
    seconds: dict[str, float]
    """Wall clock of each component; the two encoders ran beside each other, and `encoders` is both together."""

    @property
    def future(self) -> np.ndarray:
        """The predicted frames alone, uint8 [horizon.ahead, H, W, 3]."""
        return self.frames[self.horizon.context :]

    @property
    def serial_s(self) -> float:
        """The components one after the other; the encoders took longer than alone where they shared a processor."""
        return sum(seconds for name, seconds in self.seconds.items() if name != "encoders")

    @property
    def parallel_s(self) -> float:
        """The encoders beside each other, as it was run."""
        return sum(seconds for name, seconds in self.seconds.items() if name not in ENCODERS)


@dataclass
class Pipeline:
    """The networks of a predictor, each on its own device, held for one clip after another."""

    trained: Trained
    vae: LTXVae
    encoders: dict[str, Encoder]
    """By name, of `ENCODERS`; one may be missing."""
    sampling: SamplingConfig
    missing: dict[str, str] = field(default_factory=dict)
    """Why an encoder is not there."""

    def __post_init__(self) -> None:
        if not self.encoders:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())
            raise PredictionError(f"neither encoder is there ({why}); nothing can be seen of a clip without both")

    def predict(self, frames: np.ndarray, *, seed: int = 0, progress: Progress = lambda *_: None) -> Prediction:
        """Foretell what follows the context: the first `horizon.context` frames of uint8 [T, H, W, 3].

        The same frames, seed and device give the same prediction.

        Raises:
            PredictionError: fewer frames than the context, or no encoder could see the clip.
        """
        horizon, seconds = self.trained.horizon, {}
        if frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) < horizon.context:
            raise PredictionError(
                f"a clip of {frames.dtype} {list(frames.shape)}; give uint8 [T, H, W, 3] of "
                f"{horizon.context} frames or more, which are the context"
            )
        given = np.ascontiguousarray(frames[: horizon.context])[None]
        with _timed(seconds, "encoders"):
            tokens, lost = self._see(given, seconds)
        progress("encoders", 1, 4, {})
        with _timed(seconds, "vae_encoder"):
            context = torch.from_numpy(latents_of(self.vae)(given)["latents"]).float()
        with _timed(seconds, "fusion"):
            conditioning = condition(self.trained, tokens.get("dinov2"), tokens.get("qwen"))
        progress("fusion", 2, 4, {})
        with _timed(seconds, "ltx"):
            noise = torch.Generator().manual_seed(seed)
            latents = foretell(self.trained, conditioning, context, self.sampling, noise)
        progress("LTX", 3, 4, {})
        with _timed(seconds, "vae_decoder"), torch.no_grad():
            there = next(self.vae.parameters())
            made = to_uint8(self.vae.decode(latents.to(there)).float())[0].cpu().numpy()
        progress("frames", 4, 4, {})
        kept = {name: getattr(conditioning, name)[0] for name in ("latent_tokens", "semantic_tokens", "hidden")}
        return Prediction(
            frames=np.concatenate([given[0], made[horizon.context :]]),
            latents=latents[0].float().cpu(),
            conditioning={name: tensor.float().cpu().contiguous() for name, tensor in kept.items()},
            horizon=horizon,
            seed=seed,
            lost=lost,
            seconds=seconds,
        )

    def _see(self, given: np.ndarray, seconds: dict[str, float]) -> tuple[dict[str, Tokens], dict[str, str]]:
        """Tokens of the context by stream, at full length, and why a stream is lost."""
        sizes, lost, tokens = self.trained.fusion.config, dict(self.missing), {}
        steps = {"dinov2": sizes.latent_frames, "qwen": sizes.semantic_frames}

        def see(name: str) -> Tokens:
            with _timed(seconds, name):
                made = tokens_of(self.encoders[name])(given)
            parts = (padded(made[part], steps[name], axis) for part, axis in (("tokens", 1), ("mask", 1)))
            values, mask = (torch.from_numpy(part) for part in parts)
            places = torch.from_numpy(padded(made["positions"], steps[name], 0))
            return Tokens(values.float(), places.float()[None], mask)

        with ThreadPoolExecutor(len(self.encoders)) as threads:
            seen = {name: threads.submit(see, name) for name in self.encoders}
        for name, one in seen.items():
            error = one.exception()
            if error is None:
                tokens[name] = one.result()
            elif isinstance(error, (ValueError, RuntimeError)):
                lost[name] = " ".join(str(error).split())
            else:
                raise error
        if not tokens:
            raise PredictionError(
                "no encoder could see the clip: " + "; ".join(f"{name}: {why}" for name, why in lost.items())
            )
        return tokens, lost


def put(pipeline: Pipeline, devices: Mapping[str, str], decoder: torch.dtype) -> Pipeline:
    """Each network onto its device, LTX and the VAE in `decoder`'s precision; coordinates stay float32.

    Args:
        devices: torch's name of a device for each of dinov2, qwen, fusion, ltx and vae that is there.
    """
    for name, encoder in pipeline.encoders.items():
        encoder.to(devices[name])
    pipeline.trained.fusion.to(devices["fusion"])
    pipeline.trained.generator.to(devices["ltx"])
    pipeline.vae.to(devices["vae"])
    for network in (pipeline.trained.generator.transformer, pipeline.vae):
        if next(network.parameters()).dtype != decoder:
            network.to(decoder)
    return pipeline


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Wall clock of a block; what it started on a GPU has ended before it is read."""
    began = time.perf_counter()
    yield
    for device in range(torch.cuda.device_count()):
        torch.cuda.synchronize(device)
    seconds[name] = time.perf_counter() - began
