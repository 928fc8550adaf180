"""The typed job file: everything a worker needs to know, and nothing else (design §2).

A job names its inputs by path and by version, so that a result can be told apart from one made of other inputs. Its
fingerprint leaves out what does not change the result: where the home lies, who runs it, on which attempt.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.profile import Profile
from orchestration.versioning import fingerprint, source_sha256

RESULT = "result.json"
EVALUATE = "evaluate"
PREMISE = "premise"
_STAGES = "orchestration/stages"
_TRAINS = (
    *(f"models/{part}" for part in ("frozen.py", "data", "encoders", "decoder", "fusion", "training")),
    "models/evaluation/lpips.py",  # a loss of Phases 1 and 2 too
    *(f"{_STAGES}/{part}.py" for part in ("inputs", "recipes", "training")),
)
_JUDGES = (
    *_TRAINS,
    "models/evaluation",
    "orchestration/compare/clip_values.py",
    *(f"{_STAGES}/{part}.py" for part in ("evaluation", "generation", "known", "measures", "semantics", "shares")),
)
_AUDITS = (
    *(f"models/{part}" for part in ("frozen.py", "data", "encoders")),
    *(f"models/evaluation/{part}.py" for part in ("boxes", "cka", "detection", "localisation", "metric")),
    *(f"{_STAGES}/{part}.py" for part in ("inputs", "premise", "premise_cells", "premise_tokens")),
    *(f"orchestration/experiments/{part}.py" for part in ("declaration", "documents", "premise", "words")),
)
_SOURCES = {EVALUATE: _JUDGES, PREMISE: _AUDITS}


DATA = ("shards", "dinov2", "qwen", "latents")
"""The stages of DVC that a phase reads."""


def data_version(versions: Mapping[str, str]) -> str:
    """One hash over DVC's hashes of stages."""
    return fingerprint(versions)[:16]


class JobError(ValueError):
    """A job file that cannot be read as what it says it is."""


class Job(BaseModel):
    """One dispatch of one stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["foresight.job/1"] = Field(default="foresight.job/1", alias="schema")
    stage: str
    phase: Literal[1, 2, 3]
    dataset: str
    home: Path
    workspace: Path = Field(description="the DVC workspace the data is read from")
    out: Path = Field(description="the folder the stage writes its result to")
    profile: Profile
    data_versions: dict[str, str] = Field(description="DVC's hash of every input stage")
    weights: dict[str, str] = Field(description="sha256 of all frozen weights the stage loads, metrics' included")
    inputs: dict[str, Path] = Field(default={}, description="results of earlier stages, by name")
    input_fingerprints: dict[str, str] = Field(default={}, description="and what those were made from")
    code_commit: str
    allowed_s: float | None = Field(default=None, description="seconds of its reservation when it was dispatched")
    declaration: PremiseDeclaration | None = Field(default=None, description="of an experiment, as it was then")

    @property
    def data_version(self) -> str:
        """One hash over the versions of all inputs."""
        return data_version(self.data_versions)

    @property
    def fingerprint(self) -> str:
        """What the result depends on."""
        said = {"name", "device", "standins"}
        if self.declaration is None:
            said |= {"routes", "lora", "evaluation" if self.stage == EVALUATE else f"phase{self.phase}"}
        profile = self.profile.model_dump(mode="json", include=said) | {"precisions": self.profile.weights.precisions}
        if self.declaration is None:
            profile["fusion"] = self.profile.fusion.choices()
        parts = (profile, self.data_versions, self.weights, self.input_fingerprints)
        if self.declaration is not None:
            parts = (*parts, self.declaration.sha256)
        source = source_sha256(*_SOURCES.get(self.stage, _TRAINS))
        return fingerprint({"stage": self.stage, "phase": self.phase, "source": source, "parts": parts})

    def write(self) -> Path:
        """Put the job beside its results-to-be."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "job.json"
        path.write_text(self.model_dump_json(by_alias=True, indent=1), encoding="utf-8")
        return path


def read(path: Path | None) -> Job:
    """The job in a file."""
    if path is None:
        raise JobError("this stage needs a job: give --job FILE (Dagster writes one; see orchestration/jobs.py)")
    try:
        return Job.model_validate_json(path.read_bytes())
    except OSError as error:
        raise JobError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise JobError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
