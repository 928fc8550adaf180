"""Each route brings its part of the conditioning and no other, and training and sampling send it alike."""

from dataclasses import replace

import pytest
import torch

from models.decoder.conditions import by_route
from models.decoder.routes import RouteError, Routes
from models.decoder.sampling import SamplingConfig, SamplingError, sample
from tests.models.decoder import small

CONFIG = SamplingConfig(steps=4, strength=0.5)


@pytest.fixture(scope="module")
def generator():
    return small.toy_generator()


def told(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latent tokens, caption tokens and the null."""
    torch.manual_seed(seed)
    return torch.randn(3, 32, 4), torch.randn(3, 2, 8), torch.randn(2, 8)


def draw(generator, conditions, config=CONFIG):
    return sample(generator, conditions, config, torch.Generator().manual_seed(0))


def test_with_no_route_nothing_is_conditioned():
    with pytest.raises(RouteError, match="all are off"):
        Routes(latent_tokens=False, cross_attention=False, initial_latents=False)


@pytest.mark.parametrize(
    ("routes", "by_latents", "by_captions"),
    [
        (Routes(), True, True),
        (Routes(cross_attention=False), True, False),
        (Routes(latent_tokens=False), False, True),
        (Routes(latent_tokens=False, cross_attention=False, initial_latents=True), True, False),
        (Routes(initial_latents=True), True, True),
    ],
)
def test_a_sample_depends_on_what_its_routes_bring(generator, routes, by_latents, by_captions):
    latents, captions, null = told()
    other_latents, other_captions, _ = told(1)
    first = draw(generator, by_route(routes, latents, captions, null))
    where = draw(generator, by_route(routes, other_latents, captions, null))
    what = draw(generator, by_route(routes, latents, other_captions, null))
    assert (not torch.equal(first, where)) == by_latents
    assert (not torch.equal(first, what)) == by_captions


def test_without_cross_attention_the_null_is_in_its_place():
    latents, captions, null = told()
    conditions = by_route(Routes(cross_attention=False), latents, captions, null)
    assert torch.equal(conditions.semantic, null.expand(3, -1, -1))
    assert conditions.null is None


def test_initial_latents_enter_the_schedule_where_the_strength_says(generator):
    """At strength 1 nothing of them is left; below, the first of the remaining levels mixes them with the noise."""
    latents, captions, null = told()
    routes = Routes(latent_tokens=False, initial_latents=True)
    without = by_route(Routes(latent_tokens=False), latents, captions, null)
    whole = draw(generator, by_route(routes, latents, captions, null), SamplingConfig(steps=4, strength=1.0))
    assert torch.equal(whole, draw(generator, without))

    seen = []
    plain = generator.velocity
    generator.velocity = lambda noisy, sigma, conditions: seen.append((noisy, sigma)) or plain(noisy, sigma, conditions)
    try:
        draw(generator, by_route(routes, latents, captions, null))
    finally:
        del generator.velocity
    assert len(seen) == 2
    noisy, sigma = seen[0]
    assert torch.equal(sigma, generator.scheduler.sigmas[2].expand(3))
    noise = torch.randn(3, 32, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(noisy, sigma[0] * noise + (1 - sigma[0]) * latents)


def test_guidance_of_scale_1_is_none_and_costs_nothing(generator):
    latents, captions, null = told()
    guided = by_route(Routes(), latents, captions, null)
    calls = []
    plain = generator.velocity
    generator.velocity = lambda noisy, sigma, conditions: calls.append(1) or plain(noisy, sigma, conditions)
    try:
        unguided = draw(generator, by_route(Routes(), latents, captions, captions[0]))
        assert torch.equal(draw(generator, guided), unguided)
        assert len(calls) == 2 * CONFIG.steps
        draw(generator, guided, SamplingConfig(steps=4, guidance_scale=3.0))
        assert len(calls) == 4 * CONFIG.steps
    finally:
        del generator.velocity


def test_guidance_leads_away_from_the_null_by_its_scale(generator):
    """In the one step that a strength of a half leaves of two, the answer is linear in the scale."""
    latents, captions, null = told()
    routes = Routes(initial_latents=True)
    guided = by_route(routes, latents, captions, null)
    once = draw(generator, guided, SamplingConfig(steps=2, strength=0.5))
    strong = draw(generator, guided, SamplingConfig(steps=2, strength=0.5, guidance_scale=3.0))
    closed = replace(routes, cross_attention=False)
    nothing = draw(generator, by_route(closed, latents, captions, null), SamplingConfig(steps=2, strength=0.5))
    assert torch.allclose(strong - nothing, 3 * (once - nothing), atol=1e-6)
    assert (strong - nothing).norm() > (once - nothing).norm() > 1e-3


def test_guidance_without_a_null_is_refused(generator):
    with pytest.raises(SamplingError, match="no null to lead away from; set guidance_scale=1"):
        draw(generator, by_route(Routes(cross_attention=False), *told()), SamplingConfig(steps=2, guidance_scale=2.0))


@pytest.mark.parametrize("choices", [{"steps": 1}, {"guidance_scale": 0.5}, {"strength": 0.0}, {"strength": 1.1}])
def test_settings_that_cannot_be_sampled_with_are_refused(choices):
    with pytest.raises(SamplingError, match=next(iter(choices))):
        SamplingConfig(**{"steps": 2, **choices})
