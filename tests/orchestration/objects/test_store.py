"""What a store promises without a server: addresses, and what each answer of S3 is called. Answers are S3's own,
played back by botocore's stub.
"""

import io

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from orchestration.objects import store as module
from orchestration.objects.errors import translated
from orchestration.objects.store import (
    AddressError,
    ObjectDamaged,
    ObjectMissing,
    ObjectTaken,
    StoreAway,
    StoreRefuses,
    open_store,
)

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return open_store("s3://bucket/some/place")


@pytest.fixture
def answers(store):
    with Stubber(store.client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def body(data: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    "address", ["", "bucket/prefix", "http://bucket/prefix", "s3://", "s3://key:secret@bucket/x", "s3://bucket/x?key=1"]
)
def test_an_address_that_is_none_is_refused_and_not_repeated(address):
    with pytest.raises(AddressError, match="s3://BUCKET/PREFIX") as refused:
        open_store(address)
    assert "secret" not in str(refused.value)


def test_keys_lie_below_the_prefix():
    assert open_store("s3://bucket/some/place/").full("a") == "some/place/a"
    assert open_store("s3://bucket").full("a") == "a"


def test_a_put_sends_the_checksum_and_notes_it(store, answers):
    wanted = {"Bucket": "bucket", "Key": "some/place/a", "Body": b"hello", "IfNoneMatch": "*"}
    noted = {
        "Metadata": {"sha256": HELLO, "writer": ANY},
        "ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    }
    answers.add_response("put_object", {}, {**wanted, **noted})
    assert store.put_bytes(b"hello", "a", only_if_absent=True) == HELLO


def test_a_lost_conditional_write_is_told_from_a_repeated_one_of_ones_own(store, answers, monkeypatch):
    monkeypatch.setattr(module.uuid, "uuid4", lambda: type("Known", (), {"hex": "this write"}))
    for writer in ("this write", "another"):
        answers.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
        answers.add_response("head_object", {"Metadata": {"sha256": HELLO, "writer": writer}})
    assert store.put_bytes(b"hello", "a", only_if_absent=True) == HELLO
    with pytest.raises(ObjectTaken, match="s3://bucket/some/place/a: another writer was first"):
        store.put_bytes(b"hello", "a", only_if_absent=True)


@pytest.mark.parametrize(
    ("data", "said"), [(b"hellp", {"sha256": HELLO}), (b"hello", {"sha256": "0" * 64}), (b"hello", {})]
)
def test_bytes_that_are_not_those_that_were_put_are_never_given(store, answers, data, said):
    answers.add_response("get_object", {"Body": body(data), "Metadata": said})
    with pytest.raises(ObjectDamaged, match=r"s3://bucket/some/place/a.*put it again"):
        store.get_bytes("a")


def test_an_answer_that_breaks_off_is_asked_for_again(store, answers):
    answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"hel"), 5), "Metadata": {"sha256": HELLO}})
    answers.add_response("get_object", {"Body": body(b"hello"), "Metadata": {"sha256": HELLO}})
    assert store.get_bytes("a") == b"hello"


def test_a_file_that_is_not_there_leaves_nothing_behind(store, answers, tmp_path):
    answers.add_client_error("head_object", "404", http_status_code=404)
    with pytest.raises(ObjectMissing, match="no such object"):
        store.get_file("a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectMissing),
        ("NoSuchBucket", 404, StoreRefuses),
        ("InvalidAccessKeyId", 403, StoreRefuses),
        ("BadDigest", 400, ObjectDamaged),
        ("SlowDown", 503, StoreAway),
    ],
)
def test_each_answer_has_its_name(store, answers, said, status, kind):
    answers.add_client_error("get_object", said, http_status_code=status)
    with pytest.raises(kind, match=r"^s3://bucket/some/place/a: "):
        store.get_bytes("a")


def test_no_server_and_no_credentials_say_what_to_do():
    with pytest.raises(StoreAway, match=r"does not answer .*AWS_ENDPOINT_URL_S3"), translated("s3://bucket/a"):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(StoreRefuses, match="set AWS_ACCESS_KEY_ID"), translated("s3://bucket/a"):
        raise NoCredentialsError


def test_the_environment_may_ask_for_less_patience(monkeypatch):
    assert module.patient()["AWS_MAX_ATTEMPTS"] == "12"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert module.patient() == {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "2"}
