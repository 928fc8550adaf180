"""The object store in `foresight doctor`: whether it answers, and what to do where it does not."""

import time

import pytest

from infra.processes import HOST, free_ports
from orchestration.cli.doctor import examine
from orchestration.profile import load


def row() -> dict:
    [found] = [row for row in examine(load("laptop")) if row["what"] == "object store"]
    return found


def test_without_an_object_store_there_is_no_line_on_it():
    assert not [row for row in examine(load("laptop")) if row["what"] == "object store"]


def test_an_address_with_keys_in_it_lacks_and_is_not_repeated(monkeypatch):
    monkeypatch.setenv("FORESIGHT_OBJECTS", "s3://key:secret@bucket/place")
    found = row()
    assert not found["fine"]
    assert "AWS_*" in found["remedy"]
    assert "secret" not in str(found)


def test_a_store_that_is_away_is_said_soon(monkeypatch):
    (port,) = free_ports(1)
    monkeypatch.setenv("FORESIGHT_OBJECTS", "s3://bucket/place")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{HOST}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    began = time.monotonic()
    found = row()
    assert time.monotonic() - began < 15, "a minute of retries is for work, not for a look"
    assert not found["fine"]
    assert "does not answer" in found["found"]
    assert "secret" not in str(found)


@pytest.mark.stack
def test_a_store_that_answers_is_fine_and_one_that_refuses_lacks(objects, monkeypatch):
    monkeypatch.setenv("FORESIGHT_OBJECTS", objects)
    assert (row()["fine"], row()["found"]) == (True, f"{objects} answers")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    found = row()
    assert not found["fine"]
    assert "the store refuses (SignatureDoesNotMatch)" in found["found"]
