"""The measures that may judge predictions, and the calibration of one as JSON (design §4.12)."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestration.jobs import Job

if TYPE_CHECKING:
    from models.predict.calibration import Calibration
    from models.predict.differences import LpipsDiffer, Measure, MobileSamDiffer

NETWORKS = ("mobile_sam", "lpips_vgg")
TRAINED_WITH = ("dinov2", "qwen", "vae", "ltx")
"""Of the profile's weights, those that a predictor's training went through."""


def independent(job: Job, names: Collection[str] = NETWORKS) -> "list[Measure]":
    """The measures of these networks, each held against everything that a predictor's training went through.

    Raises:
        CircularityError: a network took part in the training.
        WeightsError: its weights are not fetched.
    """
    from models import weights
    from models.predict.differences import measures, require_independent

    differs = {name: _differ(name, job.profile.device) for name in names}
    # LPIPS on AlexNet is a loss of the phases that a predictor goes on from
    trained_with = {weights.sha256("lpips_alex"), *(job.weights[name] for name in TRAINED_WITH)}
    for differ in differs.values():
        require_independent(differ, trained_with)
    return measures(differs)


def measure_of(calibration: "Calibration", job: Job) -> "Measure":
    """The measure that was calibrated, its network loaded and no other."""
    name = next(name for name in NETWORKS if calibration.measure.startswith(name))
    return next(one for one in independent(job, (name,)) if one.name == calibration.measure)


def _differ(name: str, device: str) -> "MobileSamDiffer | LpipsDiffer":
    from models import weights
    from models.encoders.registry import load_encoder
    from models.evaluation.lpips import Lpips
    from models.predict.differences import LpipsDiffer, MobileSamDiffer

    if name == "mobile_sam":
        return MobileSamDiffer(load_encoder(name, weights.path(name), stride=1).to(device))
    return LpipsDiffer(Lpips("vgg"))


def as_document(calibration: "Calibration") -> dict[str, Any]:
    """A calibration in JSON values."""
    roc = {name: getattr(calibration.roc, name).tolist() for name in ("thresholds", "true", "false")}
    plain = {name: getattr(calibration, name) for name in ("measure", "threshold", "low", "high")}
    kinds = {"by_wrong": dict(calibration.by_wrong), "choices": dict(calibration.choices)}
    return {"schema": "foresight.calibration/1", **plain, "auc": calibration.auc.document(), **kinds, "roc": roc}


def of_document(document: dict[str, Any]) -> "Calibration":
    """The calibration that `as_document` gave."""
    from models.evaluation.metric import Metric
    from models.predict.calibration import Calibration, Roc

    roc = Roc(**{name: np.asarray(values) for name, values in document["roc"].items()})
    given = {name: document[name] for name in ("measure", "threshold", "low", "high", "by_wrong", "choices")}
    return Calibration(**given, auc=Metric(**document["auc"]), roc=roc)
