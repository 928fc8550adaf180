"""Encoders without weights: real classes that see what they are shown, and never pass for a published network."""

import pytest
import torch

from models.encoders.registry import ENTRIES
from models.studies.untrained import UntrainedError, untrained

SIZES: dict[str, int] = {"width": 32, "depth": 2, "patch": 8, "size": 32, "stride": 2}
NETWORKS = ("dinov2", "siglip", "mae", "eva_clip")


def clips(seed: int) -> torch.Tensor:
    noise = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, 32, 32, 3), dtype=torch.uint8, generator=noise)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_the_real_class_marked_as_a_stand_in(network):
    encoder = untrained(network, **SIZES, seed=0)
    assert type(encoder).__name__ == ENTRIES[network].encoder
    assert encoder.standin
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder(clips(0)).tokens.shape == (1, 2, 16, 32)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_seed_alone_makes_its_weights_and_other_weights_are_other_bytes(network):
    torch.manual_seed(5)
    first = untrained(network, **SIZES, seed=0)
    torch.manual_seed(6)
    again, other = untrained(network, **SIZES, seed=0), untrained(network, **SIZES, seed=1)
    assert torch.equal(first(clips(0)).tokens, again(clips(0)).tokens)
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256


@pytest.mark.parametrize("network", NETWORKS)
def test_what_it_is_shown_reaches_its_tokens(network):
    encoder = untrained(network, **SIZES, seed=0)
    one, two = (encoder(clips(seed)).tokens for seed in (0, 1))
    spread = one.std(dim=2).mean()
    assert (one - two).abs().mean() > 0.3 * spread


@pytest.mark.parametrize(
    ("change", "named"), [({"width": 40}, "width=40"), ({"patch": 5}, "patch=5"), ({"depth": 0}, "depth=0")]
)
def test_sizes_that_do_not_fit_are_refused(change, named):
    with pytest.raises(UntrainedError, match=named):
        untrained("mae", **{**SIZES, **change}, seed=0)


def test_an_unknown_network_is_refused():
    with pytest.raises(UntrainedError, match="one of dinov2, siglip, mae, eva_clip"):
        untrained("clip", **SIZES, seed=0)  # type: ignore[arg-type]
