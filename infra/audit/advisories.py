"""Known weaknesses of what `requirements.lock` installs: `python -m infra.audit.advisories`, with pip-audit.

Exit status 0: none but what `allowed.yaml` lets pass. 1: a finding, a package that could not be looked up, or an entry
that lets nothing pass any more. 2: wrong input. 4: no service could be asked, so nothing is known.

A mirror of the package index often has no advisories, and to pip-audit that reads as "no known vulnerabilities". So a
service is asked first about a release that is known to have one; who does not know that is not asked further.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from infra.audit.allowed import Advisory, Allowed, AllowedError, read

SERVICES = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
KNOWN = "jinja2==3.1.2"
"""Has had an advisory since January 2024 (CVE-2024-22195)."""
NOT_ASKED = 4
_TIMEOUT_S = 15
_LIMIT_S = 600


class NotAskedError(RuntimeError):
    """pip-audit could not find out."""


@dataclass(frozen=True)
class Finding:
    """One advisory on one package, or why the package could not be looked up."""

    package: str
    version: str
    names: frozenset[str]
    fixed: tuple[str, ...] = ()
    unknown: str = ""


def first_that_knows(services: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The options of the first service that knows of a release's known weakness."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.txt"
        known.write_text(f"{KNOWN}\n")
        for service in services:
            try:
                if any(one.names for one in _ask(known, *service, "--no-deps")):
                    return service
            except NotAskedError:
                continue
    return None


def _ask(requirements: Path, *options: str) -> list[Finding]:
    """What pip-audit finds; the file is only read, nothing of it is installed.

    Raises:
        NotAskedError: it ended without a document, as it does when a service is away or the file is none.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"]
    command += ["--format", "json", "--aliases", "on", "--desc", "off", "--progress-spinner", "off"]
    command += ["--timeout", str(_TIMEOUT_S), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise NotAskedError(f"no answer in {_LIMIT_S} s") from None
    try:
        return list(_findings(json.loads(done.stdout)))
    except json.JSONDecodeError:
        raise NotAskedError((done.stderr.strip().splitlines() or ["it said nothing"])[-1]) from None


def _findings(document: dict[str, Any]) -> Iterator[Finding]:
    for package in document["dependencies"]:
        if reason := package.get("skip_reason"):
            yield Finding(package["name"], "", frozenset(), unknown=reason)
        for one in package.get("vulns", ()):
            names = frozenset({one["id"], *one["aliases"]})
            yield Finding(package["name"], package["version"], names, tuple(one["fix_versions"]))


def judge(found: Iterable[Finding], allowed: Allowed, today: date) -> Iterator[str]:
    """One line for each finding that is not allowed today, and for each entry that lets nothing pass."""
    used: set[Advisory] = set()
    for one in found:
        if one.unknown:
            yield f"{one.package}: could not be looked up ({one.unknown})"
            continue
        entry = next((a for a in allowed.advisories if a.package == one.package and a.id in one.names), None)
        if entry:
            used.add(entry)
            if today <= entry.until:
                continue
        fixed = f"fixed in {', '.join(one.fixed)}" if one.fixed else "not fixed in any release"
        over = f"; let pass until {entry.until}, which is over" if entry else ""
        yield f"{one.package} {one.version}: {', '.join(sorted(one.names))}; {fixed}{over}"
    for entry in allowed.advisories:
        if entry not in used:
            yield f"infra/audit/allowed.yaml: {entry.id} of {entry.package} is not found any more; remove the entry"


def audit(lock: Path, allowed: Allowed, today: date, services: Iterable[tuple[str, ...]] = SERVICES) -> int:
    """Look the lock up at the first service that can be asked; the exit status."""
    service = first_that_knows(services)
    if service is None:
        print(
            f"advisories: NOT LOOKED UP: no service that knows of {KNOWN}'s weakness can be reached from here "
            "(pypi.org, api.osv.dev); nothing is known of the lock, run it where one can be",
            file=sys.stderr,
        )
        return NOT_ASKED
    try:
        complaints = list(judge(_ask(lock, *service), allowed, today))
    except NotAskedError as error:
        complaints = [f"{lock}: pip-audit could not look it up: {error}"]
    for line in complaints:
        print(line, file=sys.stderr)
    print(f"advisories: {lock.name} looked up, {len(complaints)} complaints, {len(allowed.advisories)} let pass")
    return 1 if complaints else 0


def main(arguments: list[str] | None = None) -> int:
    """Look up a lock and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m infra.audit.advisories", description=__doc__)
    parser.add_argument("lock", type=Path, nargs="?", default=Path("requirements.lock"))
    lock = parser.parse_args(arguments).lock
    try:
        allowed = read()
    except AllowedError as error:
        print(f"advisories: {error}", file=sys.stderr)
        return 2
    if not lock.is_file():
        print(f"advisories: {lock}: no such file; run it in the repository's folder", file=sys.stderr)
        return 2
    return audit(lock, allowed, date.today())


if __name__ == "__main__":
    raise SystemExit(main())
