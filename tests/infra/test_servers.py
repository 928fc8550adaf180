"""The servers of the stack: each answers, keeps what it was given, and leaves no process and no socket behind."""

import secrets

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from infra.processes import free_ports
from infra.stack import seaweedfs

pytestmark = pytest.mark.stack


def test_s3_keeps_its_objects_over_a_start_and_takes_the_new_key_only(tmp_path, monkeypatch):
    keys = [("one", secrets.token_hex()), ("two", secrets.token_hex())]
    for number, (access, secret) in enumerate(keys):
        with seaweedfs.serving(tmp_path / "s3", free_ports(1)[0], access, secret) as server:
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            client = boto3.Session().client("s3")
            server.bucket("kept")
            if number == 0:
                client.put_object(Bucket="kept", Key="clip", Body=b"frames")
            assert client.get_object(Bucket="kept", Key="clip")["Body"].read() == b"frames"
            with pytest.raises(ClientError, match="InvalidAccessKeyId"):
                boto3.Session().client("s3", aws_access_key_id="three", aws_secret_access_key="3").list_buckets()
            members = server.server.members()
            assert members
    assert not [process for process in members if psutil.pid_exists(process.pid)]
    assert (tmp_path / "s3" / "s3.json").stat().st_mode & 0o077 == 0
    assert keys[1][1] not in (tmp_path / "s3" / "seaweedfs.log").read_text()
