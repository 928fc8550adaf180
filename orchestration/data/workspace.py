"""The DVC workspace of one dataset: its data.dvc, dvc.yaml, params.yaml and dvc.lock, under the home (design §3).

A run works here and never in the user's git tree, so that it leaves no dvc.lock of its own behind in a commit. Copies
of the repository's dvc.yaml and params.yaml are taken; of params.yaml only what dataset and profile differ in is
changed. DVC is used through its Python API and imported late: it costs a second that the definitions must not pay.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from orchestration.data import publication
from orchestration.data.intact import drop_damaged, lacking, objects
from orchestration.home import REPOSITORY, Home
from orchestration.objects.store import patient

CLIPS = "clips"
CLIPS_COMMAND = "python -m orchestration.worker clips"
REMOTE = "local"


class WorkspaceError(RuntimeError):
    """A workspace that DVC cannot use as it stands."""


class Workspace:
    """One dataset's folder, as DVC sees it."""

    def __init__(self, root: Path, remote: Path | str) -> None:
        self.root, self.remote = root, remote

    def prepare(self, params: Mapping[str, Any]) -> None:
        """Make the folder a workspace (once) and bring its dvc.yaml and params.yaml up to date."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._configure()
        shutil.copyfile(REPOSITORY / "dvc.yaml", self.root / "dvc.yaml")
        _write_if_changed(self.root / "params.yaml", yaml.safe_dump(dict(params), sort_keys=False))

    def open(self, files: Mapping[str, str]) -> None:
        """Make the folder the workspace that these small files are of: dvc.yaml, dvc.lock, data.dvc, params.yaml."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._configure()
        for name, text in files.items():
            _write_if_changed(self.root / name, text)

    def command(self, stage: str) -> str:
        """The command that makes a stage, as dvc.yaml gives it."""
        return CLIPS_COMMAND if stage == CLIPS else stages(self.root / "dvc.yaml")[stage]["cmd"]

    def fresh(self, stage: str) -> bool:
        """Whether DVC says that nothing a stage depends on or made has changed."""
        if stage == CLIPS and not (self.root / "data.dvc").is_file():
            return False
        if stage != CLIPS and stage not in self._lock():
            return False
        with self._repo() as repo:
            return not repo.status(targets=[self._target(stage)])

    def clear(self, stage: str) -> None:
        """Remove what a stage made under other parameters, as DVC does before a stage runs; DVC's cache keeps the
        bytes.

        Under the same parameters outs stay, so that only what is missing is made.
        """
        if stage in self._lock():
            then = self._lock()[stage].get("params", {}).get("params.yaml", {})
            # By the names of today's dvc.yaml: a parameter that the stage did not have then makes other outs too.
            if then != self.params(stage):
                self.remove(stage)

    def clear_after_clips(self) -> None:
        """Remove everything made of the clips: they are others now, not the same ones and more."""
        for stage in stages(self.root / "dvc.yaml"):
            self.remove(stage)

    def remove(self, stage: str) -> None:
        """Remove what a stage made; DVC's cache keeps the bytes."""
        for out in stages(self.root / "dvc.yaml")[stage]["outs"]:
            shutil.rmtree(self.root / _path(out), ignore_errors=True)

    def commit(self, stage: str) -> None:
        """Record what a finished stage made in dvc.lock (data.dvc for the clips), push it, and publish its version.

        Repeat it where it was cut short: what the remote has is not sent again.

        Raises:
            WorkspaceError: the remote does not answer or does not hold all of it; the version is not published.
        """
        with self._repo() as repo:
            self._record(repo, stage)
            if drop_damaged(self._cache, self.outs(stage)):
                self._record(repo, stage)
            repo.push(targets=[self._target(stage)], remote=REMOTE)
            absent = self._absent(repo, stage)
            if absent:
                self._send(repo, absent)
                absent = self._absent(repo, stage)
        if absent:
            raise WorkspaceError(f"{self.remote}: lacks {len(absent)} files of {stage} after the push; run it again")
        publication.note(self.root, str(self.remote), {stage: self.recorded(stage)})

    def published(self, stage: str) -> bool:
        """Whether the version of a stage is all in the remote, for any machine to have."""
        return publication.published(self.root, str(self.remote), stage, self.recorded(stage))

    def whole(self, stage: str) -> bool:
        """Whether a published version is still all in the remote: the remote is asked for each file.

        Raises:
            WorkspaceError: the remote does not answer.
        """
        with self._repo() as repo:
            return self.published(stage) and not self._absent(repo, stage)

    def pull(self, stages: Sequence[str]) -> None:
        """Fetch what these stages made, as data.dvc and dvc.lock say, from the remote, in place of what lies there.

        Every byte is hashed, what lay in the cache too.

        Raises:
            WorkspaceError: the remote lacks a file, holds a damaged one, or does not answer; nothing was replaced.
        """
        from dvc.exceptions import DownloadError

        outs = [out for stage in stages for out in self.outs(stage)]
        targets = [self._target(stage) for stage in stages]
        drop_damaged(self._cache, outs)
        with self._repo() as repo:
            for _ in range(2):  # a damaged list of a folder hides what it lists until it is fetched again
                with suppress(FileNotFoundError, DownloadError):  # what lacks is told below, by name
                    repo.fetch(targets=targets, remote=REMOTE)
                if not drop_damaged(self._cache, outs):
                    break
            missing = lacking(self._cache, outs)
            if missing:
                repo.cloud.get_remote_odb(REMOTE).oids_exist(missing)  # a remote that is away says so here
                raise WorkspaceError(
                    f"{self.remote}: {len(missing)} files are missing or damaged there, as {missing[0]}; remove that "
                    f"object and run the data stages where they were made: they send it again"
                )
            repo.checkout(targets=targets, force=True)
        publication.note(self.root, str(self.remote), {stage: self.recorded(stage) for stage in stages})

    def adopt(self, stage: str, row: Mapping[str, Any]) -> None:
        """Take over what a worker elsewhere made and pushed: its row of dvc.lock, and the outs that it names."""
        path = self.root / "dvc.lock"
        lock = {"schema": "2.0", "stages": {**self._lock(), stage: dict(row)}}
        part = path.with_suffix(".part")
        part.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
        part.replace(path)
        self.pull([stage])

    def row(self, stage: str) -> dict[str, Any]:
        """What dvc.lock says of a stage."""
        return self._lock()[stage]

    def made(self, stage: str) -> bool:
        """Whether what dvc.lock says of a stage lies in the workspace, to be added to."""
        outs = stages(self.root / "dvc.yaml")[stage]["outs"]
        return stage in self._lock() and all((self.root / _path(out)).exists() for out in outs)

    def params(self, stage: str) -> dict[str, Any]:
        """The parameters of a stage, as params.yaml has them now."""
        now = yaml.safe_load((self.root / "params.yaml").read_text(encoding="utf-8"))
        names = [CLIPS] if stage == CLIPS else stages(self.root / "dvc.yaml")[stage].get("params", [])
        return {name: _dotted(now, name) for name in names}

    def version(self, stage: str) -> str:
        """The hash DVC keeps for a stage's outs: the Dagster DataVersion of its asset.

        Raises:
            WorkspaceError: the stage has none, or not all of it is in the remote: no other machine could have it.
        """
        if not self.published(stage):
            raise WorkspaceError(f"{self.root}: {stage} was made, but not all of it is in {self.remote}; run it again")
        return self.recorded(stage)

    def outs(self, stage: str) -> list[dict[str, Any]]:
        """path, md5, size and number of files of a stage's outs."""
        if stage == CLIPS:
            return yaml.safe_load((self.root / "data.dvc").read_text(encoding="utf-8"))["outs"]
        lock = self._lock()
        if stage not in lock:
            raise WorkspaceError(f"{self.root / 'dvc.lock'}: stage {stage} was never committed; run it first")
        return lock[stage]["outs"]

    def versions(self) -> dict[str, str]:
        """What every stage has made that made something, published or not."""
        known = [CLIPS] if (self.root / "data.dvc").is_file() else []
        return {stage: self.recorded(stage) for stage in [*known, *self._lock()]}

    @property
    def _cache(self) -> Path:
        return self.root / ".dvc" / "cache"

    def recorded(self, stage: str) -> str:
        """What dvc.lock says that a stage has made, published or not."""
        return "+".join(out["md5"] for out in self.outs(stage))

    def _record(self, repo: Any, stage: str) -> None:
        if stage == CLIPS:
            repo.add(str(self.root / "data"))
        else:
            repo.commit(self._target(stage), force=True)

    def _absent(self, repo: Any, stage: str) -> set[str]:
        """The objects of a stage that the remote says it does not have."""
        wanted = list(objects(self._cache, self.outs(stage)))
        return set(wanted) - set(repo.cloud.get_remote_odb(REMOTE).oids_exist(wanted))

    def _send(self, repo: Any, oids: set[str]) -> None:
        """Send objects whatever DVC remembers of the remote: its push would not send what somebody removed there."""
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        remote = repo.cloud.get_remote_odb(REMOTE)
        transfer(repo.cache.local, remote, {HashInfo("md5", oid) for oid in oids}, shallow=True)

    def _target(self, stage: str) -> str:
        """DVC reads relative targets from the working folder of the process, so they are whole."""
        return str(self.root / "data.dvc") if stage == CLIPS else f"{self.root / 'dvc.yaml'}:{stage}"

    def _lock(self) -> dict[str, Any]:
        path = self.root / "dvc.lock"
        if not path.is_file():
            return {}
        try:
            return yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
        except (yaml.YAMLError, TypeError, KeyError) as error:
            raise WorkspaceError(
                f"{path}: damaged ({type(error).__name__}); remove it, the next run makes it anew"
            ) from error

    def _configure(self) -> None:
        """Make it a workspace of DVC's and name its remote there; credentials are never written down."""
        settings = self.root / ".dvc" / "config"
        local, known = isinstance(self.remote, Path), settings.read_text("utf-8") if settings.is_file() else ""
        if known and ("s3://" not in known if local else f"url = {self.remote}\n" in known):
            return
        from dvc.repo import Repo

        _quiet()
        if isinstance(self.remote, Path):
            self.remote.mkdir(parents=True, exist_ok=True)
        opened = Repo(str(self.root)) if known else Repo.init(str(self.root), no_scm=True)
        with opened as repo, repo.config.edit("repo") as edited:
            config: Any = edited
            config["core"].update({"analytics": False, "check_update": False, "remote": REMOTE})
            # DVC keeps a folder relative to its own.
            config["remote"][REMOTE] = {
                "url": os.path.relpath(self.remote) if local else str(self.remote),
                "verify": True,
            }

    @contextmanager
    def _repo(self) -> Iterator[Any]:
        from botocore.exceptions import BotoCoreError, ClientError
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        _quiet()
        try:
            with Repo(str(self.root)) as repo:
                yield repo
        except DvcException as error:
            raise WorkspaceError(f"{self.root}: DVC: {' '.join(str(error).split())}") from error
        except (BotoCoreError, ClientError, OSError) as error:  # DVC passes on what its remote says
            raise WorkspaceError(
                f"{self.root}: DVC with {self.remote}: {' '.join(str(error).split())}; "
                f"see that it answers (foresight doctor) and run again: it goes on"
            ) from error


