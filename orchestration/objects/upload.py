"""A file in parts: an upload that was killed goes on with the parts that the server has.

Which upload is whose is kept in the store itself, in a note under a key made of the object's key and the file's
sha256: any machine that has the same file can go on. A part counts as sent when the server's own record of it, its
sha256 or its MD5, is that of the same part of this file.
"""

import base64
import hashlib
import json
import math
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.provenance import file_sha256
from orchestration.objects.errors import ObjectError, ObjectMissing, ObjectTaken, StoreRefuses, code, translated
from orchestration.objects.store import PARALLEL, PART, UPLOADS, ObjectStore

MOST_PARTS = 10_000
"""S3's own limit."""


@dataclass(frozen=True)
class Upload:
    """One multipart upload: its id, and what its object will say of itself."""

    id: str
    said: dict[str, str]
    sent: dict[int, dict[str, Any]]
    """The parts that the server has, by number."""


def send(store: ObjectStore, path: Path, key: str, only_if_absent: bool) -> str:
    """Send a file of more than one part; gives its sha256. `ObjectStore.put_file` says what it raises."""
    sha256 = file_sha256(path)
    if only_if_absent and store.exists(key):
        raise ObjectTaken(f"{store.place(key)}: another writer was first; nothing was written")
    note = UPLOADS + hashlib.sha256(f"{key}\n{sha256}".encode()).hexdigest()
    upload = _noted(store, key, note) or _begin(store, key, note, sha256)
    size = path.stat().st_size
    length = part_length(size)

    def part(number: int) -> dict[str, Any]:
        with path.open("rb") as file:
            file.seek((number - 1) * length)
            return _part(store, key, upload, number, file.read(length))

    with ThreadPoolExecutor(PARALLEL) as pool:
        parts = list(pool.map(part, range(1, math.ceil(size / length) + 1)))
    _complete(store, key, upload, parts, only_if_absent)
    with suppress(StoreRefuses):  # who may not delete leaves a note, of an upload that is over
        store.remove(note)
    return sha256


def part_length(size: int) -> int:
    """Bytes in a part of a file of `size` bytes: whole MiB, and no more parts than S3 takes."""
    return max(PART, math.ceil(size / MOST_PARTS / 2**20) * 2**20)


def _noted(store: ObjectStore, key: str, note: str) -> Upload | None:
    """The upload of the same bytes to the same key that an earlier process began, if the server still has it."""
    try:
        noted = json.loads(store.get_bytes(note))
    except ObjectMissing:
        return None
    address = {"Bucket": store.bucket, "Key": store.full(key), "UploadId": noted["id"]}
    sent = {}
    try:
        with translated(store.place(key)):
            for page in store.client.get_paginator("list_parts").paginate(**address):
                sent |= {part["PartNumber"]: part for part in page.get("Parts", [])}
    except ObjectError as error:
        if not _gone(error):
            raise
        return None
    return Upload(noted["id"], noted["said"], sent)


def _begin(store: ObjectStore, key: str, note: str, sha256: str) -> Upload:
    said = {"sha256": sha256, "writer": uuid.uuid4().hex}
    with translated(store.place(key)):
        answer = store.client.create_multipart_upload(
            Bucket=store.bucket, Key=store.full(key), Metadata=said, ChecksumAlgorithm="SHA256"
        )
    store.put_bytes(json.dumps({"id": answer["UploadId"], "said": said}).encode(), note)
    return Upload(answer["UploadId"], said, {})


def _part(store: ObjectStore, key: str, upload: Upload, number: int, data: bytes) -> dict[str, Any]:
    """Send a part unless the server has it."""
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    there = upload.sent.get(number)
    if there and (there.get("ChecksumSHA256") == checksum or there["ETag"].strip('"') == hashlib.md5(data).hexdigest()):
        etag = there["ETag"]
    else:
        with translated(store.place(key)):
            etag = store.client.upload_part(
                Bucket=store.bucket,
                Key=store.full(key),
                UploadId=upload.id,
                PartNumber=number,
                Body=data,
                ChecksumSHA256=checksum,
            )["ETag"]
    return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum}


def _complete(store: ObjectStore, key: str, upload: Upload, parts: list[dict[str, Any]], only_if_absent: bool) -> None:
    address = {"Bucket": store.bucket, "Key": store.full(key), "UploadId": upload.id}
    condition = {"IfNoneMatch": "*"} if only_if_absent else {}
    try:
        with translated(store.place(key)):
            store.client.complete_multipart_upload(**address, MultipartUpload={"Parts": parts}, **condition)
    except ObjectError as error:
        # A retry of what had arrived, or another process with the same bytes, finds the upload completed.
        if not (isinstance(error, ObjectTaken) or _gone(error)) or not store.is_ours(key, upload.said):
            if isinstance(error, ObjectTaken):
                with translated(store.place(key)):
                    store.client.abort_multipart_upload(**address)
            raise


def _gone(error: ObjectError) -> bool:
    return code(getattr(error.__cause__, "response", {})) == "NoSuchUpload"
