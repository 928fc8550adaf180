"""What is said of a foretold clip: the document."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration.explanation.trained import relative
from orchestration.home import Home
from orchestration.prediction.clip import Given
from orchestration.prediction.document import (
    Ahead,
    Component,
    Latency,
    Pins,
    PredictionDocument,
    Sampling,
    Verified,
)
from orchestration.prediction.loaded import Loaded
from orchestration.prediction.trained import TrainedPredictor
from orchestration.stages.names import ERRORS
from orchestration.versioning import code_commit

if TYPE_CHECKING:
    from models.predict.calibration import Calibration
    from models.predict.differences import Measure
    from models.predict.pipeline import Prediction
    from models.predict.verify import Verification

DECODING = ("vae_encoder", "ltx", "vae_decoder")
"""What D.1 counts as "LTX-Video generation"."""


@dataclass(frozen=True)
class Verdict:
    """What held a prediction against its outcome, and what it found."""

    measure: "Measure"
    calibration: "Calibration"
    found: "Verification"


def document(
    trained: TrainedPredictor,
    loaded: Loaded,
    read: Given,
    made: "Prediction",
    verified: Verdict | None,
    home: Home,
    files: list[str],
) -> PredictionDocument:
    """All of it, with pins; `files` are the names beside the document."""
    job, horizon, sampling = trained.job, made.horizon, loaded.pipeline.sampling
    return PredictionDocument(
        clip=read.seen,
        horizon=Ahead(
            context_frames=horizon.context,
            predicted_frames=horizon.ahead,
            fps=read.fps,
            seconds=horizon.ahead / read.fps,
        ),
        dataset=job.dataset,
        profile=job.profile.name,
        standins=job.profile.standins,
        sampling=Sampling(
            steps=sampling.steps,
            guidance_scale=sampling.guidance_scale,
            strength=sampling.strength,
            seed=made.seed,
        ),
        frames_sha256=hashlib.sha256(made.frames.tobytes()).hexdigest(),
        streams_lost=made.lost,
        pins=Pins(
            checkpoint=relative(trained.checkpoint.path, home),
            checkpoint_sha256=trained.checkpoint.state["fingerprint"],
            steps=trained.checkpoint.step,
            data_version=job.data_version,
            trained_by=job.code_commit,
            predicted_by=code_commit(),
            weights=dict(job.weights),
            run=trained.run,
        ),
        latency=latency(made, loaded.devices),
        verification=None if verified is None else _verified(verified),
        files=files,
        notes=_notes(trained, read, made),
    )


def latency(made: "Prediction", devices: dict[str, str]) -> Latency:
    """A call's components beside Appendix D.1's estimates."""
    from models.bench.figures import PROPOSED

    spent = {name: made.seconds[name] for name in ("qwen", "dinov2", "fusion") if name in made.seconds}
    proposed = {name: PROPOSED[title][0] for name, title in _TITLES.items()}
    generation = sum(made.seconds[name] for name in DECODING)
    components = {name: Component(seconds=one, proposed_s=proposed[name]) for name, one in spent.items()}
    components["generation"] = Component(seconds=generation, proposed_s=proposed["generation"])
    components |= {f"generation: {name}": Component(seconds=made.seconds[name]) for name in DECODING}
    return Latency(
        components=components,
        serial_s=made.serial_s,
        parallel_s=made.parallel_s,
        proposed_serial_s=round(sum(proposed.values()), 3),
        proposed_parallel_s=round(sum(proposed.values()) - min(proposed["qwen"], proposed["dinov2"]), 3),
        devices=devices,
    )


_TITLES = {
    "qwen": "Qwen2.5-VL encoding",
    "dinov2": "DINOv2 encoding",
    "fusion": "fusion",
    "generation": "LTX generation",
}


def _verified(verdict: Verdict) -> Verified:
    measure, line, found = verdict.measure, verdict.calibration, verdict.found
    return Verified(
        verdict=found.verdict,
        why=found.why,
        distance=found.distance,
        threshold=line.threshold,
        low=line.low,
        high=line.high,
        auc=line.auc.value,
        auc_low=line.auc.low,
        auc_high=line.auc.high,
        measure=measure.name,
        protocol=measure.says,
        kin=measure.kin,
    )


def _notes(trained: TrainedPredictor, read: Given, made: "Prediction") -> list[str]:
    """What a reader must know of this prediction."""
    said = [f"{name} was not there ({why}): foretold by the other stream alone" for name, why in made.lost.items()]
    if trained.job.profile.standins:
        said.append("made with stand-ins: small models that know generated clips only and say nothing of the real ones")
    if read.outcome is None:
        said.append("what follows the context is not known: nothing to compare with")
    errors = trained.left(ERRORS)["errors"]
    last = {name: steps[-1]["value"] for name, steps in errors.items()}
    simple = min(("mean", "copy_last", "extrapolated"), key=lambda name: last[name])
    said.append(
        f"on held-out clips the last latent frame's error was {last['ltx']:.3f}, that of {simple} {last[simple]:.3f}"
        + ("" if last["ltx"] < last[simple] else ": the predictor is no better than what needs no model")
    )
    return said
