"""Where the state of a programme lives: one folder, $FORESIGHT_HOME or .foresight under the working folder (design
§11).

Nothing else in the code joins these paths; whoever wants to know where a file is reads this one.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[1]
DATASET_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class HomeError(ValueError):
    """A name, a folder or an address that cannot belong to a home."""


@dataclass(frozen=True)
class Home:
    """The folders and files of one programme's state."""

    root: Path

    @classmethod
    def find(cls) -> "Home":
        """The home named by the environment, else `.foresight` in the working folder."""
        return cls(Path(os.environ.get("FORESIGHT_HOME", ".foresight")).expanduser().resolve())

    def workspace(self, dataset: str) -> Path:
        """The DVC workspace of one dataset."""
        if not DATASET_NAME.fullmatch(dataset):
            raise HomeError(f"dataset name {dataset!r}: use lower-case letters, digits and _, starting with a letter")
        return self.root / "data" / dataset

    @property
    def runs(self) -> Path:
        """Where the results lie, by dataset and stage."""
        return self.root / "runs"

    def run(self, dataset: str, stage: str) -> Path:
        """Where one stage of one dataset leaves its result."""
        return self.runs / dataset / stage

    @property
    def datasets(self) -> Path:
        """The list of folders that were given to `foresight run --data`."""
        return self.root / "datasets.json"

    @property
    def remote(self) -> Path:
        """The local DVC remote that every workspace pushes to."""
        return self.root / "remote"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: the instance that `foresight run` writes and `foresight ui` shows."""
        return self.root / "dagster"

    @property
    def mlflow(self) -> Path:
        """The folder of MLflow's database and artifacts."""
        return self.root / "mlflow"

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking store: $MLFLOW_TRACKING_URI, else a SQLite file, which needs no server to write to it.

        Raises:
            HomeError: the address holds a user or a password, which every page and error would show.
        """
        given = os.environ.get("MLFLOW_TRACKING_URI")
        if given and urlsplit(given).username is not None:
            raise HomeError(
                "MLFLOW_TRACKING_URI: holds a user or a password, which would be shown; "
                "give them as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        return given or f"sqlite:///{self.mlflow / 'mlflow.db'}"

    @property
    def has_mlflow(self) -> bool:
        """Whether there is an MLflow to ask: a server's, or the file that a run of this home made."""
        return not self.tracking_uri.startswith("sqlite:") or self.mlflow.is_dir()

    @property
    def artifacts(self) -> str:
        """Where MLflow keeps the files of its runs when no server of its own says so."""
        return f"{self.objects}/mlflow" if self.objects else (self.mlflow / "artifacts").as_uri()

    @property
    def objects(self) -> str | None:
        """Where large files lie for all machines: $FORESIGHT_OBJECTS, s3://BUCKET/PREFIX; None: in this home alone.

        Raises:
            HomeError: the address holds keys, which DVC's and MLflow's files would keep.
        """
        given = os.environ.get("FORESIGHT_OBJECTS") or None
        if given and urlsplit(given).username is not None:
            raise HomeError("FORESIGHT_OBJECTS: holds a key, which would be written down; give it as AWS_* variables")
        return given

    @property
    def database(self) -> str:
        """The URL of the ledger and the decisions: $FORESIGHT_DATABASE, else a SQLite file of the home."""
        return os.environ.get("FORESIGHT_DATABASE") or f"sqlite:///{self.root / 'foresight.db'}"

    @property
    def dagster_database(self) -> str | None:
        """The URL of Dagster's own storage: $FORESIGHT_DAGSTER_DATABASE; without it, files of `dagster`."""
        return os.environ.get("FORESIGHT_DAGSTER_DATABASE") or None

    @property
    def stack(self) -> Path:
        """What the servers of `foresight stack` keep."""
        return self.root / "stack"

    @property
    def report(self) -> Path:
        """The chair's page."""
        return self.root / "report.html"

    @property
    def budget_figure(self) -> Path:
        """The budget as the last run drew it."""
        return self.root / "runs" / "budget.png"

    @property
    def times(self) -> Path:
        """How long each stage of the last run took."""
        return self.root / "runs" / "times.json"

    @property
    def known(self) -> Path:
        """What evaluations measured of clips, so that the same clips are not measured again."""
        return self.root / "known.db"

    @property
    def notify(self) -> Path:
        """Who is told, in this home; without it config/notify.yaml says so."""
        return self.root / "notify.yaml"

    @property
    def notices_lock(self) -> Path:
        """Held while people are told: two that tell at once would tell twice."""
        return self.root / "notices.lock"

    @property
    def lock(self) -> Path:
        """Held while a run goes on."""
        return self.root / "lock"
