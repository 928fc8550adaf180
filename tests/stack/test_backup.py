"""Back up, destroy, restore, on PostgreSQL: the record, Dagster's own storage and MLflow's, all three real.

Each is a role's own, as infra/kubernetes/config/roles.sh makes them: nothing here needs a superuser.
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.home import REPOSITORY, Home
from tests.orchestration.backup.records import fill, standing
from tests.postgres import Postgres, serving
from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack
SETTINGS = "storage: {postgres: {postgres_url: {env: FORESIGHT_DAGSTER_DATABASE}}}\ntelemetry: {enabled: false}\n"
ROLES = {
    "FORESIGHT_DATABASE": "foresight",
    "FORESIGHT_DAGSTER_DATABASE": "dagster",
    "MLFLOW_BACKEND_STORE_URI": "mlflow",
}
PASSWORD = "quoted ' and \\"
SCRIPT = REPOSITORY / "infra" / "kubernetes" / "config" / "roles.sh"


@dataclass(frozen=True)
class State:
    """Three databases and a home, as the environment of this process names them."""

    home: Home
    server: Postgres
    monkeypatch: pytest.MonkeyPatch

    def empty(self) -> None:
        """Other, empty databases from now on, and a home with Dagster's settings alone."""
        shutil.rmtree(self.home.root, ignore_errors=True)
        for variable, role in ROLES.items():
            # Dagster speaks psycopg2's dialect of placeholders; MLflow takes either.
            driver = "postgresql" if variable == "FORESIGHT_DATABASE" else "postgresql+psycopg2"
            made = sa.make_url(self.server.database(f"test_{uuid.uuid4().hex[:8]}"))
            url = made.set(drivername=driver, username=role, password=PASSWORD)
            self.server_does(f"ALTER DATABASE {url.database} OWNER TO {role}")
            self.monkeypatch.setenv(variable, url.render_as_string(hide_password=False))
        self.home.dagster.mkdir(parents=True)
        (self.home.dagster / "dagster.yaml").write_text(SETTINGS)
        self.monkeypatch.setenv("DAGSTER_HOME", str(self.home.dagster))

    def tables(self, variable: str) -> int:
        """How many tables a database has."""
        url = sa.make_url(os.environ[variable]).set(drivername="postgresql+psycopg")
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            return len(sa.inspect(connection).get_table_names())

    def destroy(self) -> None:
        """Drop all that the three databases hold; nothing of it is left on the server."""
        urls = [sa.make_url(os.environ[variable]) for variable in ROLES]
        self.empty()
        for url in urls:
            self.server_does(f"DROP DATABASE {url.database} WITH (FORCE)")

    def server_does(self, statement: str) -> None:
        """As the superuser."""
        engine = sa.create_engine(self.server.running.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture(scope="module")
def roles() -> Iterator[Postgres]:
    """A server of these tests' own, for they destroy what it holds, set up by the script of the deployment."""
    with serving() as server:
        url = server.running.url
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(url.port), "POSTGRES_USER": str(url.username)}
        place["PGPASSWORD"] = server.password
        passwords = {f"{role.upper()}_PASSWORD": PASSWORD for role in ROLES.values()}
        subprocess.run(["sh", SCRIPT], env={**os.environ, **place, **passwords}, check=True)
        yield server


@pytest.fixture
def state(roles: Postgres, monkeypatch: pytest.MonkeyPatch) -> State:
    state = State(Home.find(), roles, monkeypatch)
    state.empty()
    return state


def dagster_runs() -> list[str]:
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        return [run.run_id for run in instance.get_runs()]


def make_dagster_run() -> str:
    import dagster as dg

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def empty() -> None:
        nothing()

    with dg.DagsterInstance.get() as instance:
        return empty.execute_in_process(instance=instance).run_id


def mlflow_client():
    import mlflow

    return mlflow.MlflowClient(os.environ["MLFLOW_BACKEND_STORE_URI"])


