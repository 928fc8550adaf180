"""What a profile's system has and needs, held against what the programme promised (design §11): nothing is loaded, and
no GPU is asked for.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.fusion.config import FusionConfig
from orchestration.home import REPOSITORY
from orchestration.plan.programme import Programme
from orchestration.profile import Profile
from orchestration.system import fusion_budget, promised
from orchestration.system.promised import Line

if TYPE_CHECKING:
    from models.describe.plan import Plan

SCHEMA = "foresight.model/1"
NOTES = (
    "Parameters: counted on the meta device; no weights were read. Memory: the real modules, losses and optimizer were "
    "run on tensors without memory, and every storage counted while something held it.",
    "Training counts float32 weights (frozen ones too), two AdamW moments, averaged weights, and at the peak of a step "
    "gradients, activations kept for the backward pass, batch and temporaries.",
    "Not counted: CUDA's context (about 0.5 GB), workspaces of kernels, what the allocator reserves beyond what is in "
    "use, and Qwen's vision tower at work (its weights are). `foresight bench vram` measures on a GPU.",
    "Storage is from shapes: tokens with their mask, latents in float16; the clips themselves are not in it.",
)


@dataclass(frozen=True)
class Component:
    """One network of the system."""

    name: str
    parameters: int
    role: str
    source: str


@dataclass(frozen=True)
class Description:
    """All of it."""

    profile: str
    standins: bool
    fusion: str
    over_budget: bool
    components: list[Component]
    trainable: list[Line]
    memory: list[Line]
    storage: list[Line]
    gpu_hours: list[Line]

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        tables = ("trainable", "memory", "storage", "gpu_hours")
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in ("profile", "standins", "fusion", "over_budget")},
            "components": [asdict(one) for one in self.components],
            **{name: [line.document() for line in getattr(self, name)] for name in tables},
            "notes": list(NOTES),
        }


def describe(
    profile: Profile, programme: Programme, fusion: str = "", tell: Callable[[str], None] = lambda what: None
) -> Description:
    """Describe a profile, with another fusion if one is named; `tell` hears what is being traced.

    Raises:
        FusionError: no fusion has this name, or it cannot be built.
        GeometryError: the clips do not fit the networks.
        WeightsError: a folder's configuration makes no network.
    """
    geometry = fusion_budget.geometry_of(profile)
    geometry.require_fit(profile.clips.frames, profile.clips.size)
    config = fusion_budget.fusion_of(profile, geometry, fusion)

    tell("networks on the meta device")
    from models.describe import inference, training
    from models.describe.networks import networks

    found = networks(fusion_budget.folders_of(profile))
    plan = plan_of(profile, config)
    tell("a training step of each phase")
    phases = training.phases(plan, found)
    tell("inference")
    parts = inference.inference(plan, found)
    budget = programme.budget
    captioners = {
        "T5": found["text_encoder"].parameters * 4,
        "qwen": found["qwen"].parameters * plan.encoder("qwen").itemsize,
    }
    return Description(
        profile=profile.name,
        standins=profile.standins,
        fusion=_named(config, fusion or profile.fusion.named or ""),
        over_budget=profile.fusion.over_budget,
        components=_components(plan, found),
        trainable=promised.trainable(config, phases, programme),
        memory=[
            *promised.training_memory(phases, captioners, profile, programme),
            *promised.inference_memory(parts, programme),
        ],
        storage=promised.storage(config, profile, programme),
        gpu_hours=promised.gpu_hours(profile, budget.gpu_hours),
    )


def plan_of(profile: Profile, config: FusionConfig) -> "Plan":
    """What memory depends on, of a profile with this fusion."""
    from models.describe.plan import Plan

    return Plan(
        fusion=config,
        frames=profile.clips.frames,
        size=profile.clips.size,
        batches=(profile.phase1.batch, profile.phase2.batch, profile.phase3.batch),
        precision="bf16" if profile.device == "cuda" else "fp32",
        encoders=profile.weights.precisions,
        lora_rank=profile.lora.rank,
        gradient_checkpointing=profile.lora.gradient_checkpointing,
        routes=profile.routes.opened(),
    )


def _named(config: FusionConfig, name: str) -> str:
    sizes = f"{config.kind}, dim {config.dim}, {config.heads} heads, {config.layers} layers"
    return f"{name}: {sizes}" if name and name != config.kind else sizes


def _components(plan: Any, found: dict[str, Any]) -> list[Component]:
    from models.describe.training import fusion_on_meta, lora_parameters

    roles = {
        "qwen": ("Qwen2.5-VL", "semantic stream, frozen"),
        "dinov2": ("DINOv2", "spatial stream, frozen"),
        "transformer": ("LTX transformer", "decoder, frozen"),
        "vae": ("LTX VAE", "latents and pixels, frozen"),
        "text_encoder": ("T5", "captions of Phases 2 and 3, frozen"),
    }
    frozen = [
        Component(title, found[name].parameters, role, _place(found[name].source))
        for name, (title, role) in roles.items()
    ]
    fusion = sum(parameter.numel() for parameter in fusion_on_meta(plan).parameters())
    return [
        *frozen,
        Component("fusion", fusion, "trained in all phases", "profile"),
        Component(f"LoRA, rank {plan.lora_rank}", lora_parameters(plan, found), "trained in Phase 3", "profile"),
    ]


def _place(source: str) -> str:
    """A folder of the repository by its place there."""
    return str(Path(source).relative_to(REPOSITORY)) if Path(source).is_relative_to(REPOSITORY) else source
