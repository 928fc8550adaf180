"""The worker's end: a home of its own for the length of one attempt, on a machine that shares no disk (ADR 18).

It lays out what the bundle names, runs the stage through the same door as everywhere, sends back the files that the
stage made or changed, and then the final message. What it leaves before that message is never taken for a result.
Its credentials are its machine's own; none comes with the work.
"""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.admission import require_inside
from orchestration.dispatch.bundle import Bundle, BundleError, Done, place, read
from orchestration.dispatch.partial import fetch, forget, kept, kept_extraction
from orchestration.home import Home
from orchestration.jobs import Job

if TYPE_CHECKING:
    from orchestration.data.workspace import Workspace
    from orchestration.objects.store import ObjectStore

Stage = Callable[[str, Path | None, Any], dict[str, Any]]
PREFIX, ALIVE = "foresight-", ".alive"
BUNDLE = "FORESIGHT_BUNDLE"
"""The key of the bundle that this process works on: workers that it starts on other machines are told it."""


def run(stage: str, key: str, reporter: Any, work: Stage) -> dict[str, Any]:
    """Do one attempt's work; the stage's result, which is in S3 when this returns.

    Raises:
        BundleError: the bundle is none, or not for this worker.
        ObjectError: S3 is away, or holds other bytes than were put.
    """
    from orchestration.objects.store import open_store

    began, url = time.monotonic(), Home.find().objects
    if url is None:
        raise BundleError(f"{key}: this worker knows no objects; set FORESIGHT_OBJECTS where it runs")
    store = open_store(url)
    bundle = read(store.get_bytes(key), key)
    if bundle.stage != stage:
        raise BundleError(f"{key}: a bundle of the stage {bundle.stage}, not of {stage}")
    with (
        _ended_after(bundle.allowed_s),
        scratch_home() as home,
        _environment(FORESIGHT_HOME=str(home.root), **{BUNDLE: key}),
    ):
        job = lay_out(store, bundle, home)
        path = _write(job, time.monotonic() - began) if job else None
        laid = listing(home.runs)  # the job file among them: its paths are this worker's, and stay here
        with _kept(store, bundle, home, job):
            result = work(stage, path, reporter)
        made = send_back(store, bundle, home, laid)
        seconds = time.monotonic() - began
        _put_done(store, Done(work=bundle.work, home=str(home.root), seconds=seconds, result=result, **made))
        forget(store, place(bundle.work, "partial"))
    return result


@contextmanager
def laid_out(key: str, job: Job) -> Iterator[Job]:
    """What a bundle names, on the machine of one of several workers, for the length of a `with`; the job there.

    Raises:
        BundleError, ObjectError: as `run`.
    """
    from orchestration.objects.store import open_store

    store = open_store(Home(job.home).objects or "")
    bundle = read(store.get_bytes(key), key)
    with scratch_home() as home, _environment(FORESIGHT_HOME=str(home.root)):
        there = lay_out(store, bundle, home)
        if there is None:
            raise BundleError(f"{key}: holds no typed job, and only such a one is shared by several workers")
        yield there


