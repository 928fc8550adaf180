"""What a backup brings back, and what it refuses to bring back (SQLite; PostgreSQL in tests/stack/test_backup.py)."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.backup.backing_up import back_up
from orchestration.backup.manifest import BackupDamaged, BackupError
from orchestration.backup.restoring import restore
from orchestration.backup.state import UnknownPlace, parts
from orchestration.cli.app import app
from orchestration.home import Home
from orchestration.lock import RunningError, hold
from orchestration.record.database import AddressError
from tests.orchestration.backup.records import fill, standing

DOCUMENT = "runs/moving_shapes/phase1/evaluation.json"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a record, documents, and Dagster's files."""
    home = Home.find()
    fill(home)
    for name in ("datasets.json", "data/moving_shapes/dvc.lock", DOCUMENT):
        (home.root / name).parent.mkdir(parents=True, exist_ok=True)
        (home.root / name).write_text(f'{{"file": "{name}"}}')
    (home.root / "data/moving_shapes/shards").mkdir()
    (home.root / "data/moving_shapes/shards/0.npy").write_bytes(b"large")
    return home


@pytest.fixture
def dagster(home: Home) -> Iterator[sqlite3.Connection]:
    """One of Dagster's files, held open by a writer whose last row is in the write-ahead log alone."""
    path = home.dagster / "history" / "runs.db"
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE runs (id TEXT)")
    connection.execute("INSERT INTO runs VALUES ('made just now')")
    assert path.with_name("runs.db-wal").stat().st_size > 0
    yield connection
    connection.close()


def destroyed(home: Home) -> None:
    shutil.rmtree(home.root)


def test_all_that_is_state_comes_back(home: Home, dagster: sqlite3.Connection, tmp_path: Path) -> None:
    before = standing(home)
    place, made = back_up(home, str(tmp_path / "backups"))
    dagster.close()
    destroyed(home)
    restore(home, place)
    assert standing(home) == before
    assert before.broken is None
    assert (len(before.decisions), before.overrides, before.used_gpu_hours) == (2, 1, 6)
    assert (home.root / DOCUMENT).read_text() == f'{{"file": "{DOCUMENT}"}}'
    assert (home.root / "data/moving_shapes/dvc.lock").is_file()
    assert not (home.root / "data/moving_shapes/shards").exists(), "large files are the object store's"
    with sqlite3.connect(home.dagster / "history" / "runs.db") as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("made just now",)]
    connection.close()
    assert made.heads["decisions"].rows == 2
    assert made.heads["decisions"].sha256 == before.decisions[-1]


def test_the_record_goes_on_from_where_it_was(home: Home, tmp_path: Path) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    destroyed(home)
    restore(home, place)
    fill(home, ious=(0.81,), run="next")
    after = standing(home)
    assert (len(after.decisions), after.used_gpu_hours, after.broken) == (3, 12, None)


def test_nothing_that_stands_is_replaced(home: Home, tmp_path: Path) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    fill(home, ious=(0.81,), run="next")
    before = standing(home)
    with pytest.raises(BackupError, match=r"foresight\.db is in the way; a restore replaces nothing"):
        restore(home, place)
    assert standing(home) == before


def test_a_document_in_the_way_leaves_everything_as_it_was(home: Home, tmp_path: Path) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    destroyed(home)
    (home.root / DOCUMENT).parent.mkdir(parents=True)
    (home.root / DOCUMENT).write_text("another result")
    with pytest.raises(BackupError, match=r"evaluation\.json is in the way"):
        restore(home, place)
    assert {path for path in home.root.rglob("*") if path.is_file()} == {home.root / DOCUMENT, home.lock}


def test_restored_twice_is_restored_once(home: Home, tmp_path: Path) -> None:
    place, made = back_up(home, str(tmp_path / "backups"))
    destroyed(home)
    assert restore(home, place) == restore(home, place) == made


@pytest.mark.parametrize("file", ["record/foresight.db", f"documents/{DOCUMENT}"])
@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    home: Home, tmp_path: Path, file: str, how: str
) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    path = Path(place) / file
    if how == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    destroyed(home)
    with pytest.raises(BackupDamaged, match=Path(file).name):
        restore(home, place)
    assert not (home.root / "foresight.db").exists()
    assert not (home.root / "runs").exists()


