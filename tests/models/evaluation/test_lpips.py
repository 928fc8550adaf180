"""LPIPS: the published network with the published weights; the fast path gives its numbers; bad input is refused."""

import os
from pathlib import Path

import lpips as package
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from models import weights
from models.evaluation.inputs import MetricInputError
from models.evaluation.lpips import Lpips, clip_lpips, to_signed
from tests.models.evaluation.conftest import fetched

NAMES = ("ref", "p0", "p1")
BACKBONES = {  # width, stride and padding of each convolution, a number where pixels are pooled, and what layers count
    "alex": ("AlexNet_0", [(64, 4, 2), 3, (192, 1, 2), 3, (384, 1, 1), (256, 1, 1), (256, 1, 1)], range(5)),
    "vgg": (
        "VGG16_0",
        [*2 * [(64, 1, 1)], 2, *2 * [(128, 1, 1)], 2, *3 * [(256, 1, 1)], 2, *3 * [(512, 1, 1)], 2, *3 * [(512, 1, 1)]],
        (1, 3, 6, 9, 12),
    ),
}


def noisy(frames: np.ndarray, amount: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, amount, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


def definition(net: str, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """LPIPS from the paper's formula, written anew on the fetched arrays."""
    arrays = load_file(weights.path(f"lpips_{net}"))
    name, plan, taken = BACKBONES[net]
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    seen = []
    for x in (first, second):
        x, layers, k = (x - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1), [], 0
        for step in plan:
            if isinstance(step, int):
                x = nn.functional.max_pool2d(x, step, 2)
                continue
            width, stride, padding = step
            kernel, bias = arrays[f"{name}.Conv_{k}.kernel"], arrays[f"{name}.Conv_{k}.bias"]
            assert kernel.shape[0] == width
            x = nn.functional.conv2d(x, kernel, bias, stride, padding).relu()
            if k in taken:
                layers.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
            k += 1
        seen.append(layers)
    heads = [arrays[f"NetLinLayer_{k}.Conv_0.kernel"].flatten() for k in range(5)]
    return sum(((a - b).square().mean((2, 3)) @ head for a, b, head in zip(*seen, heads, strict=True)), torch.zeros(1))


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_equals_the_formula_on_the_fetched_arrays(net):
    fetched(f"lpips_{net}")
    torch.manual_seed(0)
    first, second = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(Lpips(net)(first, second), definition(net, first, second), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("net", "near", "far"), [("alex", 0.138, 0.722), ("vgg", 0.422, 0.569)])
def test_gives_the_distances_that_the_lpips_repository_publishes(net, near, far):
    """Its three example images are in no package: the test runs where a clone of that repository is at hand."""
    folder = Path(os.environ.get("LPIPS_REPOSITORY", "")) / "imgs"
    if not (folder / "ex_ref.png").is_file():
        pytest.skip("the LPIPS repository's example images are not here; set LPIPS_REPOSITORY to a clone of it")
    fetched(f"lpips_{net}")
    ref, p0, p1 = (to_signed(np.asarray(Image.open(folder / f"ex_{n}.png").convert("RGB"))[None]) for n in NAMES)
    with torch.no_grad():
        assert Lpips(net)(ref, p1).item() == pytest.approx(near, abs=0.001)
        assert Lpips(net)(ref, p0).item() == pytest.approx(far, abs=0.001)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_orders_distortions_and_knows_equals(net, moving_square):
    fetched(f"lpips_{net}")
    model = Lpips(net)
    frame = moving_square[0][0, :1]
    near, far = (model(to_signed(frame), to_signed(noisy(frame, amount))).item() for amount in (5, 60))
    assert model(to_signed(frame), to_signed(frame)).item() == 0
    assert 0 < near < far < 2
    assert len(model.weights_sha256) == 64


def test_backbone_knows_imagenet_and_not_noise(lpips_alex):
    """A random backbone would pass most tests here; the published one has these first filters and no others."""
    random = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    kernel = lpips_alex.model.net.slice1[0].weight
    assert not torch.equal(kernel, random.net.slice1[0].weight)
    grey = (kernel - kernel.mean(1, keepdim=True)).square().mean((1, 2, 3)) / kernel.square().mean((1, 2, 3))
    assert (grey < 0.1).sum() > 15  # about half of AlexNet's first filters see brightness alone


def test_per_clip_mean_of_frames_equals_the_package(lpips_alex, moving_square):
    frames = moving_square[0]
    made = noisy(frames, 20)
    values = clip_lpips(lpips_alex, frames, made)
    with torch.no_grad():
        expected = [
            lpips_alex.model(to_signed(a), to_signed(b)).mean().item() for a, b in zip(frames, made, strict=True)
        ]
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_is_a_loss_and_stays_frozen(lpips_alex):
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    lpips_alex.train()
    lpips_alex(image, torch.rand(1, 3, 64, 64)).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert not lpips_alex.model.training
    assert all(p.grad is None for p in lpips_alex.parameters())


def test_refuses_what_the_protocol_does_not_allow(lpips_alex, moving_square):
    frames = moving_square[0]
    with pytest.raises(MetricInputError, match="9 frames in the reference, 8 in the generated"):
        clip_lpips(lpips_alex, frames, frames[:, :8])
    with pytest.raises(MetricInputError, match=r"float64 in \[0, 0.863\]; bytes 0..255"):
        clip_lpips(lpips_alex, frames, np.clip(frames / 255, 0, 1) * (frames > 100))
    with pytest.raises(MetricInputError, match="at least 31 px"):
        clip_lpips(lpips_alex, frames[:, :, :16, :16], frames[:, :, :16, :16])
