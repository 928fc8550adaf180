"""What C4's cells measure: candidate futures, how far each is from the frames that have come, and the circular control.

The last frame is the answer. Whoever chooses sees the context and the frames that came before it; only the control
looks further, and says so.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from models.data import write_durably
from models.decoder.sampling import SamplingConfig
from models.evaluation.iou import mask_iou
from models.evaluation.lpips import Lpips, clip_lpips
from models.predict.calibration import distances
from models.predict.sampling import Trained, load
from models.studies.candidates import Draws
from models.training.horizon import Horizon, errors_ahead
from models.training.reconstruct import decode
from orchestration.jobs import JobError
from orchestration.prediction.verification import NETWORKS, independent
from orchestration.stages.inputs import Inputs
from orchestration.stages.measures import NO_OBJECTS, segmenter
from orchestration.stages.prediction import ContextInputs
from orchestration.stages.training import checkpoint
from orchestration.studies.c4 import CIRCULAR, DRAWS, VERIFIED
from orchestration.studies.study import Bench, Cell, Measured
from orchestration.studies.trainings import by_clip

FUTURES = "futures.safetensors"
Settings = dict[str, Any]
Values = dict[str, np.ndarray]


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell.

    Raises:
        CircularityError: a network that verifies took part in the training.
        JobError: clips whose objects nothing outlines, or the network that verifies; too few foretold frames.
    """
    settings: Settings = dict(cell.settings)
    return {DRAWS: _draws, VERIFIED: _verified, CIRCULAR: _circular}[settings["kind"]](settings, bench)


