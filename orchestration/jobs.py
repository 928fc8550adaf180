"""The typed job file: everything a worker needs to know, and nothing else (design §2).

A job names its inputs by path and by version, so that a result can be told apart from one made of other inputs. Its
fingerprint leaves out what does not change the result: where the home lies, who runs it, on which attempt.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.profile import Profile
from orchestration.studies.declaration import StudyDeclaration, study
from orchestration.versioning import fingerprint, source_sha256

SCHEMA = "foresight.job/1"
MAX_BYTES = 2**20
"""Of a job file; one of the laptop profile has about 6 kB."""
RESULT = "result.json"
JOB_FILE = "job.json"
EVALUATE = "evaluate"
PREMISE = "premise"
PREDICTOR = "predictor"
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
    *(f"orchestration/experiments/{part}.py" for part in ("decision", "declaration", "documents", "premise", "words")),
)
_FORETELLS = (
    *_TRAINS,
    "models/predict",
    "models/evaluation",
    "orchestration/prediction/verification.py",
    f"{_STAGES}/prediction.py",
)
_STUDIES = ("orchestration/studies", "orchestration/experiments/decision.py", "models/evaluation/metric.py")
_SOURCES = {EVALUATE: _JUDGES, PREMISE: _AUDITS, PREDICTOR: _FORETELLS}
_RECIPES = {EVALUATE: ("evaluation",), PREDICTOR: ("prediction", "evaluation")}
"""Sections of the profile that say how a stage works; of a phase, its own."""

DATA = ("shards", "dinov2", "qwen", "latents")
"""The stages of DVC that a phase reads."""


def data_version(versions: Mapping[str, str]) -> str:
    """One hash over DVC's hashes of stages."""
    return fingerprint(versions)[:16]


class JobError(ValueError):
    """A job that cannot be run as what it says it is."""

    exit_code = 2


class Job(BaseModel):
    """One dispatch of one stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["foresight.job/1"] = Field(default=SCHEMA, alias="schema")
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
    declaration: PremiseDeclaration | None = Field(default=None, description="of the audit, as it was then")
    study: StudyDeclaration | None = Field(default=None, description="as it was declared then")

    @property
    def data_version(self) -> str:
        """One hash over the versions of all inputs."""
        return data_version(self.data_versions)

    @property
    def fingerprint(self) -> str:
        """What the result depends on."""
        if self.study is not None:
            source = source_sha256(*_STUDIES, *study(self.study.name).CODE)
            return fingerprint({"stage": self.stage, "source": source, "study": self.study.sha256, **self.given})
        said = {"name", "device", "standins"}
        if self.declaration is None:
            said |= {"routes", "lora", *_RECIPES.get(self.stage, (f"phase{self.phase}",))}
        profile = self.profile.model_dump(mode="json", include=said) | {"precisions": self.profile.weights.precisions}
        if self.declaration is None:
            profile["fusion"] = self.profile.fusion.choices()
        parts = (profile, self.data_versions, self.weights, self.input_fingerprints)
        if self.declaration is not None:
            parts = (*parts, self.declaration.sha256)
        source = source_sha256(*_SOURCES.get(self.stage, _TRAINS))
        return fingerprint({"stage": self.stage, "phase": self.phase, "source": source, "parts": parts})

    @property
    def given(self) -> dict[str, Any]:
        """What every cell of a study depends on besides its own settings: the choices, the data, what was trained."""
        said = {"device", "standins", "routes", "lora", "prediction", "evaluation"}
        return {
            "profile": self.profile.model_dump(mode="json", include=said)
            | {"precisions": self.profile.weights.precisions, "fusion": self.profile.fusion.choices()},
            "data": self.data_versions,
            "weights": self.weights,
            "inputs": self.input_fingerprints,
        }

    def moved(self, home: Path) -> "Job":
        """The same job in another home; its fingerprint stays.

        Raises:
            JobError: a folder of it is not below its home, so that it has no place in another.
        """

        def there(path: Path) -> Path:
            if not path.is_relative_to(self.home):
                raise JobError(f"{path} lies outside the job's home {self.home}: it has no place in another")
            return home / path.relative_to(self.home)

        inputs = {name: there(folder) for name, folder in self.inputs.items()}
        places = {"home": home, "workspace": there(self.workspace), "out": there(self.out), "inputs": inputs}
        return self.model_copy(update=places)

    def write(self) -> Path:
        """Put the job beside its results-to-be."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / JOB_FILE
        path.write_text(self.model_dump_json(by_alias=True, indent=1), encoding="utf-8")
        return path


def read(path: Path | None) -> Job:
    """The job in a file.

    Raises:
        JobError: no regular file, too large, of another schema, or not a job.
    """
    if path is None:
        raise JobError("this stage needs a job: give --job FILE (Dagster writes one; see orchestration/jobs.py)")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise JobError(f"{path}: no regular file; give the job.json of a result's folder")
        if status.st_size > MAX_BYTES:
            raise JobError(f"{path}: {status.st_size} bytes, at most {MAX_BYTES}; this is no job file")
        content = path.read_bytes()
    except OSError as error:
        raise JobError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        job = Job.model_validate_json(content)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        if where == "schema":
            raise _of_another_schema(path, first["input"]) from error
        raise JobError(f"{path}: {where}: {first['msg']}") from error
    if "schema_" not in job.model_fields_set:
        raise _of_another_schema(path, None)
    return job


def _of_another_schema(path: Path, found: object) -> JobError:
    said = f"says {str(found)[:60]!r}" if found is not None else "names no schema"
    return JobError(f"{path}: {said}; this code reads {SCHEMA}: write the job anew with the code that runs it")
