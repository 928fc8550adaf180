"""Whether MLflow answers is known at once, before anything is decided that has to be mirrored there."""

import sqlite3
import time

import pytest

from orchestration import tracking
from orchestration.data.workspace import remote_of
from orchestration.home import Home, HomeError
from orchestration.tracking import TrackingError, require
from tests.orchestration.receivers import Webhook, serving


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def test_a_store_that_is_not_there_yet_may_be_made(home):
    require(home)


def test_a_store_that_is_away_is_said_at_once(home):
    (home.mlflow / "mlflow.db").mkdir(parents=True)
    began = time.monotonic()
    with pytest.raises(TrackingError, match=r"mlflow\.db does not answer"):
        require(home)
    assert time.monotonic() - began < 5, "MLflow's own client tries for most of an hour"


def test_a_file_that_is_no_store_is_said(home):
    home.mlflow.mkdir(parents=True)
    (home.mlflow / "mlflow.db").write_text("not a database, and long enough to look like one" * 100)
    with pytest.raises(TrackingError, match="not a database"):
        require(home)


def test_a_store_that_another_writes_to_answers(home):
    require(home)
    with sqlite3.connect(home.mlflow / "mlflow.db") as writer:
        writer.execute("CREATE TABLE held (x)")
        writer.execute("BEGIN IMMEDIATE")
        require(home)
    writer.close()


def test_a_server_is_asked_for_its_health(home, monkeypatch):
    with serving(Webhook()) as server:  # it answers POST only: a GET is an error of HTTP's
        monkeypatch.setattr(tracking.Home, "tracking_uri", property(lambda _: server.url))
        with pytest.raises(TrackingError, match="501"):
            require(home)
    with pytest.raises(TrackingError, match="does not answer"):
        require(home)


@pytest.mark.parametrize("holder", ["key:secret", "secret"])
def test_keys_in_the_address_of_the_objects_are_refused_before_anything_is_written(home, monkeypatch, holder):
    monkeypatch.setenv("FORESIGHT_OBJECTS", f"s3://{holder}@bucket/place")
    for ask in (lambda: home.artifacts, lambda: remote_of(home)):
        with pytest.raises(HomeError, match="AWS_") as refused:
            ask()
        assert "secret" not in str(refused.value)


def test_a_server_is_asked_though_this_home_never_recorded(home, monkeypatch):
    assert not Home(home.root / "new").has_mlflow
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    assert Home(home.root / "new").has_mlflow


@pytest.mark.parametrize("holder", ["ada:secret", ":secret", "secret"])
def test_an_address_that_holds_a_password_is_refused_and_not_repeated(home, monkeypatch, holder):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://{holder}@mlflow.example")
    with pytest.raises(HomeError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        require(home)
    assert "secret" not in str(refused.value)
