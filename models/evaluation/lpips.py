"""LPIPS: the perceptual distance of two images (Zhang et al. 2018), with the weights it was published with (§6).

Protocol: lpips 0.1.4's own module, v0.1, backbone alex (vgg beside it, as alex is trained on); RGB in [-1, 1] at the
frames' own size; a clip's value is the mean over its frames. 0 = equal, higher = further. The same module is a loss.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import lpips
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models import weights
from models.evaluation.inputs import MetricInputError, check_pair, chunks
from models.frozen import Frozen
from models.provenance import WeightsError

Net = Literal["alex", "vgg"]
Features = list[Tensor]
Progress = Callable[[str, int, int, dict[str, float]], None]
SMALLEST = {"alex": 31, "vgg": 16}  # below this a backbone's last layer has no cell


class Lpips(Frozen):
    """`lpips.LPIPS` with its ImageNet backbone from the weights cache in place of a download.

    Raises:
        WeightsError: the weights are not fetched, or the package's linear heads are not the published ones.
    """

    standin = False

    def __init__(self, net: Net = "alex"):
        super().__init__()
        fetched = load_file(weights.path(f"lpips_{net}"))
        self.net: Net = net
        self.protocol = f"lpips 0.1.4 v0.1, {net}, input [-1,1], mean over frames"
        self.weights_sha256 = weights.sha256(f"lpips_{net}")
        with warnings.catch_warnings():  # of torchvision, about how the package asks it for the backbone
            warnings.simplefilter("ignore", UserWarning)
            # A random backbone first: the package would otherwise download one. The heads come with the package.
            self.model: Any = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
        _load_backbone(self.model.net, fetched)
        _check_heads(self.model, fetched)
        self.freeze()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of each pair of images [B, 3, H, W] in [-1, 1] -> [B]; gradients reach both."""
        if min(first.shape[-2:]) < SMALLEST[self.net]:
            raise MetricInputError(f"LPIPS {self.net}: frames of at least {SMALLEST[self.net]} px are needed")
        return self.model(first, second).flatten()

    @torch.no_grad()
    def features(self, frames: np.ndarray) -> Features:
        """What the backbone sees in frames uint8 [F, H, W, 3], one tensor a layer: to compare one with several."""
        if min(frames.shape[1:3]) < SMALLEST[self.net]:
            raise MetricInputError(f"LPIPS {self.net}: frames of at least {SMALLEST[self.net]} px are needed")
        seen = self.model.net(self.model.scaling_layer(to_signed(frames)))
        return [lpips.normalize_tensor(layer) for layer in seen]

    @torch.no_grad()
    def between(self, first: Features, second: Features) -> np.ndarray:
        """Distances of frames whose features are known, pair by pair -> float64 [F]."""
        heads = [head.model[-1].weight.flatten() for head in self.model.lins]
        layers = [((a - b).square().mean((2, 3)) @ head) for a, b, head in zip(first, second, heads, strict=True)]
        return torch.stack(layers).sum(0).double().numpy()


def clip_lpips(
    model: Lpips, reference: np.ndarray, generated: np.ndarray, progress: Progress = lambda *_: None
) -> np.ndarray:
    """Mean LPIPS over the frames of each clip: two uint8 [N, T, H, W, 3] -> float64 [N]."""
    check_pair(reference, generated)
    true, made = (side.reshape(-1, *side.shape[2:]) for side in (reference, generated))
    values = []
    for some in chunks(true):
        values.append(model.between(model.features(true[some]), model.features(made[some])))
        progress(f"LPIPS ({model.net}), frames", min(some.stop, len(true)), len(true), {})
    return np.concatenate(values).reshape(reference.shape[:2]).mean(1)


def to_signed(frames: np.ndarray) -> Tensor:
    """Frames uint8 [F, H, W, 3] -> float [F, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _backbone_arrays(fetched: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """(kernel, bias) in order of depth: AlexNet_0.Conv_0 ... Conv_4, VGG16_0.Conv_0 ... Conv_12."""
    backbone = next(name.split(".")[0] for name in fetched if not name.startswith("NetLinLayer"))
    depth = sum(name.startswith(backbone) and name.endswith(".kernel") for name in fetched)
    return ((fetched[f"{backbone}.Conv_{k}.kernel"], fetched[f"{backbone}.Conv_{k}.bias"]) for k in range(depth))


@torch.no_grad()
def _load_backbone(backbone: nn.Module, fetched: dict[str, Tensor]) -> None:
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)]
    for layer, (kernel, bias) in zip(layers, _backbone_arrays(fetched), strict=True):
        layer.load_state_dict({"weight": kernel, "bias": bias})


def _check_heads(model: Any, fetched: dict[str, Tensor]) -> None:
    """The package and the fetched file carry the same published linear heads, bit for bit."""
    for k, head in enumerate(model.lins):
        if not torch.equal(head.model[-1].weight, fetched[f"NetLinLayer_{k}.Conv_0.kernel"]):
            raise WeightsError(f"LPIPS: head {k} of the lpips package is not the published one; install lpips 0.1.4")
