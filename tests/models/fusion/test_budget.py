"""Equal parameters for every kind, and the budget that they are held to (§2.2)."""

import dataclasses

import pytest

from models.fusion.budget import OverBudgetError, parameter_budget, require_within_budget
from models.fusion.build import KINDS, build
from models.fusion.config import FusionConfig, FusionError, as_written, proposed
from tests.models.fusion.toy import SMALL

ALLOWED = 50_000_000
LAPTOP = proposed(spatial_dim=64, semantic_dim=48, latent_channels=32, caption_channels=64, dim=192, heads=4, layers=3)


@pytest.mark.parametrize(
    ("config", "tolerance"),
    [(proposed(), 0.001), (as_written(), 0.001), (LAPTOP, 0.003), (proposed(semantic_dim=1536, layers=8), 0.002)],
    ids=["proposed", "as_written", "laptop", "deeper"],
)
def test_every_kind_has_the_qformers_parameters(config, tolerance, capsys):
    found = {kind: parameter_budget(dataclasses.replace(config, kind=kind), ALLOWED).parameters for kind in KINDS}
    with capsys.disabled():
        print("\n" + "  ".join(f"{kind} {n:,} ({n / found['qformer'] - 1:+.3%})" for kind, n in found.items()))
    assert all(abs(n / found["qformer"] - 1) < tolerance for n in found.values())


def test_as_written_is_over_and_the_default_is_within():
    assert parameter_budget(as_written(), ALLOWED).over == 6_876_177
    assert str(parameter_budget(as_written(), ALLOWED)) == (
        "56,876,177 trainable parameters, 6,876,177 over the budget of 50,000,000 (§2.2)"
    )
    assert str(parameter_budget(proposed(), ALLOWED)) == (
        "24,726,289 trainable parameters, 25,273,711 under the budget of 50,000,000 (§2.2)"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_over_budget_is_refused_with_the_numbers(kind):
    require_within_budget(proposed(kind=kind), ALLOWED)
    too_large: FusionConfig = dataclasses.replace(as_written(), kind=kind)
    with pytest.raises(OverBudgetError, match=rf"kind={kind} dim=1024 layers=4 has 56,[89]\d\d,\d+ tr") as caught:
        require_within_budget(too_large, ALLOWED)
    assert "\n" not in str(caught.value)


def test_a_kind_that_cannot_be_so_small_says_so():
    with pytest.raises(FusionError, match=r"a perceiver of dim=32 and layers=2 has at least .* raise mlp_ratio"):
        build(dataclasses.replace(SMALL, kind="perceiver", mlp_ratio=1))
