"""What the stage `predictor` adds to a training: tokens of context frames alone, and the predictor judged (§1.5).

Stored features are of whole clips, and an encoder may look ahead: the VLM pairs a context's last frame with the first
of the future. So the context frames are encoded anew, by the same networks, into stores of the stage's own folder.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.data import write_durably
from models.data.features import FeatureStore, extract
from models.evaluation.metric import bootstrap
from models.predict.calibration import Calibration, Distances, calibrate, distances, wrong_outcomes
from models.predict.sampling import condition, foretell, load
from models.training.data import TrainingData, read_batch
from models.training.horizon import Horizon, copied, errors_ahead, extrapolated
from models.training.prediction import at_full_length
from models.training.reconstruct import decode
from models.training.stores import training_data
from orchestration.prediction.verification import as_document, independent
from orchestration.stages.inputs import Inputs
from orchestration.stages.names import ERRORS, VERIFICATION
from orchestration.stages.parameters import section
from orchestration.stages.tokens import expected
from orchestration.versioning import fingerprint

STREAMS = ("dinov2", "qwen")


@dataclass(frozen=True)
class ContextInputs(Inputs):
    """The inputs of a predictor: as a phase's, but that the encoders see the context frames alone."""

    @cached_property
    def horizon(self) -> Horizon:
        """What is known of a clip, and what is foretold.

        Raises:
            HorizonError: the profile's context does not fit the clips or the VAE.
        """
        profile = self.job.profile
        return Horizon(profile.clips.frames, profile.prediction.context_frames, self.vae.geometry.temporal)

    def data(self, reporter: Any) -> TrainingData:
        """Tokens of the context frames, made now where they are not there, and latents of the whole clips."""
        latents = self.store("latents")
        for stored in (self.shards, latents):
            stored.verify()
        spatial, semantic = (self._context(name, reporter) for name in STREAMS)
        train, held_out = self.ids("train"), self.ids("heldout")
        return training_data(self.shards, train, held_out, latents=latents, spatial=spatial, semantic=semantic)

    def _context(self, name: str, reporter: Any) -> FeatureStore:
        from models.encoders.stored import tokens_of

        params, folder, known = section(name, self.job.workspace), self.job.out / "context" / name, self.horizon.context
        encoder = self.encoder(name, stride=params.get("stride", 1))
        encode, mark = tokens_of(encoder), fingerprint({"of": expected(name, params), "context_frames": known})
        extract(
            self.shards,
            folder,
            lambda frames: encode(frames[:, :known]),
            name=f"context by {name}",
            fingerprint=mark,
            weights_sha256=encoder.weights_sha256,
            standin=encoder.standin,
            batch=self.job.profile.clips.batch,
            progress=reporter,
        )
        return FeatureStore(folder, self.shards, mark)


def judge(inputs: ContextInputs, data: TrainingData, checkpoint: Path, reporter: Any) -> dict[str, float]:
    """Foretell held-out clips; leave the errors by step ahead and the verification's calibration beside the result."""
    job, horizon = inputs.job, inputs.horizon
    ids = list(data.held_out)[: job.profile.prediction.clips]
    true = torch.from_numpy(np.asarray(data.latents(ids), np.float32))
    made = _foretold(inputs, data, ids, checkpoint, reporter)
    made |= {"copy_last": copied(true, horizon.known), "extrapolated": extrapolated(true, horizon.known)}
    made["mean"] = torch.zeros_like(true)  # of normalised latents
    errors = {name: errors_ahead(one, true, horizon.known).numpy() for name, one in made.items()}
    _leave(job.out / ERRORS, _errors(job.profile.evaluation.seed, errors, horizon))
    frames = decode(inputs.vae, made["ltx"].numpy(), batch=job.profile.evaluation.batch, device=job.profile.device)
    calibration, _ = calibrated(inputs, ids, frames[:, horizon.context :], reporter)
    _leave(job.out / VERIFICATION, as_document(calibration))
    numbers = {f"latent_error_{name}": float(values.mean()) for name, values in errors.items()}
    return numbers | {"verification_auc": float(calibration.auc.value or 0.0)}


def _foretold(
    inputs: ContextInputs, data: TrainingData, ids: list[str], checkpoint: Path, reporter: Any
) -> dict[str, torch.Tensor]:
    """Latents of whole clips as the fusion and as the generator foretell them, by name."""
    from models.decoder.sampling import SamplingConfig

    settings, fresh = inputs.job.profile.evaluation, Inputs(inputs.job)
    trained = load(checkpoint, fresh.generator)
    trained.fusion.to(inputs.job.profile.device)
    config = SamplingConfig(settings.sampling_steps, settings.guidance_scale, settings.strength)
    noise, parts = torch.Generator().manual_seed(settings.seed), {"fusion": [], "ltx": []}
    whole = at_full_length(data, trained.fusion.config)
    for start in range(0, len(ids), settings.batch):
        batch = read_batch(whole, ids[start : start + settings.batch], arm="hybrid")
        conditioning = condition(trained, batch.spatial, batch.semantic)
        context = batch.latents[:, :, : inputs.horizon.known]
        parts["fusion"].append(conditioning.latents().float().cpu())
        parts["ltx"].append(foretell(trained, conditioning, context, config, noise).float().cpu())
        reporter("held-out clips foretold", min(start + settings.batch, len(ids)), len(ids), {})
    return {name: torch.cat(some) for name, some in parts.items()}


def calibrated(
    inputs: Inputs, ids: list[str], futures: np.ndarray, reporter: Any
) -> tuple[Calibration, dict[str, Distances]]:
    """The verification's calibration on predicted futures uint8 [N, F, H, W, 3] of held-out clips, and all distances.

    Raises:
        CircularityError: a measure's weights took part in the training.
        CalibrationError: too few clips.
    """
    true = inputs.shards.frames(ids)
    context = true.shape[1] - futures.shape[1]
    masks = inputs.shards.masks(ids) if inputs.shards.outlined(ids) == "masks" else None
    found = distances(
        independent(inputs.job), futures, true[:, context:], wrong_outcomes(true, context, masks), progress=reporter
    )
    return calibrate(found, inputs.job.profile.evaluation.seed), found


def _errors(seed: int, errors: dict[str, np.ndarray], horizon: Horizon) -> dict[str, Any]:
    """Squared error of normalised latents by latent frame ahead, with intervals over clips."""
    said = "squared error of normalised latents, mean over channels and cells"
    return {
        "schema": "foresight.prediction_errors/1",
        "horizon": {"frames": horizon.frames, "context": horizon.context, "frames_a_step": horizon.step},
        "errors": {
            name: [bootstrap(values[:, step], seed, said).document() for step in range(values.shape[1])]
            for name, values in errors.items()
        },
    }


def _leave(path: Path, document: dict[str, Any]) -> None:
    write_durably(path, json.dumps(document, indent=1).encode())
