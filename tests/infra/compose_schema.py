"""The schema of the Compose Specification, as the package check-jsonschema carries it: fetched by its hash, once."""

import json
import tempfile
from pathlib import Path
from typing import Any

from models.archives import Archive, download, members
from models.weights import cache_dir

PACKAGE = Archive(
    "check-jsonschema==0.39.0",
    "check_jsonschema-0.39.0-py3-none-any.whl",
    "14ce5c94871c551268ea948ffe21e9f1464dc48fb20bf9a4c13deeaaf756cf9b",
)
MEMBER = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"


def compose_schema() -> dict[str, Any]:
    """The schema; kept beside the weights, under the hash of the package that it came from."""
    kept = cache_dir() / f"compose-spec-{PACKAGE.sha256[:12]}.json"
    if not kept.is_file():
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
            aside = Path(folder) / kept.name
            aside.write_bytes(members(download(PACKAGE, Path(folder)), {MEMBER})[MEMBER])
            aside.replace(kept)
    return json.loads(kept.read_bytes())
