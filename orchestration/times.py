"""How long each stage took when it was last made; a stage that stood already keeps its time."""

import json

from orchestration.data.datasets import GENERATED
from orchestration.home import Home


def note(home: Home, dataset: str, name: str, seconds: float) -> None:
    """Remember one stage. The order in the file is the order in which the stages were made."""
    stage = name if dataset == GENERATED else f"{dataset}/{name}"
    known = read(home)
    known.pop(stage, None)
    home.times.parent.mkdir(parents=True, exist_ok=True)
    part = home.times.with_suffix(".part")
    part.write_text(json.dumps({**known, stage: round(seconds, 3)}, indent=1), encoding="utf-8")
    part.replace(home.times)


def read(home: Home) -> dict[str, float]:
    """Seconds by stage."""
    return json.loads(home.times.read_text(encoding="utf-8")) if home.times.is_file() else {}
