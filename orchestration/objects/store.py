"""An object store: one prefix of one S3 bucket, every object with the sha256 of its bytes, verified when it is read.

    s3://BUCKET/PREFIX

Credentials, region and endpoint come by boto3's own chain and are kept nowhere else (AWS_* in the environment, an
instance's role; AWS_ENDPOINT_URL_S3 for another server). Retries, with their backoff and timeouts, are botocore's
(`standard`); what takes more than one request to send is in `orchestration/objects/upload.py`. boto3 is imported late:
it costs what the definitions must not pay.
"""

import base64
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from models.provenance import file_sha256
from orchestration.objects.errors import (
    AddressError,
    ObjectDamaged,
    ObjectError,
    ObjectMissing,
    ObjectTaken,
    StoreAway,
    StoreRefuses,
    translated,
)

__all__ = [
    "AddressError",
    "ObjectDamaged",
    "ObjectError",
    "ObjectMissing",
    "ObjectStore",
    "ObjectTaken",
    "StoreAway",
    "StoreRefuses",
    "open_store",
    "patient",
]

PARALLEL = 8
"""Requests at once. All of them may wait out an outage: 8 x 11 retries x 5 tokens fit botocore's quota of 500."""
PART = 8 * 2**20
"""What is larger is sent in parts of at least this many bytes."""
UPLOADS = ".uploads/"
"""Notes on uploads that are under way; no objects of anybody's."""
_CONNECT_S, _READ_S = 5, 60
_BODIES = 5
"""Times that an answer may break off in its body, which botocore's retries do not cover; as many as for large files."""


def patient() -> dict[str, str]:
    """How long boto3 tries, here and inside DVC and MLflow, unless the environment says otherwise.

    Twelve attempts with waits of up to 1, 2, 4, ... 20 s, half of that on average: a minute and a quarter, so that half
    a minute without the server ends nothing.
    """
    wanted = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "12"}
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def open_store(url: str) -> "ObjectStore":
    """The store that an address names. Nothing is asked of the server yet.

    Raises:
        AddressError: it is not s3://BUCKET or s3://BUCKET/PREFIX, or carries more than that.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise AddressError(
            "FORESIGHT_OBJECTS: write s3://BUCKET/PREFIX, and no credentials in it: they belong in AWS_* variables"
        )
    return ObjectStore(parts.netloc, parts.path.strip("/"))


@dataclass(frozen=True)
class ObjectStore:
    """One prefix of a bucket. Keys are relative to it. Safe to use from several threads."""

    bucket: str
    prefix: str
    attempts: int | None = None
    """How often a request is made before the store is said to be away; None: as `patient` says."""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def place(self, key: str) -> str:
        """An object's address, for people."""
        return f"{self}/{key}"

    def full(self, key: str) -> str:
        """An object's key in the bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key

    @cached_property
    def client(self) -> Any:
        """boto3's client; its credentials are in memory only."""
        from boto3.session import Session
        from botocore.config import Config

        tries = patient()
        retries: Any = {
            "mode": tries["AWS_RETRY_MODE"],
            "total_max_attempts": self.attempts or int(tries["AWS_MAX_ATTEMPTS"]),
        }
        config = Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            max_pool_connections=PARALLEL,
            retries=retries,
        )
        return Session().client("s3", config=config)

    def put_file(self, path: Path, key: str, *, only_if_absent: bool = False) -> str:
        """Send a file; gives its sha256. A file of more than one part goes on where a killed upload of it stopped.

        Raises:
            ObjectTaken: `only_if_absent`, and there is an object of that key already.
            ObjectError: the store is away, refuses, or received other bytes than were sent.
        """
        if path.stat().st_size <= PART:
            return self.put_bytes(path.read_bytes(), key, only_if_absent=only_if_absent)
        from orchestration.objects.upload import send

        return send(self, path, key, only_if_absent)

    def put_bytes(self, data: bytes, key: str, *, only_if_absent: bool = False) -> str:
        """Send bytes in one request; gives their sha256.

        Raises:
            ObjectTaken: `only_if_absent`, and there is an object of that key already.
            ObjectError: the store is away, refuses, or received other bytes than were sent.
        """
        digest = hashlib.sha256(data)
        said = {"sha256": digest.hexdigest(), "writer": uuid.uuid4().hex}
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        try:
            with translated(self.place(key)):
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self.full(key),
                    Body=data,
                    Metadata=said,
                    ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                    **condition,
                )
        except ObjectTaken:
            if not self.is_ours(key, said):
                raise
        return said["sha256"]

    def is_ours(self, key: str, said: dict[str, str]) -> bool:
        """Whether the object there is the one of this very write: a retry of what had arrived is told "taken"."""
        return (self.said_of(key) or {}) == said

    def said_of(self, key: str) -> dict[str, str] | None:
        """What was noted with an object, or None when there is none."""
        try:
            with translated(self.place(key)):
                return self.client.head_object(Bucket=self.bucket, Key=self.full(key))["Metadata"]
        except ObjectMissing:
            return None

    def get_bytes(self, key: str) -> bytes:
        """An object's bytes, verified.

        Raises:
            ObjectMissing: there is none.
            ObjectDamaged: its bytes are not those that were put, or nobody noted their sha256.
        """
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        with translated(self.place(key)):
            for left in reversed(range(_BODIES)):
                answer = self.client.get_object(Bucket=self.bucket, Key=self.full(key))
                try:
                    data = answer["Body"].read()
                    break
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    if not left:
                        raise
        self._verify(key, answer["Metadata"], hashlib.sha256(data).hexdigest())
        return data

    def get_file(self, key: str, path: Path) -> str:
        """Write an object to `path`, verified, whole or not at all; gives its sha256.

        Raises:
            ObjectMissing: there is none.
            ObjectDamaged: its bytes are not those that were put, or nobody noted their sha256.
        """
        from boto3.s3.transfer import TransferConfig

        said = self.said_of(key)
        if said is None:
            raise ObjectMissing(f"{self.place(key)}: no such object")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".reading-", delete=False) as draft:
            try:
                with translated(self.place(key)):
                    config = TransferConfig(
                        multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=PARALLEL
                    )
                    self.client.download_fileobj(self.bucket, self.full(key), draft, Config=config)
                draft.flush()
                os.fsync(draft.fileno())
                found = file_sha256(Path(draft.name))
                self._verify(key, said, found)
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
        return found

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key: whole, as S3 shows no other."""
        return self.said_of(key) is not None

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys below a prefix, in order."""
        start = len(self.full(""))
        with translated(self.place(prefix)):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.full(prefix))
            for page in pages:
                for entry in page.get("Contents", []):
                    if not entry["Key"][start:].startswith(UPLOADS):
                        yield entry["Key"][start:]

    def remove(self, key: str) -> None:
        """Remove an object; that there is none is fine."""
        with translated(self.place(key)):
            self.client.delete_object(Bucket=self.bucket, Key=self.full(key))

    def _verify(self, key: str, said: dict[str, str], found: str) -> None:
        expected = said.get("sha256")
        if expected is None:
            raise ObjectDamaged(f"{self.place(key)}: carries no sha256, so nobody can vouch for it; put it again")
        if found != expected:
            raise ObjectDamaged(
                f"{self.place(key)}: sha256 is {found[:12]}, {expected[:12]} was put; remove it and put it again"
            )
