"""Which datasets a home knows: the generated clips, the real clips, and every folder given to `foresight run --data`.

The programme's phases run on the generated clips and on a given folder; the real clips are too few to train on, so they
get the data stages and one evaluation, out of domain.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.describe import geometry
from orchestration.data.workspace import repository_params
from orchestration.home import Home
from orchestration.profile import Profile

GENERATED = "moving_shapes"
REAL = "real"
FOLDER = "folder"


class DatasetError(ValueError):
    """A dataset that is not there or cannot be used."""


@dataclass(frozen=True)
class Dataset:
    """A name (the prefix of its assets and its folder under the home) and where its clips come from."""

    name: str
    source: str
    path: str = ""

    @property
    def trains(self) -> bool:
        """Whether the three phases run on it."""
        return self.source != REAL


BUILT_IN = (Dataset(GENERATED, GENERATED), Dataset(REAL, REAL))


def known(home: Home) -> tuple[Dataset, ...]:
    """All datasets of a home, the built-in ones first."""
    if not home.datasets.is_file():
        return BUILT_IN
    return (*BUILT_IN, *(Dataset(**entry) for entry in json.loads(home.datasets.read_text(encoding="utf-8"))))


def find(home: Home, given: str) -> Dataset:
    """The dataset of a name, or of a folder, which is registered under its own name."""
    named = {dataset.name: dataset for dataset in known(home)}
    if given in named:
        return named[given]
    folder = Path(given).expanduser().resolve()
    if not folder.is_dir():
        raise DatasetError(f"{given}: neither a dataset ({', '.join(named)}) nor a folder")
    return _register(home, folder)


def params(dataset: Dataset, profile: Profile) -> dict[str, Any]:
    """The repository's params.yaml with what this dataset and this profile differ in."""
    table, clips = repository_params(), profile.clips
    table["shards"].update(frames=clips.frames, size=clips.size, clips_per_shard=clips.per_shard)
    for stage, name in (("dinov2", "dinov2"), ("qwen", "qwen"), ("latents", "vae")):
        given = getattr(profile.weights, name)
        table[stage].update(weights=given.source, weights_sha256=profile.weights.sha256(name), batch=clips.batch)
        table[stage]["workers"] = profile.workers.extraction
        if name in profile.weights.precisions:
            table[stage]["computed_in"] = profile.weights.precisions[name]
    # one frame for each latent frame, and how many frames that is only the decoder's checkpoint knows
    table["dinov2"]["stride"] = geometry.read({"vae": profile.weights.folder("vae")}).latent_step
    if dataset.source == GENERATED:
        table["clips"].update(
            train=clips.train, heldout=clips.heldout, frames=clips.frames, size=clips.size, seed=clips.seed
        )
    else:
        table["clips"] = {"source": dataset.source} | ({"path": dataset.path} if dataset.path else {})
    return table


def _register(home: Home, folder: Path) -> Dataset:
    """Remember a folder. Its name is made from the folder's, and numbered when another folder has it already."""
    base = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_") or "clips"
    base = (base if base[0].isalpha() else f"clips_{base}")[:36]
    entries = [dataset for dataset in known(home) if dataset.path]
    for entry in entries:
        if entry.path == str(folder):
            return entry
    taken = {dataset.name for dataset in known(home)}
    name = next(name for name in (base, *(f"{base}_{i}" for i in range(2, 1000))) if name not in taken)
    made = Dataset(name, FOLDER, str(folder))
    home.root.mkdir(parents=True, exist_ok=True)
    home.datasets.write_text(json.dumps([asdict(entry) for entry in (*entries, made)], indent=1), encoding="utf-8")
    return made
