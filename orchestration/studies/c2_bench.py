"""What C2's trainings have beside what all short ones share: encoders in DINOv2's place, the fusion's sizes."""

import dataclasses

from models.fusion.config import FusionConfig
from models.training.data import TrainingData
from orchestration.stages.inputs import Inputs
from orchestration.studies import c2_encoders
from orchestration.studies.c2 import STORED
from orchestration.studies.study import Bench
from orchestration.studies.trainings import Settings, stored


def training_of(settings: Settings, bench: Bench) -> TrainingData:
    """All that a training reads: from the stores, and from the folders of the cells it comes after."""
    data, spatial = stored(settings, bench), settings["spatial"]
    if spatial in STORED:
        return data
    tokens = c2_encoders.source(bench.folder_of(f"encoder-{spatial}"), [*data.ids, *data.held_out])
    mark = str(bench.measured[f"encoder-{spatial}"]["weights_sha256"])
    return dataclasses.replace(data, spatial=tokens, fingerprints={**data.fingerprints, "spatial": mark})


def fusion_of(settings: Settings, inputs: Inputs, data: TrainingData) -> FusionConfig:
    """Widths and grids as the data has them; all else as the cell says, and nothing from the profile."""
    assert data.spatial is not None
    _, _, tokens, width = data.spatial.read(data.ids[:1]).shape
    side = round(tokens**0.5)
    base = {"kind": "qformer", "query_mode": "learned", "global_queries": False}
    given = {**base, **settings["fusion"], "spatial_dim": width, "spatial_grid": (side, side)}
    return dataclasses.replace(inputs.fusion(), **given)


def standin(settings: Settings, bench: Bench) -> bool:
    """Whether anything that a cell's result rests on is a stand-in."""
    arm, spatial = settings["arm"], settings["spatial"]
    stores = ["latents", *(["qwen"] if arm != "dino_only" else [])]
    stores += ["dinov2"] if arm != "vlm_only" and spatial == "dinov2" else []
    made = spatial not in STORED and bool(bench.measured[f"encoder-{spatial}"]["standin"])
    return made or any(bench.inputs.store(name).store.standin for name in stores)
