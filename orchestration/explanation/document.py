"""What `foresight explain` found of one clip, as a document: numbers, and what they were made with (design §11)."""

from typing import Literal

from pydantic import Field

from orchestration.documents import Arm, Document, Number, Phase

Cell = tuple[int, int, int]
"""Latent frame, row and column."""


class Seen(Document):
    """The clip as the encoders saw it."""

    name: str = Field(description="the file, or the id of a held-out clip")
    source: Literal["file", "held-out"]
    sha256: str = Field(description="of the file that was given, or that the held-out clip was cut from")
    frames: int
    size: int = Field(description="height and width in pixels")
    first_frame: int = Field(description="of the film")
    stride: int = Field(description="frames of the film from one frame of the clip to the next")


class Pins(Document):
    """What the explanation can be followed back to."""

    checkpoint: str = Field(description="the folder, under the home")
    checkpoint_sha256: str = Field(description="fingerprint of the checkpoint's state, which pins its tensors")
    steps: int
    data_version: str
    code_commit: str = Field(description="of the training")
    weights: dict[str, str] = Field(description="sha256 of the frozen encoders by name")
    run: str = Field(description="the MLflow run of the training")


class Share(Document):
    """The VLM's share of what the fusion makes, 0..1; see models/evaluation/attribution.py."""

    protocol: str
    cells: Number = Field(description="of all latent cells")
    captions: Number = Field(description="of the caption tokens")
    by_cell: list[list[list[Number]]] = Field(description="[T'][h][w]")
    moved_without_spatial: Number = Field(description="mean change of a cell, in standard deviations of the latent")
    moved_without_semantic: Number


class Layer(Document):
    """One layer."""

    cells: Number = Field(default=None, description="share with the stream taken away in this layer alone")
    captions: Number = None
    gate_spatial: Number
    gate_semantic: Number


class Attended(Document):
    """What one query gives to the streams, mean of layers and heads; both sum to 1 or less."""

    cell: Cell | None = Field(description="of its output; none of a query without a place")
    spatial: Number
    semantic: Number


class Explanation(Document):
    """Of one clip by one trained arm."""

    schema_: Literal["foresight.explanation/1"] = Field(default="foresight.explanation/1", alias="schema")
    clip: Seen
    phase: Phase
    arm: Arm
    dataset: str
    profile: str
    standins: bool
    fusion: str = Field(description="its kind")
    pins: Pins
    share: Share | None = Field(description="none of an arm with one stream")
    layers: list[Layer]
    attention: dict[str, Attended] | None = Field(description="by query; none of a fusion without attention")
    pca: dict[str, list[float]] = Field(description="encoder -> variance explained by the three components, 0..1")
    figures: list[str]
    arrays: str = Field(description="the file with every array, NumPy's npz")
    notes: list[str]