def remote_of(home: Home) -> Path | str:
    """The DVC remote of every workspace of a home: in S3 where large files lie there, else a folder of the home."""
    return f"{home.objects}/dvc" if home.objects else home.remote


def stages(path: Path = REPOSITORY / "dvc.yaml") -> dict[str, dict[str, Any]]:
    """The stages of a dvc.yaml."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]


def graph(path: Path = REPOSITORY / "dvc.yaml") -> dict[str, set[str]]:
    """Which stage needs which, by the paths they make and read; `data` is what data.dvc holds, so the stage `clips`."""
    table = stages(path)
    maker = {"data": CLIPS} | {_path(out): name for name, stage in table.items() for out in stage["outs"]}
    return {CLIPS: set()} | {name: {maker[_path(dep)] for dep in stage["deps"]} for name, stage in table.items()}


def repository_params() -> dict[str, Any]:
    """The repository's own params.yaml."""
    return yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))


def _dotted(table: Any, name: str) -> Any:
    for part in name.split("."):
        table = table.get(part) if isinstance(table, dict) else None
    return table


def _path(entry: Any) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _quiet() -> None:
    """DVC writes progress bars and hints to the terminal that the run draws on."""
    import logging

    logging.getLogger("dvc").setLevel(logging.ERROR)
    for name, value in {**patient(), "DVC_NO_ANALYTICS": "1"}.items():
        os.environ.setdefault(name, value)
