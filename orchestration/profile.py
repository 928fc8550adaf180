"""A profile: with which weights, at which sizes and for how many steps the programme runs (design §5).

`laptop` is the embedded default; a path to a YAML file serves as a profile of one's own.
"""

import os
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.decoder.routes import Routes
from models.fusion.config import Kind, QueryMode
from orchestration.home import REPOSITORY

PROFILES = REPOSITORY / "config" / "profiles"
DEFAULT = "laptop"


class ProfileError(ValueError):
    """A profile that does not exist or says something it may not."""


class Part(BaseModel):
    """A section: unknown names are refused, because a misspelt number must not become a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(Part):
    """Folders of frozen weights: relative ones lie in the repository, $VARIABLES come from the environment."""

    dinov2: str
    qwen: str
    vae: str
    ltx: str
    segmenter: str

    def folder(self, name: str) -> Path:
        """The folder of one of them."""
        return weights_folder(getattr(self, name))


class Clips(Part):
    """How many generated clips, and at which size every clip is used."""

    train: int = Field(gt=0)
    heldout: int = Field(gt=0)
    frames: int = Field(gt=1)
    size: int = Field(gt=0)
    seed: int
    per_shard: int = Field(gt=0)
    batch: int = Field(gt=0, description="clips at a time through a frozen encoder")


class Training(Part):
    """The numbers of one phase's recipe."""

    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    seed: int = 0
    checkpoint_every: int = Field(gt=0)


class Fusion(Part):
    """Kind, width and depth of the fusion module; the rest follows from the encoders and the decoder."""

    kind: Kind = "qformer"
    query_mode: QueryMode = "learned"
    global_queries: bool = False
    dim: int = Field(gt=0)
    heads: int = Field(gt=0)
    layers: int = Field(gt=0)


class RouteSwitches(Part):
    """How the fusion's tokens reach the decoder in Phase 3 (design §4.5); at least one is on."""

    latent_tokens: bool = Field(default=True, description="clean latent tokens beside the noisy ones")
    cross_attention: bool = Field(default=True, description="caption tokens; when off, the learned null is there")
    initial_latents: bool = Field(default=False, description="sampling begins at the fusion's latents under noise")

    @model_validator(mode="after")
    def _one_is_on(self) -> Self:
        self.opened()
        return self

    def opened(self) -> Routes:
        """The routes as the models take them."""
        return Routes(**self.model_dump())


class Lora(Part):
    """The adapters of Phase 3."""

    rank: int = Field(gt=0)
    gradient_checkpointing: bool = Field(default=False, description="less memory for the decoder, more time")


class Evaluating(Part):
    """How much of the held-out clips an evaluation uses, and how it samples."""

    clips: int = Field(gt=0)
    batch: int = Field(gt=0)
    sampling_steps: int = Field(gt=1)
    guidance_scale: float = Field(default=1.0, ge=1, description="1 is off and costs nothing")
    strength: float = Field(default=0.5, gt=0, le=1, description="share of the steps for initial latents")
    vgg_clips: int = Field(gt=0, description="clips behind the second LPIPS; VGG is slow on a CPU")
    fvd_clips: int = Field(ge=2, description="clips behind FVD; I3D takes seconds a clip on a CPU")
    resamples: int = Field(gt=0, description="bootstrap resamples behind each interval")
    seed: int = 0


class Budget(Part):
    """What a phase reserves in the ledger before it is dispatched."""

    gpus: int = Field(ge=0)
    max_hours: float = Field(gt=0)


class Profile(Part):
    """All of it."""

    name: str
    device: Literal["cpu", "cuda"]
    threads: int | None = Field(default=None, description="threads of a worker; none leaves it to torch")
    standins: bool
    weights: Weights
    clips: Clips
    fusion: Fusion
    routes: RouteSwitches = RouteSwitches()
    lora: Lora
    phase1: Training
    phase2: Training
    phase3: Training
    evaluation: Evaluating
    budget: Budget

    def training(self, phase: int) -> Training:
        """The recipe numbers of a phase."""
        return getattr(self, f"phase{phase}")


def load(name: str = "") -> Profile:
    """The profile of a name or a file; without one, $FORESIGHT_PROFILE or the default."""
    name = name or chosen()
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.yaml")))
        raise ProfileError(f"profile {name!r}: no file {path}; known: {known}, or give a path to a .yaml file")
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise ProfileError(f"{path}: {' '.join(str(error).split())}") from error


def chosen() -> str:
    """The profile the environment names, else the default."""
    return os.environ.get("FORESIGHT_PROFILE", DEFAULT)


def located(name: str = "") -> str:
    """A profile that can be read, by its name or by its file's whole path: a process elsewhere finds the same one."""
    load(name)
    name = name or chosen()
    return str(Path(name).resolve()) if name.endswith((".yaml", ".yml")) else name


def weights_folder(name: str) -> Path:
    """Where a folder of weights named in a profile or in params.yaml lies."""
    path = Path(os.path.expandvars(name)).expanduser()
    if "$" in str(path):
        raise ProfileError(
            f"weights {name!r}: the environment variable is not set; set it to the folder of the weights"
        )
    return path if path.is_absolute() else REPOSITORY / path
