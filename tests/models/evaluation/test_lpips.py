"""LPIPS: the published network with the published weights; the fast path gives its numbers; bad input is refused."""

import lpips as package
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from models import weights
from models.evaluation.inputs import MetricInputError
from models.evaluation.lpips import Lpips, clip_lpips, to_signed
from tests.models.evaluation.conftest import fetched


def noisy(frames: np.ndarray, amount: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, amount, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


def definition(net: str, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """LPIPS from the paper's formula, written anew on the fetched arrays."""
    arrays = load_file(weights.path(f"lpips_{net}"))
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    seen = []
    for x in (first, second):
        x, layers = (x - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1), []
        plan = ["64", "M", "192", "M", "384", "256", "256"]
        for k, conv in enumerate(p for p in plan if p != "M"):
            kernel, bias = arrays[f"AlexNet_0.Conv_{k}.kernel"], arrays[f"AlexNet_0.Conv_{k}.bias"]
            assert kernel.shape[0] == int(conv)
            stride, padding = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))[k]
            x = nn.functional.conv2d(x, kernel, bias, stride, padding).relu()
            layers.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
            x = nn.functional.max_pool2d(x, 3, 2) if k < 2 else x
        seen.append(layers)
    heads = [arrays[f"NetLinLayer_{k}.Conv_0.kernel"].flatten() for k in range(5)]
    return sum(((a - b).square().mean((2, 3)) @ head for a, b, head in zip(*seen, heads, strict=True)), torch.zeros(1))


def test_equals_the_formula_on_the_fetched_arrays(lpips_alex):
    torch.manual_seed(0)
    first, second = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(lpips_alex(first, second), definition("alex", first, second), rtol=1e-4, atol=1e-6)


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
