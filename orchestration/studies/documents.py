"""What one study measured, as a closed document; what is decided on it is an `ExperimentDecision` (design §11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from orchestration.documents import Document, DocumentError, MetricValue, sha256


class TableDocument(Document):
    """A table as people read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class StudyDocument(Document):
    """The values of all cells together, with all that they were measured on."""

    schema_: Literal["foresight.study_document/1"] = Field(alias="schema")
    study: str
    declaration_sha256: str
    profile: str = Field(min_length=1)
    standins: bool
    """Whether any of the weights of any cell is a stand-in."""
    dataset: str
    data_version: str
    code_commit: str
    weights: dict[str, str]
    inputs: dict[str, str]
    """Fingerprints of the trainings that it started from."""
    runs: dict[str, str]
    cells: dict[str, str]
    """Fingerprint of each cell."""
    values: dict[str, MetricValue]
    tables: tuple[TableDocument, ...]
    series: dict[str, JsonValue]
    finding: str

    @property
    def sha256(self) -> str:
        return sha256(self.document())


def read_study(path: Path, name: str) -> StudyDocument:
    """The document of a study in a file.

    Raises:
        DocumentError: it is not there, or is no such document.
    """
    remedy = f"`foresight experiment {name}` makes it"
    try:
        return StudyDocument.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DocumentError(f"{path}: {key}: {first['msg']}; remove it, {remedy} again") from None
    except ValueError as error:
        raise DocumentError(f"{path}: not JSON ({error}); remove it, {remedy} again") from None
