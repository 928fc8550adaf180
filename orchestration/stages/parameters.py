"""The params.yaml that a DVC stage reads from the folder it stands in, and whoever reads what that stage made."""

from pathlib import Path
from typing import Any

import yaml

from orchestration.data.workspace import WorkspaceError


def section(name: str, workspace: Path = Path()) -> dict[str, Any]:
    """One section of a workspace's params.yaml."""
    path = workspace / "params.yaml"
    if not path.is_file():
        raise WorkspaceError(
            f"{path.resolve()}: no params.yaml here; start the stage in the repository or a DVC workspace"
        )
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(table, dict) or name not in table:
        raise WorkspaceError(f"{path.resolve()}: no section {name!r}")
    return table[name]
