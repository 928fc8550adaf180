"""A profile's numbers against what the programme promised: parameters, memory, storage, GPU-hours (design §11)."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from models.fusion.config import FusionConfig
from orchestration.data.workspace import repository_params
from orchestration.documents import Phase
from orchestration.plan.programme import Programme
from orchestration.profile import Profile
from orchestration.system.fusion_budget import parameter_budget

if TYPE_CHECKING:
    from models.describe.training import Memory

GB = 1e9
Verdict = Literal["within", "over", "unknown"]
TRAINED = {1: "fusion, its semantic stream unused", 2: "fusion, in each of three arms", 3: "fusion, LoRA, null caption"}
JOBS = 2
"""Of a phase, each with a reservation of its own: training and evaluation."""
WITHOUT_CAPTIONS = "has no caption tokens, so this phase cannot train it"


@dataclass(frozen=True)
class Line:
    """One number against one promise."""

    name: str
    value: float | None
    unit: str
    cap: float | None
    section: str
    parts: dict[str, float] = field(default_factory=dict)
    """What the value is made of, in its unit; of GPU-hours, what they cost."""
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


def trainable(config: FusionConfig, phases: "dict[int, Memory]", programme: Programme) -> list[Line]:
    """The fusion against §2.2, and all that each phase trains; `phases` holds those that can train."""
    limit = programme.budget.trainable_parameters
    budget = parameter_budget(config, limit.most)
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


def training_memory(
    phases: "dict[int, Memory]", captioners: dict[str, int], profile: Profile, programme: Programme
) -> list[Line]:
    """The peak of a step of each phase against §3.1, and of what makes the captions before; bytes in, GB out."""
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


def inference_memory(parts: dict[str, Any], programme: Programme) -> list[Line]:
    """All networks and the most that one of them needs at work, against §3.1 and §6.4."""
    weights = {name: part.weights / GB for name, part in parts.items()}
    work = max(part.work for part in parts.values()) / GB
    total, made = sum(weights.values()) + work, {**weights, "work": work}
    promised = programme.budget.vram_gb
    deployed = next(row for row in programme.overall.criteria if row.metric == "vram_gb")
    return [
        Line("inference", total, "GB", promised.inference, promised.section, made, "one clip, all networks loaded"),
        Line("inference", total, "GB", deployed.target, deployed.section, made, "the project's limit"),
    ]


def storage(config: FusionConfig, profile: Profile, programme: Programme) -> list[Line]:
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


def gpu_hours(profile: Profile, caps: Any) -> list[Line]:
    """What the profile may reserve for each phase and for all, against D.2 and §3.1, with its price."""
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
