"""Where Dagster's own state lies: files of the home, or the PostgreSQL that the environment names."""

import dagster as dg
import pytest

from orchestration.home import Home
from orchestration.instance import ON_POSTGRESQL, SETTINGS, instance, prepare


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    for name in ("DAGSTER_HOME", "FORESIGHT_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path))  # `prepare` sets them: as they were, afterwards
    return Home(tmp_path / "home")


def settings(home: Home) -> str:
    return (home.dagster / "dagster.yaml").read_text()


def test_a_home_that_moves_to_postgresql_and_back_is_told(home, monkeypatch):
    prepare(home)
    assert settings(home) == SETTINGS
    monkeypatch.setenv("FORESIGHT_DAGSTER_DATABASE", "postgresql://user:planted@127.0.0.1/dagster")
    prepare(home)
    assert settings(home) == SETTINGS + ON_POSTGRESQL
    assert "planted" not in settings(home)
    monkeypatch.delenv("FORESIGHT_DAGSTER_DATABASE")
    prepare(home)
    assert settings(home) == SETTINGS


def test_what_a_person_wrote_stays(home, monkeypatch):
    home.dagster.mkdir(parents=True)
    (home.dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("FORESIGHT_DAGSTER_DATABASE", "postgresql://user@127.0.0.1/dagster")
    prepare(home)
    assert settings(home) == "telemetry: {enabled: false}\n"


@pytest.mark.stack
def test_what_is_reported_lies_in_postgresql_and_outlives_the_folder(home, postgres, monkeypatch):
    monkeypatch.setenv("FORESIGHT_DAGSTER_DATABASE", postgres.database("dagster_state"))
    key = dg.AssetKey(["moving_shapes", "shards"])
    with instance(home) as own:
        own.report_runless_asset_event(dg.AssetMaterialization(key))
    elsewhere = Home(home.root.parent / "another")
    with instance(elsewhere) as own:
        assert own.get_latest_materialization_event(key) is not None
        assert own.get_concurrency_config().run_queue_config.max_concurrent_runs == 1
    assert postgres.password not in settings(elsewhere)
    assert not list(home.dagster.rglob("*.db"))
