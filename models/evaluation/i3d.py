"""I3D, Kinetics-400 RGB (Carreira and Zisserman 2017): the network whose logits FVD compares.

A port of the published TensorFlow graph: TF's SAME padding (the odd pixel goes behind), batch normalisation with mean,
variance and beta (epsilon 1e-3, no gamma) folded into the convolutions, 400 logits averaged over time.
Input RGB in [-1, 1], [B, 3, T >= 16, 224, 224]. A right port sees 'playing cricket' at 0.989 in the authors' own clip.
"""

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from models import weights
from models.frozen import Frozen

SIZE = 224
SHORTEST = 16
EPSILON = 1e-3
STEM = {"Conv3d_1a_7x7": (3, 64, 7, 2), "Conv3d_2b_1x1": (64, 64, 1, 1), "Conv3d_2c_3x3": (64, 192, 3, 1)}
MIXED = {  # widths: 1x1 | 1x1 3x3 | 1x1 3x3 | pooled 1x1
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def pad_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """TF's SAME: as many output cells as ceil(size / stride), the odd pixel of padding behind. All that is padded here
    is an image or follows a ReLU, so zero is right for pooling too."""
    padding: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


def pool_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)


class Unit(nn.Conv3d):
    """Convolution with SAME padding, normalisation (folded in) and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__(inputs, outputs, kernel, stride)
        self.extent, self.step = (kernel, kernel, kernel), (stride, stride, stride)

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(super().forward(pad_same(input, self.extent, self.step)), inplace=True)


class Mixed(nn.Module):
    """An inception module: four branches beside each other."""

    def __init__(self, inputs: int, widths: tuple[int, ...]):
        super().__init__()
        a, b, c, d, e, f = widths
        self.add_module("Branch_0/Conv3d_0a_1x1", Unit(inputs, a, 1))
        self.add_module("Branch_1/Conv3d_0a_1x1", Unit(inputs, b, 1))
        self.add_module("Branch_1/Conv3d_0b_3x3", Unit(b, c, 3))
        self.add_module("Branch_2/Conv3d_0a_1x1", Unit(inputs, d, 1))
        self.add_module("Branch_2/Conv3d_0b_3x3", Unit(d, e, 3))
        self.add_module("Branch_3/Conv3d_0b_1x1", Unit(inputs, f, 1))
        self.width = a + c + e + f

    def forward(self, x: Tensor) -> Tensor:
        one, reduce1, conv1, reduce2, conv2, pooled = self.children()
        around = pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([one(x), conv1(reduce1(x)), conv2(reduce2(x)), pooled(around)], dim=1)


class I3D(Frozen):
    """The network with the published weights, from the cache.

    Raises:
        WeightsError: the weights are not fetched.
    """

    standin = False

    def __init__(self):
        super().__init__()
        for name, shape in STEM.items():
            self.add_module(name, Unit(*shape))
        width = 192
        for name, widths in MIXED.items():
            block = Mixed(width, widths)
            self.add_module(name, block)
            width = block.width
        self.add_module("Logits/Conv3d_0c_1x1", nn.Conv3d(width, 400, 1))
        self.weights_sha256 = weights.sha256("i3d")
        _load(self, load_file(weights.path("i3d")))
        self.freeze()

    def forward(self, video: Tensor) -> Tensor:
        """Logits of Kinetics-400 [B, 400] of video [B, 3, T, 224, 224] in [-1, 1]."""
        x = video
        for name, block in self.named_children():
            if name in ("Conv3d_2b_1x1", "Mixed_3b"):
                x = pool_same(x, (1, 3, 3), (1, 2, 2))
            elif name == "Mixed_4b":
                x = pool_same(x, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                x = pool_same(x, (2, 2, 2), (2, 2, 2))
            elif name.startswith("Logits"):
                x = F.avg_pool3d(x, (2, 7, 7), 1)
            x = block(x)
        return x.squeeze((3, 4)).mean(2)


@torch.no_grad()
def _load(model: I3D, fetched: dict[str, Tensor]) -> None:
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv3d):
            kernel = fetched[f"params.{name}.Conv_0.kernel"]
            if isinstance(layer, Unit):
                beta, mean, variance = (
                    fetched[f"{group}.{name}.BatchNorm_0.{what}"]
                    for group, what in (("params", "bias"), ("batch_stats", "mean"), ("batch_stats", "var"))
                )
                scale = torch.rsqrt(variance + EPSILON)
                kernel, bias = kernel * scale[:, None, None, None, None], beta - mean * scale
            else:
                bias = fetched[f"params.{name}.Conv_0.bias"]
            layer.load_state_dict({"weight": kernel, "bias": bias})
