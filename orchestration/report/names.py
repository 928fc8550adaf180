"""How a reader calls what the documents call by key: metrics, arms, baselines, stages (design §11).

A metric's title, unit and direction are the programme's; here are only the words that it has no place for.
"""

import functools
from dataclasses import dataclass

from orchestration.documents import split_name
from orchestration.plan import programme

ARMS = {"hybrid": "Hybrid", "vlm_only": "VLM only", "dino_only": "DINOv2 only"}
BASELINES = {
    "without_semantic": "Hybrid, VLM absent",
    "without_spatial": "Hybrid, DINOv2 absent",
    "vae_roundtrip": "VAE round trip (ceiling)",
    "copy_last": "Copy of last frame",
    "mean_frame": "Mean frame",
    "shuffled": "Shuffled conditioning",
    "ltx_i2v": "LTX from true first frame",
}
_QUALIFIED = {
    "smallN": "too few clips",
    "vgg": "VGG",
    "true": "of true clips",
    "null": "null (what says nothing)",
    "lift": "gain over its null",
    "caption": "by the VLM's captions",
    "probe": "by a probe",
}
_DECIMALS = {"fvd": 1, "temporal_lpips_variance": 4, "latency_s": 2, "vram_gb": 1}


@dataclass(frozen=True)
class MetricName:
    """A metric as it is written for people."""

    words: str
    higher_is_better: bool
    decimals: int = 3
    unit: str = ""

    def show(self, value: float | None) -> str:
        """`value` in this metric's unit and precision; a dash when it was not measured."""
        if value is None or value != value:
            return "–"
        text = f"{value:.{self.decimals}f}"
        return f"{text} {self.unit}" if self.unit else text

    def interval(self, low: float | None, high: float | None) -> str:
        """The interval, or nothing when there is none."""
        return "" if low is None or high is None else f"{low:.{self.decimals}f} – {high:.{self.decimals}f}"


@functools.cache
def _programme() -> programme.Programme:
    return programme.load()


def metric(key: str) -> MetricName:
    """The words for a metric of an evaluation or a decision; a name that no programme knows is shown as written.

    A decision adds `@`: `lpips_gain@dino_only` compares with that arm, `spatial_iou@4.4` is a threshold of §4.4.
    """
    key, _, at = key.partition("@")
    base, qualifiers = split_name(key)
    known = _programme().metrics.get(base)
    if known is None:
        return MetricName(key.replace("_", " "), higher_is_better=True)
    said = ", ".join([known.title, *(_QUALIFIED.get(qualifier, qualifier) for qualifier in qualifiers)])
    if at:
        said = f"{known.title} over {words(at)}" if "gain" in qualifiers else f"{said} (§{at})"
    up = known.better == "higher" or bool({"gain", "lift"} & set(qualifiers))
    return MetricName(said, up, _DECIMALS.get(base, 3), known.unit)


def words(key: str) -> str:
    """An arm's, a baseline's or a stage's name for people."""
    return ARMS.get(key) or BASELINES.get(key) or key.replace("_", " ")
