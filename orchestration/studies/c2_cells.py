"""What each cell of C2 measures: captions and encoders are made once, fusions and routes are trained and judged."""

from models.evaluation.lpips import Lpips, clip_lpips
from models.fusion.budget import require_within_budget
from models.studies.cost import cost
from models.studies.errors import errors, latent_errors
from models.studies.told import temporal_errors
from models.training import checkpoint, phase3
from models.training.generator import NULL, Adapted
from models.training.recipe import load_fusion
from models.training.reconstruct import conditionings, decode
from orchestration.plan.programme import load
from orchestration.profile import RouteSwitches
from orchestration.stages.generation import sample
from orchestration.stages.inputs import Inputs
from orchestration.stages.measures import directions
from orchestration.studies import c2_encoders
from orchestration.studies.c2 import named
from orchestration.studies.c2_bench import fusion_of, standin, training_of
from orchestration.studies.short import TEXTS
from orchestration.studies.study import Bench, Cell, Measured
from orchestration.studies.trainings import (
    NEVER,
    Settings,
    by_clip,
    clips,
    keep_captions,
    loop_of_cell,
    pace,
    train_fusion,
)


def measure(cell: Cell, bench: Bench) -> Measured:
    """One cell; a training that was cut short goes on at its last checkpoint.

    Raises:
        OverBudgetError: a fusion above §2.2's parameters whose sizes do not say so.
        ShardError, FeatureError, WeightsError, CheckpointError: what it needs is not there, or not as it was written.
    """
    settings: Settings = dict(cell.settings)
    kinds = {TEXTS: keep_captions, "encoder": _encoder, "fusion": _fusion, "routes": _routes}
    return kinds[settings["kind"]](settings, bench)


def _encoder(settings: Settings, bench: Bench) -> Measured:
    train, heldout = clips(settings, bench.inputs)
    if "stored" in settings:
        return c2_encoders.stored(settings["stored"], bench.inputs, train)
    return c2_encoders.made(settings, bench.inputs, [*train, *heldout], bench.folder, bench.reporter)


def _fusion(settings: Settings, bench: Bench) -> Measured:
    """Phase 2's objective without its decoded pixels, on an arm, an encoder and a fusion."""
    inputs, data, arm = bench.inputs, training_of(settings, bench), settings["arm"]
    config = fusion_of(settings, inputs, data)
    if not settings["over_budget"]:
        require_within_budget(config, load().budget.trainable_parameters.most)
    fusion, result = train_fusion(settings, bench, config, data, arm)
    device, batch, ids = inputs.job.profile.device, settings["batch"], list(data.held_out)
    made = conditionings(fusion, data, ids, arm, batch=batch)
    assert data.captions is not None
    found = errors(made, data.latents(ids), data.captions(ids), bench.seed)
    shown = ids[: settings["decoded"]]
    frames = decode(inputs.vae, made.latents[: len(shown)], batch=batch, device=device)
    found["lpips"] = clip_lpips(Lpips("alex"), inputs.shards.frames(shown), frames)
    if settings["probed"]:
        told = directions(inputs, data.ids), directions(inputs, ids)
        if all(any(pair is not None for pair in side) for side in told):
            seen = conditionings(fusion, data, list(data.ids), arm, batch=batch)
            found |= temporal_errors(seen, made, config.latent_grid, told)
    paid = cost(fusion, data, arm)
    numbers = {"parameters": paid.parameters, "flops": paid.flops, "tokens": paid.tokens, **pace(result)}
    return {"standin": standin(settings, bench), "by_clip": by_clip(ids, found), "numbers": numbers}


def _routes(settings: Settings, bench: Bench) -> Measured:
    """A short Phase 3 under these routes, from the default's weights; then what LTX draws of held-out clips."""
    settings = {"arm": "hybrid", "spatial": "dinov2", **settings}
    data, fresh = training_of(settings, bench), Inputs(bench.inputs.job)  # with a generator that has no adapters yet
    start = checkpoint.latest(bench.folder_of(named("fusion", "default", settings["seed"])) / "checkpoints")
    if start is None:
        raise checkpoint.CheckpointError("c2: the default of this seed left no checkpoint; measure its cell again")
    routes, lora = RouteSwitches(**settings["routes"]).opened(), fresh.job.profile.lora
    recipe = phase3.Phase3Config(
        fusion=fusion_of(settings, fresh, data),
        loop=loop_of_cell(settings, fresh),
        routes=routes,
        lora_rank=lora.rank,
        gradient_checkpointing=lora.gradient_checkpointing,
        heldout_every=NEVER,
    )
    given = {"generator": fresh.generator, "start": start.path, "left": bench.left}
    result = phase3.run(recipe, data, bench.folder, bench.reporter, **given)
    device, batch, ids = fresh.job.profile.device, settings["batch"], list(data.held_out)[: settings["drawn"]]
    made = conditionings(load_fusion(result.checkpoint).to(device), data, ids, "hybrid", batch=batch)
    adapted = Adapted(routes, checkpoint.read(result.checkpoint).weights()[NULL])
    drawn = sample(fresh.job, fresh, adapted, made.latents, made.semantic)
    frames = decode(fresh.vae, drawn, batch=batch, device=device)
    found = {
        "drawn": latent_errors(drawn, data.latents(ids)),
        "drawn_lpips": clip_lpips(Lpips("alex"), fresh.shards.frames(ids), frames),
    }
    return {
        "standin": standin(settings, bench) or fresh.generator.standin,
        "by_clip": by_clip(ids, found),
        "numbers": {"parameters": result.trainable_parameters, **pace(result)},
    }
