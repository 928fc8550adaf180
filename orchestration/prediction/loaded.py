"""A predictor's networks, loaded and placed: what is missing of the encoders is left out and said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.provenance import WeightsError
from orchestration.prediction.plan import devices_of, loads
from orchestration.prediction.trained import DECODER, PredictorError, TrainedPredictor, require_same
from orchestration.profile import ProfileError

if TYPE_CHECKING:
    from models.encoders.base import Encoder
    from models.predict.pipeline import Pipeline

Progress = Callable[[str, int, int, dict[str, float]], None]
LEFT_OUT = "left out on request"


@dataclass(frozen=True)
class Loaded:
    """A pipeline that is ready, and where its networks lie."""

    pipeline: "Pipeline"
    devices: dict[str, str]


def load(trained: TrainedPredictor, *, without: str = "", progress: Progress = lambda *_: None) -> Loaded:
    """Load and place all networks.

    Args:
        without: an encoder that is left out.

    Raises:
        PredictorError: no such encoder, or other weights than the training's.
        PlacementError: the networks do not fit this machine's devices (exit 3).
        PredictionError: neither encoder is there.
    """
    import torch

    from models.decoder.sampling import SamplingConfig
    from models.predict.pipeline import ENCODERS, Pipeline, put
    from models.predict.placement import device_of
    from models.predict.sampling import load as of_checkpoint

    if without and without not in ENCODERS:
        raise PredictorError(f"--without {without}: no such stream; one of {', '.join(ENCODERS)}")
    profile, on_cpu = trained.job.profile, trained.job.profile.device == "cpu"
    devices: dict[str, str] = dict.fromkeys((*ENCODERS, "fusion", *DECODER), "cpu")
    if not on_cpu:  # on a CPU all share one memory, and tracing would take longer than predicting
        devices = device_of(loads(profile, devices_of("", profile)))
    # loaded on the CPU first: a card may hold the placed networks in half precision, but not all of them in full
    job = trained.job.model_copy(update={"profile": profile.model_copy(update={"device": "cpu"})})
    staged = TrainedPredictor(job, trained.checkpoint, trained.run)
    encoders: dict[str, Encoder] = {}
    missing: dict[str, str] = {}
    for done, name in enumerate(ENCODERS):
        if name == without:
            missing[name] = LEFT_OUT
            continue
        try:
            require_same(job, name)
            encoders[name] = staged.inputs.encoder(name, stride=stride_of(trained, name))
        except (ProfileError, WeightsError) as error:
            missing[name] = " ".join(str(error).split())
        progress(f"loaded {name}", done + 1, 4, {})
    found = of_checkpoint(trained.checkpoint.path, staged.inputs.generator)
    progress("loaded LTX", 4, 4, {})
    settings = profile.evaluation
    sampling = SamplingConfig(settings.sampling_steps, settings.guidance_scale, settings.strength)
    pipeline = Pipeline(found, staged.inputs.vae, encoders, sampling, missing)
    return Loaded(put(pipeline, devices, torch.float32 if on_cpu else torch.bfloat16), devices)


def stride_of(trained: TrainedPredictor, name: str) -> int:
    """Frames from one that an encoder sees to the next, as the data was encoded."""
    from orchestration.stages.parameters import section

    return section(name, trained.job.workspace).get("stride", 1)
