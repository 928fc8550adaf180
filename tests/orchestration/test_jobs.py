"""A job's fingerprint: what changes its result is in it, what does not is not."""

from pathlib import Path
from typing import Any

import pytest

from orchestration.jobs import Job
from orchestration.profile import load


def job(stage: str = "evaluate", weights: dict[str, Any] | None = None, **said: Any) -> Job:
    """A job of the laptop profile, with other settings of its weights."""
    profile = load("laptop")
    given = profile.weights
    changed = {name: getattr(given, name).model_copy(update=change) for name, change in (weights or {}).items()}
    profile = profile.model_copy(update={"weights": given.model_copy(update=changed)})
    here = Path("/nowhere")
    fixed = {"phase": 2, "dataset": "moving_shapes", "home": here, "workspace": here, "out": here, "code_commit": "c"}
    return Job(**{"stage": stage, "profile": profile, "data_versions": {}, "weights": {"qwen": "a"}, **fixed, **said})


@pytest.mark.parametrize("stage", ["evaluate", "phase2"])
def test_the_precision_of_an_encoder_changes_what_a_job_makes(stage):
    assert job(stage, {"qwen": {"precision": "bfloat16"}}).fingerprint != job(stage).fingerprint


def test_where_weights_lie_and_what_they_must_be_change_nothing_while_they_are_the_same():
    elsewhere = job(weights={"qwen": {"source": "/elsewhere", "sha256": "0" * 64}})
    assert elsewhere.fingerprint == job(home=Path("/another")).fingerprint == job().fingerprint