@contextmanager
def scratch_home() -> Iterator[Home]:
    """A home for the length of a `with`, on this machine's disk, from which those that killed workers left go first."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{ALIVE}"):
        _remove_dead(left)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        held = Path(folder).resolve() / f"{ALIVE}.part"
        with held.open("w") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)  # the kernel lets go of it when this process ends, however it does
            held.rename(held.with_name(ALIVE))
            yield Home(held.parent)


def _remove_dead(left: Path) -> None:
    try:
        with left.open("a") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    except OSError:  # it works, or another has just removed it
        return


def _write(job: Job, spent: float) -> Path:
    """The job file; what laying out took is gone from the time that the stage may take."""
    left = None if job.allowed_s is None else max(0.0, job.allowed_s - spent)
    return job.model_copy(update={"allowed_s": left}).write()


def lay_out(store: "ObjectStore", bundle: Bundle, home: Home) -> Job | None:
    """Make the home what the orchestration's is, as far as the work needs it; the job, where it is typed work.

    Raises:
        BundleError: the data or the weights here are not those that the work was asked for with.
    """
    from orchestration.objects.extractions import pull_extraction
    from orchestration.objects.folders import pull_folder

    for folder, prefix in bundle.folders.items():
        pull_folder(store, prefix, home.root / folder)
    workspace = _workspace(bundle, home)
    workspace.open(bundle.files)
    workspace.pull(bundle.pull)
    os.chdir(workspace.root)
    if bundle.job is None:
        if features := _features(bundle, home):
            pull_extraction(store, place(bundle.work, "partial"), features)
        return None
    job = bundle.job.moved(home.root)
    require_inside(job, place(bundle.work, "the job"))  # before anything is written where it says
    _require("data", {name: workspace.version(name) for name in job.data_versions}, job.data_versions)
    _require("weights", {name: job.profile.hash_of(name) for name in job.weights}, job.weights)
    fetch(store, place(bundle.work, "partial"), job.out)
    return job


def _kept(store: "ObjectStore", bundle: Bundle, home: Home, job: Job | None) -> AbstractContextManager[None]:
    """What the stage has made so far goes to S3 while it goes on, for whoever takes it up were this worker lost."""
    prefix = place(bundle.work, "partial")
    if job is not None:
        return kept(store, prefix, job.out)
    features = _features(bundle, home)
    return kept_extraction(store, prefix, features) if features else nullcontext()


def _features(bundle: Bundle, home: Home) -> Path | None:
    """Where an extraction has its features; None of other stages."""
    from orchestration.stages.tokens import FOLDERS

    return home.root / bundle.workspace / FOLDERS[bundle.stage] if bundle.stage in FOLDERS else None


def send_back(store: "ObjectStore", bundle: Bundle, home: Home, laid: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Send what the stage made or changed, beside what was laid out; what the final message says of it."""
    from orchestration.objects.folders import push_folder

    if bundle.job is None:
        workspace = _workspace(bundle, home)
        workspace.commit(bundle.stage)
        return {"lock": workspace.row(bundle.stage)}
    made = home.root / "made"
    made.mkdir()
    for name in (name for name, seen in listing(home.runs).items() if laid.get(name) != seen):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(home.runs / name, made / name)
    return {"manifest": push_folder(store, made, place(bundle.work, "result"))}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file below a folder: enough to see which of them a stage wrote."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns) for p in files}


def _workspace(bundle: Bundle, home: Home) -> "Workspace":
    from orchestration.data.workspace import Workspace, remote_of

    return Workspace(home.root / bundle.workspace, remote_of(home))


def _put_done(store: "ObjectStore", done: Done) -> None:
    """The first final message stands: another attempt of the same work, thought dead, says the same."""
    from orchestration.objects.store import ObjectTaken

    key = place(done.work, "done.json")
    try:
        store.put_bytes(done.model_dump_json(by_alias=True).encode(), key, only_if_absent=True)
    except ObjectTaken:
        print(f"{key}: another attempt of this work was first; its result stands", flush=True)


@contextmanager
def _ended_after(allowed_s: float | None) -> Iterator[None]:
    """The kernel ends a process in this `with` when its time is up, whatever it hangs in and whoever still watches."""
    if allowed_s is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, allowed_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """These variables for the length of a `with`; the process stands where it stood, and as it was, afterwards."""
    before, stood = {name: os.environ.get(name) for name in variables}, Path.cwd()
    os.environ |= variables
    try:
        yield
    finally:
        os.chdir(stood)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _require(what: str, here: dict[str, str], asked: dict[str, str]) -> None:
    other = sorted(name for name in asked if here[name] != asked[name])
    if other:
        name = other[0]
        raise BundleError(
            f"{what} of {name}: {here[name][:12]} on this worker, {asked[name][:12]} was asked for;"
            f" give the worker what the orchestration has"
        )
