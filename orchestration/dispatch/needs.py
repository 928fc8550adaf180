"""What a stage needs of the machine that runs it, and where it is sent: the profile's `dispatch` section (§3.1)."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestration.studies import STUDIES

GIB = 2**30
GpuKind = Literal["A100-80GB", "A100-40GB", "A10-24GB"]
"""The kinds that §3.1 names. A node of a cluster declares its own as the resource `accelerator_type:KIND`."""
Role = Literal["ingest", "extraction", "audit", "training", "evaluation"]
ROLES: Mapping[str, Role] = {
    "shards": "ingest",
    "dinov2": "extraction",
    "qwen": "extraction",
    "latents": "extraction",
    "premise": "audit",
    "phase1": "training",
    "phase2": "training",
    "phase3": "training",
    "predictor": "training",
    "evaluate": "evaluation",
    **dict.fromkeys(STUDIES, "training"),
}
"""What kind of work each stage is. `clips` is none: the raw clips lie where the orchestration is."""
SHARE = 0.001
"""Of a node's `accelerator_type` resource: it says which kind the GPU is of, and is never used up."""


class Part(BaseModel):
    """A section: unknown names are refused, because a misspelt need must not become a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Gpus(Part):
    """So many GPUs of one kind."""

    kind: GpuKind
    count: int = Field(default=1, gt=0)


class Needs(Part):
    """What one kind of work needs, and how often it is tried."""

    gpus: tuple[Gpus, ...] = Field(default=(), description="one of these, the first that the cluster has; none: no GPU")
    cpus: float = Field(default=1.0, gt=0)
    memory_gib: float = Field(default=2.0, gt=0)
    max_hours: float | None = Field(default=None, gt=0, description="its longest runtime; none: the budget's")
    retries: int = Field(default=1, ge=0, description="how often a worker that was lost is replaced")

    def resources(self, gpus: Gpus | None) -> dict[str, float]:
        """The quantities that a node must have, by Ray's names (memory in bytes)."""
        found = {"CPU": self.cpus, "memory": float(self.memory_gib * GIB)}
        return found if gpus is None else found | {"GPU": float(gpus.count), accelerator(gpus.kind): SHARE}


class Dispatch(Part):
    """Where stages are sent, and what each kind of them needs."""

    backend: Literal["subprocess", "ray"] = "subprocess"
    stages: dict[Role, Needs] = Field(default={}, description="what is not named needs a CPU and 2 GiB")

    def needs(self, stage: str) -> Needs:
        """What a stage needs."""
        role = ROLES.get(stage)
        return self.stages.get(role, Needs()) if role else Needs()


def accelerator(kind: GpuKind) -> str:
    """The resource by which Ray finds a node with this kind."""
    return f"accelerator_type:{kind}"
