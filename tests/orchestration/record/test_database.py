"""The database under the record, SQLite and PostgreSQL: turns, one view, and what is refused by the database itself."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.record import database as databases
from orchestration.record import store
from orchestration.record.database import AddressError, StoreError, address
from orchestration.record.store import Store


@pytest.fixture
def records(database: str) -> Store:
    return Store(database)


def note(records: Store, kind: str) -> None:
    with records.write() as connection:
        store.append(connection, store.events, store.now(connection), {"kind": kind}, kind=kind)


def kinds(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(store.events.c.kind).order_by(store.events.c.seq)).scalars())


@pytest.mark.parametrize("change", ["UPDATE events SET kind = 'other'", "DELETE FROM events"])
def test_a_row_is_neither_changed_nor_removed(records: Store, change: str) -> None:
    note(records, "first")
    with pytest.raises(StoreError, match="events is append-only; nothing was written"), records.write() as connection:
        connection.exec_driver_sql(change)
    with records.read() as connection:
        assert kinds(connection) == ["first"]


@pytest.mark.stack
def test_a_table_is_not_emptied_at_once(new_database) -> None:
    records = Store(new_database())
    with pytest.raises(StoreError, match="events is append-only"), records.write() as connection:
        connection.exec_driver_sql("TRUNCATE events")


def test_a_transaction_that_breaks_leaves_nothing(records: Store) -> None:
    def half() -> None:
        with records.write() as connection:
            store.append(connection, store.events, store.now(connection), {"kind": "half"}, kind="half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with records.read() as connection:
        assert kinds(connection) == []


def test_writers_take_turns_from_their_first_statement(records: Store) -> None:
    entered, go, order = threading.Event(), threading.Event(), []

    def first() -> None:
        with records.write() as connection:
            entered.set()
            go.wait(10)
            store.append(connection, store.events, store.now(connection), {"kind": "first"}, kind="first")
            order.append("first")

    def second() -> None:
        with records.write() as connection:
            order.append("second")
            assert kinds(connection) == ["first"], "who writes sees all that was written before"
            store.append(connection, store.events, store.now(connection), {"kind": "second"}, kind="second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    threads[1].join(0.3)
    go.set()
    for thread in threads:
        thread.join(30)
    assert order == ["first", "second"]
    with records.read() as connection:
        assert all(problem is None for *_, problem in store.links(connection, store.events))
        assert kinds(connection) == ["first", "second"]


def test_a_reader_keeps_its_view_while_others_write(records: Store) -> None:
    note(records, "first")
    with records.read() as connection:
        before = kinds(connection)
        note(records, "second")
        assert kinds(connection) == before == ["first"]


def test_who_waits_too_long_for_a_turn_is_told(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "PATIENCE_S", 1)
    records = Store(database)
    with records.write(), pytest.raises(StoreError, match="nothing was written, mend it and repeat"):
        note(records, "never")


def test_two_stores_on_one_database_are_one_record(database: str) -> None:
    note(Store(database), "first")
    note(Store(database), "second")
    with Store(database).read() as connection:
        assert kinds(connection) == ["first", "second"]


def test_a_path_is_a_sqlite_file_and_a_bare_postgresql_url_gets_its_driver(tmp_path: Path) -> None:
    assert address(tmp_path / "a.db").render_as_string() == f"sqlite:///{tmp_path / 'a.db'}"
    assert address("postgresql://ada@host/name").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("given", ["nothing at all", "mysql://host/name", "sqlite:///relative.db", "sqlite://"])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(AddressError, match="give postgresql://"):
        address(given)


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(StoreError) as refused:
        Store("postgresql://ada:secret@127.0.0.1:1/name")
    assert "ada:***@127.0.0.1:1/name" in str(refused.value)
    assert "secret" not in str(refused.value)