def _draws(settings: Settings, bench: Bench) -> Measured:
    """Every candidate's frames, kept; how well each has the objects in the last frame, and what the VLM sees of it."""
    fresh = Inputs(bench.inputs.job)  # with a generator that has no adapters yet
    trained, ids = _predictor(fresh), fresh.ids("heldout")[: settings["clips"]]
    _judged_by_another(fresh, ids, bench.sizes.networks)
    context = trained.horizon.context
    come = _arrived(trained.horizon, settings["arrived"])
    made = _candidates(settings, bench, fresh, trained, ids)
    true, latents = fresh.shards.frames(ids), fresh.store("latents").read(ids, "latents")
    reference, seen = _outlined(fresh, ids, true), fresh.seen(true[:, : context + come])
    found: Values = {}
    kept: Values = {"true": true[:, context:]}
    for name, drawn in made.items():
        frames = decode(fresh.vae, drawn, batch=settings["batch"], device=fresh.job.profile.device)
        whole = np.concatenate([true[:, :context], frames[:, context:]], axis=1)
        masks = _masks(fresh, ids, whole)[:, -1:]
        found[f"{name}/iou"] = mask_iou(reference[:, -1:], masks)
        found[f"{name}/semantic"] = 1 - _cosine(seen, fresh.seen(whole[:, : context + come]))
        found[f"{name}/own_loss"] = _own_loss(drawn, latents, trained.horizon)
        kept[name] = frames[:, context:]
        bench.reporter(f"{name} judged", len(found) // 3, len(made), {})
    write_durably(bench.folder / FUTURES, save({name: np.ascontiguousarray(clips) for name, clips in kept.items()}))
    said = {"by_clip": by_clip(ids, found), "numbers": _means(found)}
    return {"standin": fresh.job.profile.standins, "arrived": come, **said}


def _candidates(settings: Settings, bench: Bench, fresh: Inputs, trained: Trained, ids: list[str]) -> Values:
    """Latents by candidate. The context's tokens are those that the predictor was trained on."""
    job = fresh.job
    data = ContextInputs(job.model_copy(update={"out": job.inputs["predictor"]})).data(bench.reporter)
    given = job.profile.evaluation
    sampling = SamplingConfig(given.sampling_steps, given.guidance_scale, given.strength)
    draws = Draws(trained, sampling, settings["seed"], settings["batch"])
    return {name: made.numpy() for name, made in draws.of(settings["candidates"], data, ids).items()}


def _verified(settings: Settings, bench: Bench) -> Measured:
    """How far each candidate's frames are from those that have come, by networks that trained nothing here."""
    ids, futures, come = _kept(settings, bench)
    measures = independent(bench.job, [name for name in NETWORKS if name in settings["networks"]])
    true, made = _before(futures, come)
    apart = distances(measures, true, true, made, progress=bench.reporter)
    found = {f"{name}/{measure}": of for measure, one in apart.items() for name, of in one.wrong.items()}
    return {"standin": bench.job.profile.standins, "by_clip": by_clip(ids, found), "numbers": _means(found)}


def _circular(settings: Settings, bench: Bench) -> Measured:
    """The control: a loss of the training as verifier, and the verifier's own measure on the answer itself."""
    ids, futures, come = _kept(settings, bench)
    true, made = _before(futures, come)
    loss, network = Lpips("alex"), next(name for name in NETWORKS if settings["measure"].startswith(name))
    found = {f"{name}/lpips_alex": clip_lpips(loss, true, frames) for name, frames in made.items()}
    measure = [one for one in independent(bench.job, (network,)) if one.name == settings["measure"]]
    answers = {name: np.ascontiguousarray(frames[:, -1:]) for name, frames in futures.items()}
    answer = answers.pop("true")
    [peeked] = distances(measure, answer, answer, answers, progress=bench.reporter).values()
    found |= {f"{name}/answer": of for name, of in peeked.wrong.items()}
    return {"standin": bench.job.profile.standins, "by_clip": by_clip(ids, found), "numbers": _means(found)}


def _predictor(inputs: Inputs) -> Trained:
    """The predictor that the job names, in a generator that has no adapters yet."""
    trained = load(checkpoint(inputs.job.inputs["predictor"], "hybrid"), inputs.generator)
    trained.fusion.to(inputs.job.profile.device)
    return trained


def _arrived(horizon: Horizon, share: float) -> int:
    """Foretold frames that have come when a future is chosen; the last never has."""
    if horizon.ahead < 2:
        raise JobError(f"c4: {horizon.ahead} foretold frame; two are needed, one to verify and one to be judged by")
    return min(max(1, round(share * horizon.ahead)), horizon.ahead - 1)


def _judged_by_another(inputs: Inputs, ids: list[str], networks: Sequence[str]) -> None:
    """No network may both verify and say what is right: where boxes tell of objects, MobileSAM outlines them."""
    if inputs.shards.outlined(ids) == "boxes" and "mobile_sam" in networks:
        raise JobError(
            "c4: mobile_sam outlines the objects of clips with boxes, so it says what is right and may not verify; "
            "take it out of `networks` in config/experiments/c4.yaml"
        )


def _outlined(inputs: Inputs, ids: list[str], true: np.ndarray) -> np.ndarray:
    """Where objects are in the true clips; the segmenter's masks where the data has none."""
    return inputs.shards.masks(ids) if inputs.shards.outlined(ids) == "masks" else _masks(inputs, ids, true)


def _masks(inputs: Inputs, ids: list[str], clips: np.ndarray) -> np.ndarray:
    network = segmenter(inputs.job, inputs, ids)
    if network is None:
        raise JobError(f"c4: no future can be called right; {NO_OBJECTS}; give clips with masks or boxes")
    return network.masks(clips)


def _cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of tokens [N, T', n, D], mean over tokens: [N]."""
    norms = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return ((first * second).sum(-1) / np.maximum(norms, 1e-12)).mean((1, 2))


def _own_loss(drawn: np.ndarray, latents: np.ndarray, horizon: Horizon) -> np.ndarray:
    """What the predictor was trained to make small, of the whole future: the answer is in it."""
    import torch

    made, true = (torch.from_numpy(np.asarray(one, np.float32)) for one in (drawn, latents))
    return errors_ahead(made, true, horizon.known).mean(1).numpy()


def _kept(settings: Settings, bench: Bench) -> tuple[list[str], Values, int]:
    """The clips and futures of the cell of the draws, and how many frames of them have come."""
    futures = load_file(bench.folder_of(settings["of"]) / FUTURES)
    draws = bench.measured[settings["of"]]
    return list(next(iter(draws["by_clip"].values()))), futures, draws["arrived"]


def _before(futures: Values, come: int) -> tuple[np.ndarray, Values]:
    """The true frames that have come, and the candidates' in their place."""
    some = {name: np.ascontiguousarray(frames[:, :come]) for name, frames in futures.items()}
    return some.pop("true"), some


def _means(found: Values) -> dict[str, float]:
    return {name: float(np.nanmean(values)) for name, values in found.items() if np.isfinite(values).any()}
