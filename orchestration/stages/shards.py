"""The stage `shards`: every clip of data/ decoded once into shards/, the unusable ones set aside with the reason."""

from pathlib import Path
from typing import Any

from orchestration.stages.parameters import section


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Pack ./data into ./shards; appends what is new."""
    from models.data.shards import build_shards
    from models.data.video import Limits

    params = section("shards")
    report = build_shards(
        Path("data"),
        Path("shards"),
        frames=params["frames"],
        size=params["size"],
        clips_per_shard=params["clips_per_shard"],
        limits=Limits(min_frames=params["frames"]),
        progress=reporter,
    )
    return {name: getattr(report, name) for name in report.__dataclass_fields__}
