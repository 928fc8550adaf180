"""A profile: with which weights, at which sizes and for how many steps the programme runs (design §5).

`laptop` is the embedded default; a path to a YAML file serves as a profile of one's own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.decoder.routes import Routes
from models.encoders.registry import Precision
from models.fusion.config import NAMED, Kind, QueryMode, sizes_of
from models.pretrained import LTX_PARTS, find, hub_folder
from models.provenance import WeightsError, require_pinned
from orchestration.dispatch.needs import Dispatch, Needs
from orchestration.home import REPOSITORY
from orchestration.versioning import weights_hashes, weights_sha256

PROFILES = REPOSITORY / "config" / "profiles"
DEFAULT = "laptop"
PARTS = {"ltx": LTX_PARTS}
"""What of a folder of weights is used, where it is not the whole folder."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ProfileError(ValueError):
    """A profile that does not exist or says something it may not."""


class Part(BaseModel):
    """A section: unknown names are refused, because a misspelt number must not become a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pretrained(Part):
    """Frozen weights, in safetensors; a bare string in a profile is their source alone."""

    source: str = Field(description="a folder, or a hub's `org/name@COMMIT` or `org/name@COMMIT/folder`")
    sha256: Sha256 | dict[str, Sha256] | None = Field(
        default=None, description="of the folder, or of each file by its place in it; others are refused"
    )

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _stays(self) -> Self:
        """A hub's name must name a commit: a branch or a tag would be other weights one day."""
        if "@" in self.source and "$" not in self.source and not local(self.source).is_dir():
            try:
                hub_folder(self.source)
            except WeightsError as error:
                raise ValueError(str(error)) from error
        return self


class PretrainedEncoder(Pretrained):
    """A frozen encoder."""

    precision: Precision = Field(default="float32", description="of its parameters and tokens while it computes")


