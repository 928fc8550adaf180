"""What `foresight predict` leaves of one clip, as a document: what was foretold, how, and if it came (design §11)."""

from typing import Literal

from pydantic import Field

from orchestration.documents import Document, Number
from orchestration.explanation.document import Seen


class Ahead(Document):
    """What is known and what is foretold."""

    context_frames: int = Field(description="the first frames of the clip, which the networks saw")
    predicted_frames: int = Field(description="those after them, which no network saw")
    fps: float
    seconds: float = Field(description="how far ahead the last predicted frame lies")


class Sampling(Document):
    """How the future was drawn."""

    steps: int
    guidance_scale: float
    strength: float
    seed: int


class Pins(Document):
    """What the prediction can be followed back to."""

    checkpoint: str = Field(description="the folder, under the home")
    checkpoint_sha256: str = Field(description="fingerprint of the checkpoint's state, which pins its tensors")
    steps: int
    data_version: str
    trained_by: str = Field(description="code commit of the training")
    predicted_by: str = Field(description="code commit of this prediction")
    weights: dict[str, str] = Field(description="sha256 of the frozen networks by name")
    run: str = Field(description="the MLflow run of the training")


class Component(Document):
    """Time of one part of §1.5."""

    seconds: float
    proposed_s: Number = Field(default=None, description="Appendix D.1's estimate, where it has one")


class Latency(Document):
    """Of this one call, after no warm-up: what a service would take is `foresight bench latency`'s to say."""

    components: dict[str, Component]
    serial_s: float = Field(description="all components one after the other")
    parallel_s: float = Field(description="the encoders beside each other, as it was run")
    proposed_serial_s: float
    proposed_parallel_s: float
    devices: dict[str, str] = Field(description="network -> torch's name of its device")


class Verified(Document):
    """The prediction against what came."""

    verdict: Literal["agrees", "differs", "uncertain"]
    why: str
    distance: float
    threshold: float
    low: float = Field(description="95% interval of the threshold, over held-out clips")
    high: float
    auc: Number = Field(description="area under the held-out ROC")
    auc_low: Number
    auc_high: Number
    measure: str
    protocol: str
    kin: str = Field(description="how the measure is related to what trained; empty where it is not")


class PredictionDocument(Document):
    """Of one clip by one predictor."""

    schema_: Literal["foresight.prediction/1"] = Field(default="foresight.prediction/1", alias="schema")
    clip: Seen
    horizon: Ahead
    dataset: str
    profile: str
    standins: bool
    sampling: Sampling
    frames_sha256: str = Field(description="of the frames of the whole clip, bytes [T, H, W, 3]")
    streams_lost: dict[str, str] = Field(description="encoder -> why its stream was not there")
    pins: Pins
    latency: Latency
    verification: Verified | None
    files: list[str]
    notes: list[str]
