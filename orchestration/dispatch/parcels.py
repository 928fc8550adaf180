"""The orchestration's end of the way to a worker: what it is given, and how its result comes into the home.

After `result` the home looks as if the worker had stood in it: nothing that comes later asks where the work was done.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.data.workspace import Workspace, graph
from orchestration.dispatch.bundle import Bundle, Done, code, place, read_done
from orchestration.dispatch.task import DispatchError
from orchestration.home import Home
from orchestration.jobs import JOB_FILE, Job
from orchestration.versioning import fingerprint

if TYPE_CHECKING:
    from orchestration.objects.store import ObjectStore

OF_DVC = ("data.dvc", "dvc.yaml", "dvc.lock", "params.yaml")


@dataclass(frozen=True)
class JobParcel:
    """A typed job: its data comes by DVC, the results that it starts from as folders."""

    work: str
    job: Job

    def here(self, allowed_s: float) -> tuple[str, Path]:
        """The command that does it on this machine, and where it stands."""
        path = self.job.model_copy(update={"allowed_s": allowed_s}).write()
        return f"python -m orchestration.worker {self.job.stage} --job {path}", self.job.home

    def send(self, attempt: str, allowed_s: float | None) -> str:
        """Put the job and what it starts from into S3; the key of its bundle."""
        from orchestration.objects.folders import push_folder

        home, store = Home(self.job.home), opened(Home(self.job.home))
        self.job.write()
        folders = {}
        for name, folder in self.job.inputs.items():
            prefix = f"inputs/{self.job.dataset}/{name}/{self.job.input_fingerprints[name]}"
            push_folder(store, folder, prefix)  # sends what lacks there
            folders[str(folder.relative_to(home.root))] = prefix
        if any(path.name != JOB_FILE for path in self.job.out.glob("*")):
            prefix = place(self.work, "begun")
            push_folder(store, self.job.out, prefix)
            folders[str(self.job.out.relative_to(home.root))] = prefix
        bundle = Bundle(
            work=self.work,
            stage=self.job.stage,
            code=code(),
            workspace=str(self.job.workspace.relative_to(home.root)),
            files=_of_dvc(self.job.workspace),
            folders=folders,
            pull=tuple(self.job.data_versions),
            job=self.job.model_copy(update={"allowed_s": allowed_s}),
            allowed_s=allowed_s,
        )
        return _put(store, bundle, attempt)

    def result(self) -> Done | None:
        """The final message of a worker that came to its end, once its files are in the home."""
        home, store = Home(self.job.home), opened(Home(self.job.home))
        done = _done(store, self.work)
        if done is None:
            return None
        from orchestration.objects.folders import pull_folder
        from orchestration.objects.store import ObjectDamaged, ObjectMissing

        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=home.root) as folder:
            incoming = Path(folder) / "result"
            try:
                pull_folder(store, place(self.work, "result"), incoming)
            except (ObjectDamaged, ObjectMissing) as error:
                done_at = store.place(place(self.work, "done.json"))
                raise DispatchError(f"{error}; remove it and {done_at}, then run again: it is made anew") from error
            for path in sorted(file for file in incoming.rglob("*") if file.is_file()):
                target = home.runs / path.relative_to(incoming)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        return done.model_copy(update={"result": _moved(done.result, done.home, str(home.root))})


@dataclass(frozen=True)
class DataParcel:
    """A stage of dvc.yaml: what it reads and what it makes go through DVC's remote."""

    work: str
    home: Home
    workspace: Workspace
    stage: str

    def here(self, allowed_s: float) -> tuple[str, Path]:
        """The command that does it on this machine, and where it stands."""
        return self.workspace.command(self.stage), self.workspace.root

    def send(self, attempt: str, allowed_s: float | None) -> str:
        """Put the workspace's small files into S3; the key of its bundle."""
        needed = sorted(graph(self.workspace.root / "dvc.yaml")[self.stage])
        bundle = Bundle(
            work=self.work,
            stage=self.stage,
            code=code(),
            workspace=str(self.workspace.root.relative_to(self.home.root)),
            files=_of_dvc(self.workspace.root),
            pull=(*needed, self.stage) if self.workspace.made(self.stage) else tuple(needed),
            allowed_s=allowed_s,
        )
        return _put(opened(self.home), bundle, attempt)

    def result(self) -> Done | None:
        """The final message of a worker that came to its end, once the workspace holds what it made."""
        done = _done(opened(self.home), self.work)
        if done is not None and done.lock is not None:
            self.workspace.adopt(self.stage, done.lock)
        return done


def data_work(workspace: Workspace, dataset: str, stage: str) -> str:
    """What a stage of dvc.yaml does: of the same inputs, by the same parameters and code, it goes by the same name."""
    needed = sorted(graph(workspace.root / "dvc.yaml")[stage])
    made_from = {name: workspace.version(name) for name in needed}
    said = {"from": made_from, "params": workspace.params(stage), "code": code()}
    return f"{dataset}/{stage}/{fingerprint(said)[:12]}"


def opened(home: Home) -> "ObjectStore":
    """The objects of a home.

    Raises:
        DispatchError: it has none; a worker elsewhere can neither be given anything nor leave anything.
    """
    if home.objects is None:
        raise DispatchError(
            "workers of a cluster share no disk with this machine: set FORESIGHT_OBJECTS, s3://BUCKET/PREFIX"
        )
    from orchestration.objects.store import open_store

    return open_store(home.objects)


def _of_dvc(workspace: Path) -> dict[str, str]:
    """The small files that say which data a workspace holds."""
    found = (workspace / name for name in OF_DVC)
    return {path.name: path.read_text(encoding="utf-8") for path in found if path.is_file()}


def _put(store: "ObjectStore", bundle: Bundle, attempt: str) -> str:
    key = place(bundle.work, attempt, "bundle.json")
    store.put_bytes(bundle.model_dump_json(by_alias=True).encode(), key)
    return key


def _done(store: "ObjectStore", work: str) -> Done | None:
    key = place(work, "done.json")
    return read_done(store.get_bytes(key), key) if store.exists(key) else None


def _moved(value: Any, there: str, here: str) -> Any:
    """A document with the paths of the worker's home as paths of this one."""
    if isinstance(value, dict):
        return {name: _moved(part, there, here) for name, part in value.items()}
    if isinstance(value, list):
        return [_moved(part, there, here) for part in value]
    return here + value.removeprefix(there) if isinstance(value, str) and value.startswith(f"{there}/") else value
