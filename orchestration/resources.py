"""What every asset is given: the home, the profile, and the datasets of both. Plain strings, so that it loads at
once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from orchestration import profile
from orchestration.data import datasets
from orchestration.data.datasets import Dataset
from orchestration.data.workspace import Workspace, remote_of
from orchestration.home import Home
from orchestration.lock import hold
from orchestration.profile import Profile

APPROVE = "approve_gate"
"""The job that signs an override: it writes one row, whatever goes on beside it."""


class Foresight(dg.ConfigurableResource):
    """One home under one profile."""

    home_folder: str
    profile_name: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Foresight"]:
        """A run, wherever it was launched, holds the home while it lasts; a sensor's tick or a signature does not."""
        if context.run is None or context.run.job_name == APPROVE:
            yield self
            return
        with hold(self.home.lock, f"Dagster run {context.run.run_id[:8]}"):
            yield self

    @property
    def home(self) -> Home:
        """The folders of the state."""
        return Home(Path(self.home_folder))

    @property
    def profile(self) -> Profile:
        """The sizes, steps and weights."""
        return profile.load(self.profile_name)

    def workspace(self, dataset: Dataset) -> Workspace:
        """The DVC workspace of a dataset, made and up to date."""
        made = Workspace(self.home.workspace(dataset.name), remote_of(self.home))
        made.prepare(datasets.params(dataset, self.profile))
        return made
