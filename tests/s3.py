"""A real S3 server for the tests: SeaweedFS, a plain process that can be ended and started again.

It listens on loopback only and knows one account, whose keys are planted: what a run leaves behind is searched for
them.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.stack import seaweedfs

PATIENCE_S = 60
KEY, SECRET = "FORESIGHTTESTKEY", "planted/Secret+of-no-account/7d1f0c"
BUCKET = "foresight-test"


@dataclass
class Server:
    """A server that may be up or away; what it holds outlives its process."""

    folder: Path
    ports: dict[str, int]
    _process: subprocess.Popen | None = field(default=None)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 needs to reach it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it over what it holds, and wait until it takes requests."""
        settings = {
            **self.ports,
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3": "true",
            "s3.config": self._accounts(),
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": self.folder / "s3.sock",
            "filer.localSocket": self.folder / "filer.sock",
            "master.telemetry": "false",
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 40,
        }
        options = [f"-{name}={value}" for name, value in settings.items()]
        command = [seaweedfs.program() or seaweedfs.LACKING, "server", *options]
        log = self.folder / "log"
        with log.open("a") as said:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=said, stderr=said)
        deadline = time.monotonic() + PATIENCE_S
        while not self._writes():
            assert self._process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"the S3 server does not answer: {log.read_text()[-3000:]}"
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as a machine ends that loses power; what it holds stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def _writes(self) -> bool:
        """Whether it stores an object: its parts come up one after another."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
        )
        try:
            client.create_bucket(Bucket=BUCKET)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
                return False
        except BotoCoreError:
            return False
        try:
            client.put_object(Bucket=BUCKET, Key="up", Body=b"yes")
        except (BotoCoreError, ClientError):
            return False
        return True

    def _accounts(self) -> Path:
        path = self.folder / "accounts.json"
        account = {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        path.write_text(json.dumps({"identities": [account]}))
        return path


def _free_ports(names: list[str]) -> dict[str, int]:
    with contextlib.ExitStack() as held:
        probes = {name: held.enter_context(socket.socket()) for name in names}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        return {name: probe.getsockname()[1] for name, probe in probes.items()}


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Start a server, and end it with all that it held."""
    if seaweedfs.lacking():
        pytest.skip(seaweedfs.lacking())
    folder = Path(tempfile.mkdtemp(prefix="foresight-s3-"))
    ports = _free_ports(
        [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    )
    server = Server(folder, ports)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3_alone() -> Iterator[Server]:
    """One server for the session that tests may end and start again, beside the one that others share."""
    with serving() as server:
        yield server


@pytest.fixture
def objects(s3_alone: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty store; the environment holds what boto3 needs for it."""
    for name, value in s3_alone.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"
