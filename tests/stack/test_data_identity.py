"""`data.dvc` is the hash of what ingest makes: a fresh clone regenerates the clips bit for bit."""

import os
import shutil
import subprocess
import sys

import pytest

from orchestration.home import REPOSITORY

pytestmark = pytest.mark.stack


@pytest.fixture
def clone(tmp_path):
    """The tracked files of the repository, as a fresh clone has them."""
    folder = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if name.startswith((".dvc", "data.dvc", "dvc.yaml", "params.yaml")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    return folder


def test_the_clips_are_those_of_data_dvc(clone):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "orchestration.worker", "clips")
    recorded = (clone / "data.dvc").read_bytes()
    run(sys.executable, "-m", "dvc", "commit", "--force", "data.dvc")
    assert (clone / "data.dvc").read_bytes() == recorded
    assert "up to date" in run(sys.executable, "-m", "dvc", "status", "data.dvc")
    changed = next((clone / "data" / "clips").iterdir())
    changed.write_bytes(changed.read_bytes() + b"0")
    assert "modified" in run(sys.executable, "-m", "dvc", "status", "data.dvc")
