"""What a result was made from, in one hash: data versions, weights, recipe and source. Same hash, same result, no
second run.
"""

import ast
import hashlib
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from models.provenance import folder_sha256
from orchestration.home import REPOSITORY


class VersionError(RuntimeError):
    """Something whose version cannot be told."""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """One sha256 over plain JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@cache
def source_sha256(*parts: str) -> str:
    """What the code of files and packages of this repository does: their syntax trees, docstrings left out.

    A comment or a line break changes no result, so it makes none stale.
    """
    files = [file for part in parts for file in _python_files(REPOSITORY / part)]
    return fingerprint({str(file.relative_to(REPOSITORY)): _syntax(file) for file in sorted(files)})


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
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def code_commit() -> str:
    """The commit of this code, `+dirty` when files differ from it; `none` outside a git tree."""
    head = _git("rev-parse", "HEAD")
    if not head:
        return "none"
    return f"{head}+dirty" if _git("status", "--porcelain", "--untracked-files=no") else head


def weights_sha256(folder: Path) -> str:
    """The hash of a folder of weights, kept while its files' names, times and sizes stay: a run asks several times."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return _weights(folder, tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files))


@cache
def _weights(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    return folder_sha256(folder)


def _git(*arguments: str) -> str:
    """Git's answer, or nothing where there is no git or no commit."""
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
