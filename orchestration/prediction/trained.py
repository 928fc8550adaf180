"""The predictor of a home: its job, its checkpoint, its errors and the calibration of what judges it."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orchestration import profile as profiles
from orchestration.home import Home
from orchestration.jobs import PREDICTOR, RESULT, Job, read

if TYPE_CHECKING:
    from models.training.checkpoint import Checkpoint
    from orchestration.stages.inputs import Inputs

DECODER = ("vae", "ltx")


class PredictorError(ValueError):
    """A predictor that is not there, or that cannot be used as things stand."""


@dataclass(frozen=True)
class TrainedPredictor:
    """A finished predictor."""

    job: Job
    """Of the training, its folders those of the home as it lies now."""
    checkpoint: "Checkpoint"
    run: str
    """Its MLflow run."""

    @cached_property
    def inputs(self) -> "Inputs":
        """Its data and its frozen networks."""
        from orchestration.stages.inputs import Inputs

        return Inputs(self.job)

    def left(self, name: str) -> dict[str, Any]:
        """A document that the training left beside its result.

        Raises:
            PredictorError: it is not there or damaged.
        """
        path = self.job.out / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PredictorError(f"{path}: cannot be read ({error}); {how_to_train(self.job.dataset)}") from error


def find(home: Home, dataset: str, profile: str = "") -> TrainedPredictor:
    """The predictor of a dataset in a home.

    Args:
        profile: where the weights are, if no longer where the training found them; else the training's.

    Raises:
        PredictorError: there is none, or the decoder's weights are other ones.
        CheckpointError: its checkpoint is damaged.
    """
    from models.training import checkpoint

    folder = home.run(dataset, PREDICTOR)
    if not (folder / RESULT).is_file():
        raise PredictorError(f"{folder}: no predictor of {dataset}; {how_to_train(dataset)}")
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    there = {"home": home.root, "workspace": home.workspace(dataset), "out": folder}
    job = read(folder / "job.json").model_copy(update=there)
    if profile:
        job = job.model_copy(update={"profile": profiles.load(profile)})
    for name in DECODER:
        require_same(job, name)
    return TrainedPredictor(job, checkpoint.read(folder / result["checkpoints"]["hybrid"]), result["runs"]["hybrid"])


def require_same(job: Job, name: str) -> None:
    """Refuse frozen weights that are not those of the training: what they gave would be a picture of nothing.

    Raises:
        PredictorError: they are other ones. ProfileError: they are not there.
    """
    now, then = job.profile.weights.sha256(name), job.weights[name]
    if now != then:
        raise PredictorError(
            f"{name}: its weights are {now[:12]}, the predictor was trained on {then[:12]}; restore them, or give the "
            "--profile that names them"
        )


def how_to_train(dataset: str) -> str:
    """The command that makes a predictor."""
    return f"train it with `foresight run --data {dataset} --until {PREDICTOR}`, or set FORESIGHT_HOME"
