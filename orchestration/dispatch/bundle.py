"""What a worker without this file system is given, and what it leaves: documents and folders in S3 (ADR 18).

    work/DATASET/STAGE/FINGERPRINT/aN/bundle.json   what one attempt is to do
    work/DATASET/STAGE/FINGERPRINT/partial/         whole checkpoints of a training that is not done
    work/DATASET/STAGE/FINGERPRINT/result/          the files that it made
    work/DATASET/STAGE/FINGERPRINT/done.json        its final message: written last, and once

A result without `done.json` is none. Large data does not travel here: DVC's remote has it.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestration.jobs import Job
from orchestration.versioning import source_sha256

CODE = ("models", "orchestration/stages", "orchestration/jobs.py", "orchestration/experiments")


class BundleError(ValueError):
    """A bundle that cannot be read, or that this worker is not the one for."""

    exit_code = 2


def _inside(path: str) -> str:
    """Refuse what climbs out of the home."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not path:
        raise ValueError(f"{path!r} does not lie in the home")
    return path


Inside = Annotated[str, AfterValidator(_inside)]


class Bundle(BaseModel):
    """One attempt's work, as the worker is told of it. Places are relative to the home."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["foresight.bundle/1"] = Field(default="foresight.bundle/1", alias="schema")
    work: str = Field(description="what is done, whichever attempt does it")
    stage: str
    code: str = Field(description="the hash of the source that must do it")
    workspace: Inside = Field(description="the DVC workspace")
    files: dict[Inside, str] = Field(description="small files of the workspace and what they hold")
    folders: dict[Inside, str] = Field(default={}, description="folders, and the prefix of each in S3")
    pull: tuple[str, ...] = Field(description="stages whose outs DVC's remote gives")
    job: Job | None = Field(default=None, description="the typed job; a stage of dvc.yaml reads its params.yaml")
    allowed_s: float | None = Field(default=None, description="seconds after which the worker is dead at the latest")


class Done(BaseModel):
    """A worker's final message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["foresight.done/1"] = Field(default="foresight.done/1", alias="schema")
    work: str
    home: str = Field(description="where the worker's home lay: paths in its result begin so")
    seconds: float = Field(ge=0, description="that the worker took")
    result: dict[str, Any]
    manifest: str = Field(default="", description="sha256 of the manifest of the files that a typed job made")
    lock: dict[str, Any] | None = Field(default=None, description="the row in dvc.lock of a stage of dvc.yaml")


def read(body: bytes, key: str) -> Bundle:
    """A bundle, checked.

    Raises:
        BundleError: it is not one, or other code than this is to do it.
    """
    try:
        bundle = Bundle.model_validate_json(body)
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise BundleError(f"{key}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if bundle.code != code():
        raise BundleError(
            f"{key}: this worker's source is {code()[:12]}, the orchestration's {bundle.code[:12]};"
            " run both from the same image"
        )
    return bundle


def read_done(body: bytes, key: str) -> Done:
    """A final message, checked.

    Raises:
        BundleError: it is not one.
    """
    try:
        return Done.model_validate_json(body)
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise BundleError(
            f"{key}: {'.'.join(map(str, first['loc']))}: {first['msg']}; remove it and run again"
        ) from error


def code() -> str:
    """One hash over the source of whatever a worker does."""
    return source_sha256(*CODE)


def place(work: str, *parts: str) -> str:
    """A key or prefix of one piece of work."""
    return "/".join(("work", work, *parts))
