"""What one study measured, as a closed document; what is decided on it is an `ExperimentDecision` (design §11)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from orchestration.documents import Document, MetricValue
from orchestration.experiments.documents import Measurement, read_measured


class TableDocument(Document):
    """A table as people read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class StudyDocument(Measurement):
    """The values of all cells together, with all that they were measured on."""

    schema_: Literal["foresight.study_document/1"] = Field(alias="schema")
    study: str
    inputs: dict[str, str]
    """Fingerprints of the trainings that it started from."""
    cells: dict[str, str]
    """Fingerprint of each cell."""
    values: dict[str, MetricValue]
    tables: tuple[TableDocument, ...]
    series: dict[str, JsonValue]
    finding: str


def read_study(path: Path, name: str) -> StudyDocument:
    """The document of a study in a file.

    Raises:
        DocumentError: it is not there, or is no such document.
    """
    return read_measured(path, StudyDocument, name)
