"""The networks of the small benchmark on the meta device, and the plan of its clips."""

from collections.abc import Mapping

import pytest
import torch

from models.bench.setting import Setting, setting
from models.describe.geometry import Geometry
from models.describe.networks import Network
from models.describe.plan import Plan
from models.standins import dinov2, ltx, qwen, vae


@pytest.fixture(scope="session")
def small() -> Setting:
    return setting("small")


@pytest.fixture(scope="session")
def networks(small) -> Mapping[str, Network]:
    processor = qwen.build_processor()
    with torch.device("meta"):
        transformer, text = ltx.build(small.channels)
        modules = {"dinov2": dinov2.build(), "qwen": qwen.build(processor), "vae": vae.build()}
    modules |= {"transformer": transformer, "text_encoder": text}
    return {name: Network(module, "") for name, module in modules.items()}


@pytest.fixture(scope="session")
def plan(small, networks) -> Plan:
    geometry = Geometry(
        spatial_dim=networks["dinov2"].module.config.hidden_size,
        spatial_patch=8,
        semantic_dim=networks["qwen"].module.config.text_config.hidden_size,
        semantic_cell=16,
        latent_channels=small.channels,
        latent_cell=small.spatial,
        latent_step=small.temporal,
        caption_channels=small.caption_channels,
    )
    return Plan(
        fusion=geometry.fusion(small.frames, small.side, small.fusion),
        frames=small.frames,
        size=small.side,
        batches=(4, 4, 4),
        precision="fp32",
        lora_rank=small.lora_rank,
    )
