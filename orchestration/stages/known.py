"""Where a job finds what was measured before: one file a home, each row named by all that its value depends on."""

from importlib.metadata import version

from models.evaluation.known import Known
from orchestration.home import Home
from orchestration.jobs import Job
from orchestration.versioning import fingerprint, source_sha256

LIBRARIES = ("torch", "torchvision", "transformers", "lpips", "numpy", "scipy", "scikit-image")


def known(job: Job, what: str, *source: str, **settings: str | int) -> Known:
    """The rows of one kind of measurement by this code, these libraries, this device and these settings."""
    import torch

    named = {"what": what, "source": source_sha256(*source), "device": job.profile.device, **settings}
    machine = {"threads": torch.get_num_threads(), **{name: version(name) for name in LIBRARIES}}
    return Known(Home(job.home).known, fingerprint({"named": named, "machine": machine}))
