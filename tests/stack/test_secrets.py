"""What a run is told in confidence is in nothing that it leaves behind: planted secrets are looked for everywhere.

The secrets are the keys to S3 and the password in the addresses of two databases. Looked through are the home with its
logs, MLflow's file and the report, every object in S3 with MLflow's files among them, every row of the record and of
Dagster's storage, and all that the commands print, those that fail too.
"""

import itertools
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from infra.processes import HOST, free_ports
from orchestration.objects.store import open_store
from tests.s3 import SECRET
from tests.stack.conftest import foresight
from tests.stack.remote import Remote

pytestmark = pytest.mark.stack
KNOWN = b"moving_shapes"
"""No secret: it must be found in every place, or the search does not see what is there."""


def of_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    return ((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def of_objects(url: str) -> Iterator[tuple[str, bytes]]:
    """Objects with what is noted of them, DVC's and MLflow's too, which carry no sha256 of ours."""
    store = open_store(url)

    def read(key: str) -> tuple[str, bytes]:
        found = store.client.get_object(Bucket=store.bucket, Key=store.full(key))
        return key, found["Body"].read() + json.dumps(found["Metadata"]).encode() + key.encode()

    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(read, list(store.keys()))


def of_rows(url: str) -> Iterator[tuple[str, bytes]]:
    """Every row of every table; what Dagster keeps compressed is opened."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"'):
                yield table, b" ".join(_opened(value) for value in row)


def _opened(value: object) -> bytes:
    if not isinstance(value, bytes):
        return str(value).encode()
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def holding(items: Iterable[tuple[str, bytes]], wanted: Iterable[bytes]) -> tuple[list[str], bool]:
    """The names of those that hold one of the wanted, and whether the known word was seen in any."""
    found, seen, needles = [], False, list(wanted)
    for name, data in items:
        seen |= KNOWN in data
        if any(needle in data for needle in needles):
            found.append(name)
    return found, seen


def written(secret: str) -> set[bytes]:
    """The ways in which a secret may be written down."""
    return {secret.encode(), quote(secret, safe="").encode(), quote(secret).encode()}


def test_no_secret_of_a_run_is_in_anything_that_it_leaves(objects, new_database, postgres, monkeypatch, tmp_path):
    record, storage = new_database(), new_database()
    monkeypatch.setenv("FORESIGHT_OBJECTS", objects)
    monkeypatch.setenv("FORESIGHT_DATABASE", record)
    monkeypatch.setenv("FORESIGHT_DAGSTER_DATABASE", storage)
    assert postgres.password in record
    remote = Remote(tmp_path, dict(os.environ))
    home, profile = remote.home.root, remote.profile()
    with monkeypatch.context() as away:
        (port,) = free_ports(1)
        away.setenv("AWS_ENDPOINT_URL_S3", f"http://{HOST}:{port}")
        away.setenv("AWS_MAX_ATTEMPTS", "1")
        failed = [foresight(home, "run", "--profile", str(profile), "--until", "clips")]
        away.setenv("FORESIGHT_DATABASE", record.replace(f":{postgres.port}/", f":{port}/"))
        failed += [foresight(home, "budget")]
    assert [each.returncode for each in failed] == [1, 1]
    remote.go(profile, "clips", "shards", "dinov2", "qwen", "latents", "phase1")
    done = [foresight(home, "report", "--out", str(home / "report.html"))]
    assert [each.returncode for each in done] == [0], done[0].stderr
    mlflow = {key for key in open_store(objects).keys("mlflow/") if key.endswith("model.safetensors")}
    assert mlflow, "checkpoints are attached to MLflow's run in S3"
    assert not (home / "mlflow" / "artifacts").exists()

    said = [(" ".join(each.args), (each.stdout + each.stderr).encode()) for each in (*failed, *done)]
    secrets = set(itertools.chain(written(SECRET), written(postgres.password)))
    for place, items in {
        "the home": of_files(home),
        "the object store": of_objects(objects),
        "the record": of_rows(record),
        "Dagster's storage": of_rows(storage),
        "what was printed": said,
    }.items():
        found, seen = holding(items, secrets)
        assert seen, f"nothing was seen in {place}"
        assert not found, f"a secret in {place}"
    planted, _ = holding([("planted", f"key={os.environ['AWS_SECRET_ACCESS_KEY']}".encode())], secrets)
    assert planted == ["planted"]
