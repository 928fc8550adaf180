"""FVD: the Frechet distance of generated and true clips in the logits of I3D (Unterthiner et al. 2018, §6).

Protocol: clips uint8 to [-1, 1], each frame resized to 224x224 (bilinear, antialiased when it shrinks, not cropped); a
clip of fewer than 16 frames is lengthened by its last frame; 400 logits; covariances over N - 1, float64. FVD is biased
upwards and the bias grows as N falls: below 256 clips the number is called fvd_smallN and no gate goes GO on it. The
interval resamples clips and is centred on the value, as the distance between resamples is biased as well.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.evaluation.i3d import SHORTEST, SIZE
from models.evaluation.inputs import MetricInputError, check_clips, chunks
from models.evaluation.lpips import to_signed
from models.evaluation.metric import Metric

Progress = Callable[[str, int, int, dict[str, float]], None]
ENOUGH = 256
RESAMPLES = 200
PROTOCOL = (
    "I3D Kinetics-400 logits, 224x224, clips under 16 frames lengthened by their last, N {true} true, {made} generated"
)


def fvd_name(n: int) -> str:
    """`fvd`, or `fvd_small<N>` where N is too small to be called so."""
    return "fvd" if n >= ENOUGH else f"fvd_small{n}"


def prepare(clip: np.ndarray) -> Tensor:
    """One clip uint8 [T, H, W, 3] -> [1, 3, max(T, 16), 224, 224] in [-1, 1]."""
    frames = torch.cat([_resized(to_signed(clip[some])) for some in chunks(clip)])
    if len(frames) < SHORTEST:
        frames = torch.cat([frames, frames[-1:].expand(SHORTEST - len(frames), -1, -1, -1)])
    return frames.transpose(0, 1).unsqueeze(0)


def _resized(frames: Tensor) -> Tensor:
    if frames.shape[-2:] == (SIZE, SIZE):
        return frames
    return F.interpolate(frames, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)


@torch.no_grad()
def logits(model: Callable[[Tensor], Tensor], clips: np.ndarray, progress: Progress = lambda *_: None) -> np.ndarray:
    """I3D's logits of clips uint8 [N, T, H, W, 3] -> float64 [N, 400]; about 1.5 s a short clip and core."""
    check_clips(clips, "FVD")
    seen = []
    for k, clip in enumerate(clips):
        seen.append(model(prepare(clip)))
        progress("I3D logits", k + 1, len(clips), {})
    return torch.cat(seen).double().numpy()


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features [N, D], in float64.

    With A = X'X and B = Y'Y, tr sqrt(A B) is the sum of the singular values of X Y'. No square root of a covariance is
    taken, so it holds to rounding also where there are fewer clips than features and A and B are singular.
    """
    if first.ndim != 2 or first.shape[1:] != second.shape[1:] or min(len(first), len(second)) < 2:
        raise MetricInputError(f"Frechet distance: two sets [N >= 2, D], not {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise MetricInputError("Frechet distance: NaN or infinite features")
    (mean_a, root_a), (mean_b, root_b) = _mean_and_root(first), _mean_and_root(second)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    value = np.square(mean_a - mean_b).sum() + np.square(root_a).sum() + np.square(root_b).sum() - 2 * cross
    return max(0.0, float(value))


def _mean_and_root(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and R [min(N, D), D] with R'R = covariance."""
    features = features.astype(np.float64)
    mean = features.mean(0)
    root: np.ndarray = np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="reduced").R
    return mean, root


def fvd(true: np.ndarray, generated: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> tuple[str, Metric]:
    """The name that the number may bear, and the number, from logits [N, 400] of true and generated clips."""
    protocol = PROTOCOL.format(true=len(true), made=len(generated))
    n = min(len(true), len(generated))
    value = frechet_distance(true, generated)
    rng = np.random.default_rng(seed)
    pairs = ((_redrawn(true, rng), _redrawn(generated, rng)) for _ in range(resamples))
    drawn = np.array([frechet_distance(*pair) for pair in pairs])
    low, high = value + np.quantile(drawn, [0.025, 0.975]) - drawn.mean()
    return fvd_name(n), Metric(value, max(0.0, float(low)), float(high), n, protocol)


def _redrawn(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return features[rng.integers(0, len(features), len(features))]