class Weights(Part):
    """Frozen weights: relative folders lie in the repository, $VARIABLES come from the environment."""

    dinov2: PretrainedEncoder
    qwen: PretrainedEncoder
    vae: Pretrained
    ltx: Pretrained
    segmenter: Pretrained

    def folder(self, name: str, *, fetch: bool = True) -> Path:
        """The folder of one of them, with the pinned bytes; what a hub has is fetched first, if it may be.

        Raises:
            ProfileError: it is not there, or not what is pinned.
        """
        given: Pretrained = getattr(self, name)
        with _weights_of(name):
            folder = weights_folder(given.source, PARTS.get(name, ()), fetch=fetch)
            if given.sha256 is not None:
                require_pinned(folder, weights_hashes(folder, PARTS.get(name, ())), given.sha256)
        return folder

    def sha256(self, name: str) -> str:
        """The hash of one of them, as it lies there.

        Raises:
            ProfileError: it is not there, or not what is pinned.
        """
        folder = self.folder(name)
        with _weights_of(name):
            return weights_sha256(folder, PARTS.get(name, ()))

    @property
    def precisions(self) -> dict[str, Precision]:
        """In what each encoder computes."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: one.precision for name, one in given.items() if isinstance(one, PretrainedEncoder)}


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

    named: str | None = Field(default=None, description="proposed or as_written: all sizes of a named configuration")
    kind: Kind = "qformer"
    query_mode: QueryMode = "learned"
    global_queries: bool = False
    dim: int | None = Field(default=None, gt=0)
    heads: int | None = Field(default=None, gt=0)
    layers: int | None = Field(default=None, gt=0)
    semantic_queries: int | None = Field(default=None, ge=0, description="queries that become caption tokens")
    over_budget: bool = Field(
        default=False, description="go over §2.2's parameter budget on purpose; changes no number, and is shown"
    )

    @model_validator(mode="after")
    def _sizes_once(self) -> Self:
        """The sizes come from a name or stand here; the number of caption tokens may stand beside a name."""
        given = [name for name in ("dim", "heads", "layers") if getattr(self, name) is not None]
        if self.named is None and len(given) < 3:
            raise ValueError("give dim, heads and layers, or named: " + " or ".join(NAMED))
        if self.named is not None and given:
            raise ValueError(f"named: {self.named} sets {', '.join(given)}; leave them out, or leave out named")
        self.choices()
        return self

    def choices(self) -> dict[str, Any]:
        """What it sets of a `FusionConfig`: equal for a name and for the sizes that the name stands for."""
        sizes = {} if self.named is None else dict(sizes_of(self.named))
        chosen = self.model_dump(exclude={"named", "over_budget"}, exclude_none=True)
        return {**sizes, **chosen}


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
    prompted_clips: int = Field(
        default=24, gt=0, description="clips of which MobileSAM masks one frame; it takes seconds a frame on a CPU"
    )
    vgg_clips: int = Field(gt=0, description="clips behind the second LPIPS; VGG is slow on a CPU")
    fvd_clips: int = Field(ge=2, description="clips behind FVD; I3D takes seconds a clip on a CPU")
    resamples: int = Field(gt=0, description="bootstrap resamples behind each interval")
    seed: int = 0


class Predicting(Part):
    """A predictor: what it is shown, how it is trained, and on how much its verification is calibrated (§1.5)."""

    context_frames: int = Field(gt=0, description="first frames of a clip, which are known; the rest is foretold")
    clips: int = Field(gt=0, description="held-out clips of its errors and of the verification's threshold")
    training: Training


class Budget(Part):
    """What a phase reserves in the ledger before it is dispatched."""

    gpus: int = Field(ge=0)
    max_hours: float = Field(gt=0)


class Workers(Part):
    """Over how many workers a training is spread. Each has one device and its part of every batch."""

    least: int = Field(default=1, gt=0, description="with so many it still goes on where others are lost")
    most: int = Field(default=1, gt=0)
    extraction: int = Field(default=1, gt=0, description="workers of a frozen encoder; each takes shard after shard")
    accelerator: str | None = Field(default=None, description="the kind of GPU, as nodes declare it; none: no GPU")
    cpus: float = Field(default=1.0, gt=0, description="of each")
    restarts: int = Field(default=3, ge=0, description="times that workers may be lost in one training")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least: {self.least} is more than most: {self.most}")
        return self


class Profile(Part):
    """All of it."""

    name: str
    device: Literal["cpu", "cuda"]
    threads: int | None = Field(default=None, description="threads of a worker; none leaves it to torch")
    readers: int = Field(default=1, ge=0, description="threads that read training batches ahead")
    standins: bool
    weights: Weights
    clips: Clips
    fusion: Fusion
    routes: RouteSwitches = RouteSwitches()
    lora: Lora
    phase1: Training
    phase2: Training
    phase3: Training
    prediction: Predicting
    evaluation: Evaluating
    budget: Budget
    dispatch: Dispatch = Dispatch()
    workers: Workers = Workers()

    @model_validator(mode="after")
    def _enough_for_all_workers(self) -> Self:
        """Every worker has at least one clip of a batch, and its GPU is reserved."""
        most = self.workers.most
        for phase in (1, 2, 3):
            if self.training(phase).batch < most:
                raise ValueError(
                    f"workers.most: {most} cannot share phase{phase}'s batch of {self.training(phase).batch}"
                )
        for name, count in (("most", most), ("extraction", self.workers.extraction)):
            if self.device == "cuda" and self.budget.gpus < count:
                raise ValueError(
                    f"budget.gpus: {self.budget.gpus} are reserved and workers.{name} is {count}; reserve as many"
                )
        return self

    def needs(self, stage: str) -> Needs:
        """What a stage needs of the machine that it is sent to; GPUs of several workers are asked for by them."""
        needs = self.dispatch.needs(stage)
        return needs.model_copy(update={"gpus": ()}) if self._workers_of(stage) > 1 else needs

    def gpus_of_workers(self, stage: str) -> int:
        """GPUs that the workers of a stage ask for themselves; none where it has no workers of its own."""
        count = self._workers_of(stage)
        return count if count > 1 and self.device == "cuda" else 0

    def _workers_of(self, stage: str) -> int:
        if stage in ("phase1", "phase2", "phase3"):
            return self.workers.most
        return self.workers.extraction if stage in ("dinov2", "qwen", "latents") else 1

    def training(self, phase: int) -> Training:
        """The recipe numbers of a phase."""
        return getattr(self, f"phase{phase}")

    def hash_of(self, name: str) -> str:
        """The sha256 of frozen weights: those that `foresight weights fetch` brings, or a folder of this profile's.

        Raises:
            ProfileError: they are not here, or not what is pinned.
        """
        from models import weights

        return weights.sha256(name) if name in weights.NAMES else self.weights.sha256(name)


@contextmanager
def _weights_of(name: str) -> Iterator[None]:
    """Say of which of a profile's weights an error is."""
    try:
        yield
    except WeightsError as error:
        raise ProfileError(f"weights of {name}: {error}") from error


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


def local(source: str) -> Path:
    """Where a source of weights would lie if it is a folder.

    Raises:
        ProfileError: it names an environment variable that is not set.
    """
    path = Path(os.path.expandvars(source)).expanduser()
    if "$" in str(path):
        raise ProfileError(
            f"weights {source!r}: the environment variable is not set; set it to the folder of the weights"
        )
    return path if path.is_absolute() else REPOSITORY / path


def weights_folder(source: str, parts: tuple[str, ...] = (), *, fetch: bool = True) -> Path:
    """The folder of weights that a profile or params.yaml names; see `models.pretrained.find`."""
    folder = local(source)
    return find(folder if folder.is_dir() else source, parts, fetch=fetch)
