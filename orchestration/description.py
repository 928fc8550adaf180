"""What a profile's system has and needs, held against what the programme promised (design §11): nothing is loaded, and
no GPU is asked for.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.fusion.config import FusionConfig
from orchestration import fusion_budget
from orchestration.documents import Phase
from orchestration.home import REPOSITORY
from orchestration.profile import Profile
from orchestration.programme import Programme
from orchestration.workspace import repository_params

if TYPE_CHECKING:
    from models.describe.training import Memory

GB = 1e9
SCHEMA = "foresight.model/1"
Verdict = Literal["within", "over", "unknown"]
TRAINED = {1: "fusion, its semantic stream unused", 2: "fusion, in each of three arms", 3: "fusion, LoRA, null caption"}
JOBS = 2
"""Of a phase, each with a reservation of its own: training and evaluation."""
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
class Line:
    """One number against one promise."""

    name: str
    value: float | None
    unit: str
    cap: float | None
    section: str
    parts: dict[str, float] = field(default_factory=dict)
    """What the value is made of, in its unit."""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Against the cap; unknown where the number or the cap is."""
        if self.value is None or self.cap is None:
            return "unknown"
        return "within" if self.value <= self.cap else "over"

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**asdict(self), "verdict": self.verdict}


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
    from models.describe.plan import Plan

    found = networks(fusion_budget.folders_of(profile))
    plan = Plan(
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
        trainable=_trainable(config, phases, programme),
        memory=[*_training_memory(phases, captioners, profile, programme), *_inference_memory(parts, programme)],
        storage=_storage(config, profile, programme),
        gpu_hours=_gpu_hours(profile, budget.gpu_hours),
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


def _trainable(config: FusionConfig, phases: "dict[int, Memory]", programme: Programme) -> list[Line]:
    limit = programme.budget.trainable_parameters
    budget = fusion_budget.parameter_budget(config, limit.most)
    low, high = limit.promised
    inside = "inside" if low <= budget.parameters <= high else "outside"
    note = f"{inside} the {low / 1e6:g}-{high / 1e6:g}M that §{limit.section} promises of the fusion"
    lines = [Line("fusion", budget.parameters, "parameters", limit.most, limit.section, note=note)]
    for phase in programme.phases:
        parts = dict(phases[phase].trained) if phase in phases else {}
        total = sum(parts.values()) if parts else None
        said = TRAINED[phase] if parts else WITHOUT_CAPTIONS
        lines.append(Line(f"Phase {phase}", total, "parameters", limit.most, limit.section, dict(parts), said))
    return lines


WITHOUT_CAPTIONS = "has no caption tokens, so this phase cannot train it"


def _training_memory(
    phases: "dict[int, Memory]", captioners: dict[str, int], profile: Profile, programme: Programme
) -> list[Line]:
    cap = programme.budget.vram_gb
    lines = []
    for phase in programme.phases:
        clips = f"{profile.training(phase).batch} clips a step"
        memory = phases.get(phase)
        if memory is None:
            lines.append(Line(f"Phase {phase}", None, "GB", cap.training, cap.section, note=WITHOUT_CAPTIONS))
            continue
        checkpointed = "on" if profile.lora.gradient_checkpointing else "off"
        note = clips + (f", gradient checkpointing {checkpointed}" if phase == 3 else "")
        parts = {name: getattr(memory, name) / GB for name in ("weights", "optimizer", "average", "step")}
        lines.append(Line(f"Phase {phase}", memory.total / GB, "GB", cap.training, cap.section, parts, note))
    if len(phases) > 1:
        parts = {name: size / GB for name, size in captioners.items()}
        note = "made before Phases 2 and 3, one network at a time"
        lines.append(Line("captions", max(parts.values()), "GB", cap.training, cap.section, parts, note))
    return lines


def _inference_memory(parts: dict[str, Any], programme: Programme) -> list[Line]:
    weights = {name: part.weights / GB for name, part in parts.items()}
    work = max(part.work for part in parts.values()) / GB
    total, made = sum(weights.values()) + work, {**weights, "work": work}
    promised = programme.budget.vram_gb
    deployed = next(row for row in programme.phases[3].beside if row.metric == "vram_gb")
    return [
        Line("inference", total, "GB", promised.inference, promised.section, made, "one clip, all networks loaded"),
        Line("inference", total, "GB", deployed.target, deployed.section, made, "the project's limit"),
    ]


def _storage(config: FusionConfig, profile: Profile, programme: Programme) -> list[Line]:
    """The precision that params.yaml asks for first; the profile's own clips and 100,000 of them."""
    from models.describe.storage import CLIPS, bytes_a_clip

    caps, params, lines = programme.budget.storage_gb, repository_params(), []
    phase_of: dict[str, Phase] = {"dinov2": 1, "qwen": 2, "latents": 3}
    own = profile.clips.train + profile.clips.heldout
    for stream, sizes in bytes_a_clip(config).items():
        stored = params[stream].get("precision", next(iter(sizes)))
        promised = [(caps.phases[phase_of[stream]], caps.section)]
        promised += [(caps.features.at, caps.features.section)] if stream == "dinov2" else []
        for precision in sorted(sizes, key=lambda name: name != stored):
            as_stored = " as stored" if precision == stored else ""
            for clips in (own, CLIPS):
                size = clips * sizes[precision] / GB
                note = f"{clips:,} clips of {sizes[precision]:,} bytes"
                lines += [
                    Line(f"{stream} in {precision}{as_stored}", size, "GB", cap, section, note=note)
                    for cap, section in promised
                ]
    return lines


def _gpu_hours(profile: Profile, caps: Any) -> list[Line]:
    hours, price = profile.budget.gpus * profile.budget.max_hours, caps.price
    note = f"{JOBS} reservations of {profile.budget.gpus} GPU x {profile.budget.max_hours:g} h at most"
    lines = [
        Line(
            f"Phase {phase}",
            JOBS * hours,
            "GPU-hours",
            cap,
            caps.section,
            {"usd": JOBS * hours * price.usd_per_hour},
            note,
        )
        for phase, cap in caps.phases.items()
    ]
    total = JOBS * hours * len(caps.phases)
    usd = {"usd": total * price.usd_per_hour}
    note = f"all phases; ${price.usd_per_hour:g} an hour (§{price.section})"
    return [
        *lines,
        Line("all", total, "GPU-hours", sum(caps.phases.values()), caps.section, usd, note),
        Line("all", total, "GPU-hours", caps.warn.at, caps.warn.section, usd, "past it a run is warned"),
    ]
