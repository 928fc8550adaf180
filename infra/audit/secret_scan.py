"""Secrets in the tracked files: `python -m infra.audit.secret_scan [FOLDER]`, with detect-secrets.

Exit status 0: none but what `allowed.yaml` lets pass. 1: something looks like a secret, or an entry lets nothing pass
any more. 2: wrong input. A mark in the line itself lets nothing pass: every exception stands in one file, with its
reason. Nothing that is found is sent anywhere to be tried.

Hex of 40 or 64 digits is a commit or a sha256, of which locks and tests are full, and no finding by its form alone; one
that is called a password or a token still is one.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.audit.allowed import Allowed, AllowedError, read

_HEX = "Hex High Entropy String"
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FILTERS = (
    "is_sequential_string",
    "is_potential_uuid",
    "is_likely_id_string",
    "is_templated_secret",
    "is_prefixed_with_dollar_sign",
    "is_indirect_reference",
    "is_not_alphanumeric_string",
)
"""Of detect-secrets' own, all but those that skip whole files and the one that obeys a mark in the line."""

_AS_WRITTEN = {".py", ".md"}
"""Read line by line as they stand. Of others, such as YAML, detect-secrets reads the values alone, and no comment: they
are read twice."""


@dataclass(frozen=True, order=True)
class Found:
    """A text that looks like a secret. The text itself is not kept: a log must not repeat it."""

    file: str
    line: int
    kind: str
    sha1: str


def tracked(root: Path) -> list[str]:
    """The files of a checkout that git tracks and that are there, relative to it.

    Raises:
        subprocess.CalledProcessError: it is no checkout.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def scan(root: Path, files: Iterable[str]) -> list[Found]:
    """What looks like a secret in these files; those that are not text are passed over."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import _process_line_based_plugins as by_line
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import transient_settings

    settings = {
        "plugins_used": [{"name": plugin.__name__} for plugin in get_mapping_from_secret_type_to_class().values()],
        "filters_used": [{"path": f"detect_secrets.filters.heuristic.{name}"} for name in _FILTERS],
    }
    collection = SecretsCollection(root=str(root))
    with transient_settings(settings):
        for name in files:
            collection.scan_file(name)
            if Path(name).suffix in _AS_WRITTEN:
                continue
            with suppress(UnicodeDecodeError):
                lines = (root / name).read_text(encoding="utf-8").splitlines()
                for secret in by_line(list(enumerate(lines, 1)), str(root / name)):
                    collection[name].add(secret)
    return sorted(
        Found(name, secret.line_number, secret.type, secret.secret_hash)
        for name, secret in collection
        if not (secret.type == _HEX and _HASH.fullmatch(secret.secret_value or ""))
    )


def judge(found: Iterable[Found], allowed: Allowed) -> Iterator[str]:
    """One line for each finding that is not allowed, and for each entry that lets nothing pass."""
    lets = {(entry.file, entry.kind, entry.sha1): entry for entry in allowed.secrets}
    used = set()
    for one in found:
        key = (one.file, one.kind, one.sha1)
        if key in lets:
            used.add(key)
            continue
        yield (
            f"{one.file}:{one.line}: looks like a secret ({one.kind}, sha1 {one.sha1}); take it out, and make it "
            "invalid where it was valid; if it is none, let it pass in infra/audit/allowed.yaml with the reason"
        )
    for file, kind, sha1 in sorted(lets.keys() - used):
        yield f"infra/audit/allowed.yaml: {file} ({kind}, sha1 {sha1}) is not found any more; remove the entry"


def main(arguments: list[str] | None = None) -> int:
    """Scan a checkout and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m infra.audit.secret_scan", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path.cwd(), help="the checkout; this folder")
    root = parser.parse_args(arguments).folder
    try:
        allowed, files = read(), tracked(root)
    except (AllowedError, OSError, subprocess.CalledProcessError) as error:
        said = f"{root}: no checkout that git can list" if isinstance(error, subprocess.CalledProcessError) else error
        print(f"secrets: {said}", file=sys.stderr)
        return 2
    complaints = list(judge(scan(root, files), allowed))
    for line in complaints:
        print(line, file=sys.stderr)
    print(f"secrets: {len(files)} tracked files, {len(complaints)} complaints, {len(allowed.secrets)} texts let pass")
    return 1 if complaints else 0


if __name__ == "__main__":
    raise SystemExit(main())
