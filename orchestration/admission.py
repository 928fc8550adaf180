"""The worker's door: which job files it lets in (design §2).

A job names the folders that a worker reads and writes. However the file came here, by Dagster, in a bundle or by hand,
the worker acts only on one of the stage that was asked for, whose folders lie in the home that it names: not above it,
not beside it, not by a link out of it. Weights are no folder of the home; their hashes are held against the job's.
"""

from collections.abc import Iterator
from pathlib import Path

from orchestration.home import DATASET_NAME
from orchestration.jobs import Job, JobError, read


def admit(path: Path | None, stage: str) -> Job:
    """The job in a file, once it may run as `stage`.

    Raises:
        JobError: it cannot be read, is of another stage, or names a dataset or a folder that it may not.
    """
    job = read(path)
    if job.stage != stage:
        raise JobError(f"{path}: a job of the stage {job.stage}, not of {stage}; start the worker with its own stage")
    if not DATASET_NAME.fullmatch(job.dataset):
        raise JobError(f"{path}: dataset {job.dataset!r} is no name of one; `foresight run` writes jobs that are right")
    require_inside(job, str(path))
    return job


def require_inside(job: Job, where: str) -> None:
    """Hold a job's folders against its home; `where` names the job to people.

    Raises:
        JobError: its home is no folder here, or a folder of it lies outside.
    """
    if not job.home.is_absolute() or not job.home.is_dir():
        raise JobError(f"{where}: home {str(job.home)!r} is no folder here; give the job the home of this machine")
    home = job.home.resolve()
    for name, folder in _folders(job):
        try:
            inside = folder.is_absolute() and home in folder.resolve().parents
        except (OSError, RuntimeError, ValueError) as error:  # links that run in a circle; a name with a null in it
            raise JobError(f"{where}: {name} {str(folder)!r}: {error}") from error
        if not inside:
            raise JobError(
                f"{where}: {name} {str(folder)!r} lies outside its home {job.home} (itself, by '..' or by a link); "
                "the worker refuses it"
            )


def _folders(job: Job) -> Iterator[tuple[str, Path]]:
    yield "workspace", job.workspace
    yield "out", job.out
    yield from ((f"inputs.{name}", folder) for name, folder in job.inputs.items())
