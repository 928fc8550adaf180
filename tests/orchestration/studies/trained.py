"""Phases 2 and 3 and a predictor after a step each, as their stages leave them, on a home of a few clips."""

import json
from pathlib import Path
from typing import Any

from models.training.config import LoopConfig
from orchestration.home import Home
from tests.orchestration.studies import small


def phases(home: Home, folder: Path, *, predictor: bool) -> dict[str, Path]:
    """The folders by the names that jobs give them; Phase 2 has the arms `hybrid` and `vlm_only`."""
    from models.training import phase2, phase3, prediction
    from models.training.objective import ObjectiveConfig
    from orchestration.stages.inputs import Inputs
    from orchestration.stages.prediction import ContextInputs

    loop = LoopConfig(steps=1, batch=2, warmup=0)
    inputs = Inputs(small.job(home))
    data = inputs.training(inputs.ids("train"), inputs.ids("heldout"), captions=True)
    sizes, made = inputs.fusion(), {name: folder / name for name in ("phase2", "phase3", "predictor")}
    arms: dict[str, Any] = {}
    for arm in ("hybrid", "vlm_only"):
        objective = ObjectiveConfig(pixel_every=0)
        config = phase2.Phase2Config(fusion=sizes, loop=loop, arm=arm, objective=objective, interference_every=0)
        arms[arm] = phase2.run(config, data, made["phase2"] / "arms" / arm)
    _finish(made["phase2"], arms)
    third = phase3.Phase3Config(fusion=sizes, loop=loop, lora_rank=2)
    start = arms["hybrid"].checkpoint
    drawn = phase3.run(third, data, made["phase3"], generator=inputs.generator, start=start)
    _finish(made["phase3"], {"hybrid": drawn})
    if predictor:
        seen = ContextInputs(small.job(home).model_copy(update={"out": made["predictor"]}))
        config = prediction.PredictionConfig(fusion=sizes, loop=loop, lora_rank=2, horizon=seen.horizon)
        context = seen.data(lambda *_: None)
        foretelling = prediction.run(
            config, context, made["predictor"], generator=seen.generator, start=drawn.checkpoint
        )
        _finish(made["predictor"], {"hybrid": foretelling})
    return made


def _finish(folder: Path, results: dict[str, Any]) -> None:
    named = {arm: str(result.checkpoint.relative_to(folder)) for arm, result in results.items()}
    (folder / "result.json").write_text(json.dumps({"checkpoints": named}))
