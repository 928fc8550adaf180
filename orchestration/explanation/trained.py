"""The trained arm that is explained: its job, its checkpoint, and the encoders that it was trained on."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration import profile as profiles
from orchestration.documents import Arm, Phase
from orchestration.home import Home
from orchestration.jobs import RESULT, Job, read

if TYPE_CHECKING:
    from models.fusion.base import Fusion
    from models.training.checkpoint import Checkpoint
    from orchestration.stages.inputs import Inputs

READS = {"hybrid": ("dinov2", "qwen"), "dino_only": ("dinov2",), "vlm_only": ("qwen",)}
"""The encoders whose tokens an arm is shown."""


class ExplanationError(ValueError):
    """What was asked for cannot be explained."""


@dataclass(frozen=True)
class Trained:
    """One arm of a finished phase."""

    job: Job
    """Of the training, its folders those of the home as it lies now."""
    arm: Arm
    checkpoint: "Checkpoint"
    run: str
    """Its MLflow run."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The encoders that it needs."""
        return READS[self.arm]

    @cached_property
    def inputs(self) -> "Inputs":
        """Its data and its frozen networks."""
        from orchestration.stages.inputs import Inputs

        return Inputs(self.job)

    @cached_property
    def fusion(self) -> "Fusion":
        """Its fusion, in evaluation mode."""
        from models.training.recipe import load_fusion

        return load_fusion(self.checkpoint.path).to(self.job.profile.device)


def find(home: Home, dataset: str, phase: Phase, arm: str = "", profile: str = "") -> Trained:
    """The arm of a phase in a home; without one, the arm that the phase is judged by.

    Args:
        profile: where the encoders' weights are, if no longer where the training found them.

    Raises:
        ExplanationError: the phase has no checkpoint or no such arm, or the encoders are other ones.
        CheckpointError: the checkpoint is damaged.
    """
    from models.training import checkpoint
    from orchestration.stages.generation import MAIN

    folder = home.run(dataset, f"phase{phase}")
    if not (folder / RESULT).is_file():
        raise ExplanationError(
            f"{folder}: no checkpoint of phase {phase}; train it with `foresight run`, or set FORESIGHT_HOME"
        )
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    arm = arm or MAIN[phase]
    if arm not in result["checkpoints"]:
        raise ExplanationError(f"phase {phase} has no arm {arm!r}; it trained {', '.join(result['checkpoints'])}")
    there = {"home": home.root, "workspace": home.workspace(dataset), "out": folder}
    job = read(folder / "job.json").model_copy(update=there)
    if profile:
        job = job.model_copy(update={"profile": profiles.load(profile)})
    found = Trained(job, arm, checkpoint.read(folder / result["checkpoints"][arm]), result["runs"][arm])  # type: ignore[arg-type]
    _require_same_encoders(found)
    return found


def _require_same_encoders(found: Trained) -> None:
    """A fusion reads only the tokens that it was trained on: other weights would give a picture of nothing."""
    for name in found.reads:
        now, then = found.job.profile.weights.sha256(name), found.job.weights[name]
        if now != then:
            raise ExplanationError(
                f"{name}: its weights are {now[:12]}, the phase was trained on {then[:12]}; restore them, or give the "
                "--profile that names them"
            )


def relative(path: Path, home: Home) -> str:
    """A path under the home, without where the home lies."""
    return str(path.relative_to(home.root)) if path.is_relative_to(home.root) else str(path)