def test_a_manifest_that_points_elsewhere_is_refused(home: Home, tmp_path: Path) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    manifest = Path(place) / "manifest.json"
    said = json.loads(manifest.read_text())
    said["parts"]["documents"]["files"]["../outside.json"] = said["parts"]["documents"]["files"].pop(DOCUMENT)
    manifest.write_text(json.dumps(said))
    with pytest.raises(BackupDamaged, match="lies outside the backup"):
        restore(home, place)


def test_a_folder_of_backups_is_none_and_says_what_it_holds(home: Home, tmp_path: Path) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    with pytest.raises(BackupDamaged, match=f"it holds {Path(place).name}: name one of them"):
        restore(home, str(tmp_path / "backups"))


def test_a_broken_record_is_not_backed_up(home: Home, tmp_path: Path) -> None:
    with sqlite3.connect(home.root / "foresight.db") as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        assert connection.execute("UPDATE ledger SET document = replace(document, '3.0', '1.0')").rowcount
    connection.close()
    with pytest.raises(BackupError, match="the record is broken at ledger"):
        back_up(home, str(tmp_path / "backups"))
    assert not (tmp_path / "backups").exists()


def test_a_backup_killed_on_its_way_leaves_none_behind(home: Home, tmp_path: Path) -> None:
    killed = """
import os, signal, sys
from orchestration.backup import backing_up, manifest
from orchestration.home import Home
manifest.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
backing_up.back_up(Home.find(), sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path / "backups")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list((tmp_path / "backups").glob("foresight-*"))


def test_a_restore_killed_on_its_way_goes_on(home: Home, dagster: sqlite3.Connection, tmp_path: Path) -> None:
    before = standing(home)
    place, _ = back_up(home, str(tmp_path / "backups"))
    dagster.close()
    destroyed(home)
    killed = """
import os, signal, sys
from orchestration.backup import restoring, sqlite
from orchestration.home import Home
put_back = sqlite.put_back
def once(source, target):
    if target.name == "foresight.db":
        os.kill(os.getpid(), signal.SIGKILL)
    put_back(source, target)
sqlite.put_back = once
restoring.restore(Home.find(), sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", killed, place], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (home.dagster / "history" / "runs.db").is_file()
    assert not (home.root / "foresight.db").exists(), "the record is the last to come back"
    restore(home, place)
    assert standing(home) == before


def test_a_home_in_use_is_not_restored_into(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = back_up(home, str(tmp_path / "backups"))
    monkeypatch.setenv("FORESIGHT_HOME", str(tmp_path / "other"))
    other = Home.find()
    holder = "import sys; from pathlib import Path; from orchestration.lock import hold\n"
    holder += "with hold(Path(sys.argv[1]), 'foresight run'): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(other.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    try:
        with pytest.raises(RunningError, match="foresight run"):
            restore(other, place)
    finally:
        process.kill()
        process.communicate()
    with hold(other.lock, "nobody else"):
        assert not (other.root / "foresight.db").exists()


def test_a_part_behind_a_server_must_be_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "https://mlflow.example")
    with pytest.raises(UnknownPlace, match="MLFLOW_BACKEND_STORE_URI"):
        parts(home)
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI")
    home.dagster.mkdir(exist_ok=True)
    (home.dagster / "dagster.yaml").write_text("storage: {postgres: {postgres_url: {env: SOMETHING}}}")
    with pytest.raises(UnknownPlace, match="FORESIGHT_DAGSTER_DATABASE"):
        parts(home)
    monkeypatch.setenv("FORESIGHT_DAGSTER_DATABASE", "mysql://host/name")
    with pytest.raises(AddressError, match="mysql"):
        parts(home)


def test_the_commands_say_what_they_did(home: Home, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["backup", "--out", str(tmp_path / "backups"), "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.stdout)
    assert said["schema"] == "foresight.backup/1"
    assert said["heads"]["ledger"]["rows"] == 3
    destroyed(home)
    run = CliRunner().invoke(app, ["restore", said["place"]])
    assert run.exit_code == 0, run.output
    assert "2 decisions, 1 overrides" in run.stdout
    assert "3 documents" in run.stdout
    run = CliRunner().invoke(app, ["restore", str(tmp_path)])
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr.startswith("foresight: ")
    assert "is no backup" in run.stderr
