"""What a result was made from, in one hash: data versions, weights, recipe and source. Same hash, same result, no
second run.
"""

import ast
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from models.provenance import file_hashes, listing_sha256
from orchestration.home import REPOSITORY


class VersionError(RuntimeError):
    """Something whose version cannot be told."""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """One sha256 over plain JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@cache
def source_sha256(*parts: str) -> str:
    """What the code of files and packages of this repository does: their syntax trees without docstrings and without
    what errors say.

    A comment, a line break or another word in an error changes no result, so it makes none stale.
    """
    files = [file for part in parts for file in _python_files(REPOSITORY / part)]
    return fingerprint({str(file.relative_to(REPOSITORY)): _syntax(file) for file in sorted(files)})


@cache
def with_imports(part: str) -> tuple[str, ...]:
    """A file of this repository and every other one that it imports, itself or through others: what it can call."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported(REPOSITORY / file)
    return tuple(sorted(found))


def _imported(file: Path) -> list[str]:
    """The files of this repository that a file imports by name, wherever in it; `from a import b` may mean a/b.py."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    paths = (f"{module.replace('.', '/')}{end}" for module in modules for end in (".py", "/__init__.py"))
    return [path for path in paths if (REPOSITORY / path).is_file()]


def _python_files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else list(path.rglob("*.py"))
    if not found:
        raise VersionError(f"{path}: no source here; a result's fingerprint names it")
    return found


def _syntax(file: Path) -> str:
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def code_commit() -> str:
    """The commit of this code, `+dirty` when files differ from it; outside a git tree the one that an image was built
    from, else `none`.
    """
    head = _git("rev-parse", "HEAD")
    if not head:
        return os.environ.get("FORESIGHT_CODE_COMMIT") or "none"
    return f"{head}+dirty" if _git("status", "--porcelain", "--untracked-files=no") else head


def weights_hashes(folder: Path, parts: tuple[str, ...] = ()) -> dict[str, str]:
    """`file_hashes`, kept while the files' names, times and sizes stay: a run asks several times."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return dict(_weights(folder, parts, tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files)))


def weights_sha256(folder: Path, parts: tuple[str, ...] = ()) -> str:
    """The hash of a folder of weights, or of these parts of it."""
    return listing_sha256(weights_hashes(folder, parts))


@cache
def _weights(folder: Path, parts: tuple[str, ...], files: tuple[tuple[str, int, int], ...]) -> dict[str, str]:
    return file_hashes(folder, parts)


def _git(*arguments: str) -> str:
    """Git's answer, or nothing where there is no git or no commit."""
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