def test_destroyed_and_restored_the_chain_and_the_ledger_verify(state: State, tmp_path: Path) -> None:
    fill(state.home)
    before, run = standing(state.home), make_dagster_run()
    client = mlflow_client()
    logged = client.create_run(client.create_experiment("phase 1"), run_name="attempt").info.run_id
    client.log_metric(logged, "spatial_iou", 0.8, step=7)
    state.home.run("moving_shapes", "phase1").mkdir(parents=True)
    (state.home.run("moving_shapes", "phase1") / "evaluation.json").write_text("{}")

    done = foresight(state.home.root, "backup", "--out", str(tmp_path / "backups"), "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert {name: part["kind"] for name, part in made["parts"].items()} == {
        "dagster": "postgresql",
        "mlflow": "postgresql",
        "record": "postgresql",
        "documents": "documents",
    }

    state.destroy()
    assert [state.tables(variable) for variable in ROLES] == [0, 0, 0]
    done = foresight(state.home.root, "restore", made["place"])
    assert done.returncode == 0, done.stderr
    assert standing(state.home) == before
    assert before.broken is None
    assert (len(before.decisions), before.used_gpu_hours) == (2, 6)
    assert dagster_runs() == [run]
    assert [metric.value for metric in mlflow_client().get_metric_history(logged, "spatial_iou")] == [0.8]
    assert (state.home.run("moving_shapes", "phase1") / "evaluation.json").is_file()

    refused_by_the_database(state)
    again = foresight(state.home.root, "restore", made["place"])
    assert again.returncode == 0, "a restore that is whole says so again: " + again.stderr
    fill(state.home, ious=(0.81,), run="next")
    moved_on = standing(state.home)
    assert (len(moved_on.decisions), moved_on.used_gpu_hours, moved_on.broken) == (3, 12, None)
    again = foresight(state.home.root, "restore", made["place"])
    assert again.returncode == 1
    assert "the programme went on after this backup was restored" in again.stderr
    assert standing(state.home) == moved_on


def refused_by_the_database(state: State) -> None:
    """The triggers that keep the record append-only came back with it."""
    url = sa.make_url(os.environ["FORESIGHT_DATABASE"]).set(drivername="postgresql+psycopg")
    with (
        sa.create_engine(url, poolclass=sa.NullPool).connect() as connection,
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
    ):
        connection.exec_driver_sql("DELETE FROM decisions")


def test_a_dump_that_breaks_off_leaves_the_database_empty(state: State, tmp_path: Path) -> None:
    """PostgreSQL runs out of room while the record comes back; nothing of it stays, and the next try is whole."""
    fill(state.home)
    before = standing(state.home)
    done = foresight(state.home.root, "backup", "--out", str(tmp_path / "backups"), "--json")
    assert done.returncode == 0, done.stderr
    place = json.loads(done.stdout)["place"]
    state.destroy()
    state.server.limit_files("4096")
    try:
        done = foresight(state.home.root, "restore", place)
    finally:
        state.server.limit_files("unlimited")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert state.tables("FORESIGHT_DATABASE") == 0
    done = foresight(state.home.root, "restore", place)
    assert done.returncode == 0, done.stderr
    assert standing(state.home) == before


def test_a_database_that_holds_something_else_is_left_alone(state: State, tmp_path: Path) -> None:
    fill(state.home)
    done = foresight(state.home.root, "backup", "--out", str(tmp_path / "backups"), "--json")
    place = json.loads(done.stdout)["place"]
    state.destroy()
    fill(state.home, ious=(0.7,))
    other = standing(state.home)
    done = foresight(state.home.root, "restore", place)
    assert done.returncode == 1
    assert "a restore replaces nothing: give it an empty database" in done.stderr
    assert standing(state.home) == other


def test_a_role_opens_its_own_database_alone(roles: Postgres) -> None:
    for role in ROLES.values():
        for database in ROLES.values():
            url = roles.running.url.set(username=role, password=PASSWORD, database=database)
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            if role == database:
                with engine.begin() as connection:
                    connection.exec_driver_sql("CREATE TABLE own (id integer)")
                    connection.exec_driver_sql("DROP TABLE own")
            else:
                with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
                    engine.connect()
