"""Memory of inference (§1.5), one clip at a time: all networks on the device, one of them at work.

As `models.bench.inference` measures it on a GPU: encoders in their precision, a float32 fusion, LTX with its adapters
and the VAE in bf16, no T5 (the fusion's tokens stand in its place). Of Qwen2.5-VL the language model is traced, which
holds the most; its vision tower works before it and passes on a few hundred tokens.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.decoder.conditions import by_route
from models.describe.networks import Network
from models.describe.peak import PeakMemory, placed, traced
from models.describe.plan import Plan
from models.describe.training import NO_WEIGHTS, fusion_on_meta, generator_on_meta, vae_on_meta
from models.encoders.dinov2 import Dinov2Encoder

PROMPT_TOKENS = 32
"""Of text around the video, about."""


@dataclass(frozen=True)
class Part:
    """Bytes of one network."""

    weights: int
    work: int
    """What its call needs beside all weights."""


def inference(plan: Plan, networks: Mapping[str, Network]) -> dict[str, Part]:
    """Of each network of the chain, by name. The whole needs all weights and the most that one call needs."""
    decoder = torch.bfloat16 if plan.precision == "bf16" else torch.float32
    encoder = Dinov2Encoder(deepcopy(networks["dinov2"].module), stride=1, **NO_WEIGHTS)
    qwen: Any = deepcopy(networks["qwen"].module)
    fusion, vae, generator = fusion_on_meta(plan).eval(), vae_on_meta(networks), generator_on_meta(plan, networks)
    dtypes = {encoder: plan.encoder("dinov2"), qwen: plan.encoder("qwen"), fusion: torch.float32}
    with traced() as peak, torch.no_grad():
        weights = {}
        for name, module in {"qwen": qwen, "dinov2": encoder, "fusion": fusion, "ltx": generator, "vae": vae}.items():
            before = peak.now
            placed(module, dtypes.get(module, decoder))
            weights[name] = peak.now - before
        given = plan.batch(1, 1)
        assert given.frames is not None
        frames, latents = given.frames[0][: plan.fusion.latent_frames], given.latents.to(decoder)  # one a latent frame
        words = given.semantic.tokens[0, :, :, 0].numel() + PROMPT_TOKENS if given.semantic else PROMPT_TOKENS

        def read() -> Tensor:
            text = qwen.model.language_model
            embedded = torch.zeros(1, words, plan.fusion.semantic_dim, dtype=plan.encoder("qwen"))
            return text(inputs_embeds=embedded, position_ids=torch.zeros(3, 1, words).long()).last_hidden_state

        def draw() -> Tensor:
            where = generator.pack(latents)
            said = torch.zeros(1, plan.fusion.semantic_queries or 1, plan.fusion.caption_channels, dtype=decoder)
            return generator.velocity(where, torch.ones(1, dtype=decoder), by_route(plan.routes, where, said, said[0]))

        def fuse() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bf16"):
                return fusion(given.spatial, given.semantic).latent_tokens

        calls: dict[str, Callable[[], Tensor]] = {
            "qwen": read,
            "dinov2": lambda: encoder.patch_tokens(frames),
            "fusion": fuse,
            "ltx": draw,
            "vae": lambda: vae.decode(latents),
        }
        return {name: Part(weights[name], _work(peak, call)) for name, call in calls.items()}


def _work(peak: PeakMemory, call: Callable[[], Tensor]) -> int:
    before = peak.peak = peak.now
    call()
    return peak.peak - before
