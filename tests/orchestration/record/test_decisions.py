"""The log keeps every decision and override, once, and tells when somebody touched it."""

import datetime as dt
import sqlite3
from pathlib import Path

import pytest

from orchestration.gates.gate import decide
from orchestration.plan.programme import load
from orchestration.record.decisions import DecisionLog, OverrideError
from orchestration.record.store import Store, StoreError
from tests.orchestration.evaluations import evaluation, metric

PROGRAMME = load()
DAY = dt.datetime(2030, 1, 10, 12, tzinfo=dt.UTC)


class Clock:
    def __init__(self) -> None:
        self.now = DAY

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> DecisionLog:
    return DecisionLog(Store(tmp_path / "foresight.db"), clock)


def filled(log: DecisionLog) -> None:
    """Three decisions and two overrides."""
    for iou in (0.80, 0.60, 0.81):
        log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(iou)))
    log.approve(1, "Chair", "the segmenter is at its ceiling", dt.date(2030, 2, 1))
    log.approve(2, "Chair", "agreed on Monday")


def tamper(path: Path, *statements: str) -> None:
    """As somebody with the file and no scruples would."""
    with sqlite3.connect(path) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    connection.close()


def test_decisions_are_chained_and_read_back_whole(log: DecisionLog) -> None:
    filled(log)
    made = [decision for _, decision in log.decisions()]
    assert [one.previous_sha256 for one in made] == [None, made[0].sha256, made[1].sha256]
    assert log.head() == made[-1].sha256
    assert log.latest(1) == made[-1]
    assert log.latest(2) is None
    assert log.verify() is None


def test_the_same_evaluation_is_decided_once(log: DecisionLog) -> None:
    first = log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.6)))
    replayed = log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.6)))
    assert replayed == first
    assert len(log.decisions()) == len(log.events()) == 1


def test_an_evaluation_that_comes_back_stands_again(log: DecisionLog) -> None:
    first, second = (evaluation(1, spatial_iou=metric(iou)) for iou in (0.80, 0.60))
    good, bad = (log.decide(PROGRAMME, one) for one in (first, second))
    log.approve(1, "Chair", "agreed on Monday")
    for _ in range(2):
        assert log.decide(PROGRAMME, first) == good
        assert log.latest(1) == good
    assert [decision for _, decision in log.decisions()] == [bad, good]
    assert [event["kind"] for event in log.events()] == ["decided", "decided", "overridden", "stands_again"]
    assert log.live_override(1) is None, "the override answered the decision between"
    assert log.verify() is None
    third = log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.81)))
    assert log.latest(1) == third


def test_a_decision_made_on_an_old_head_is_chained_to_the_new(log: DecisionLog) -> None:
    stale_head = decide(PROGRAMME, evaluation(1), previous_sha256=log.head())
    other = log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.6)))
    recorded = log.record(stale_head)
    assert recorded.previous_sha256 == other.sha256
    assert recorded.intact()
    assert log.verify() is None


def test_decisions_keep_their_data_set_and_profile_apart(log: DecisionLog) -> None:
    log.decide(PROGRAMME, evaluation(1), pins={"dataset": "shapes"})
    assert log.latest(1, dataset="shapes", profile="laptop") is not None
    assert log.latest(1, dataset="real") is None
    assert log.latest(1, dataset="shapes", profile="a100") is None


@pytest.mark.parametrize("table", ["decisions", "overrides", "events"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = 'then'", "DELETE FROM {}"])
def test_the_database_itself_refuses_edits(log: DecisionLog, tmp_path: Path, table: str, statement: str) -> None:
    filled(log)
    connection = sqlite3.connect(tmp_path / "foresight.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement.format(table))
    connection.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE decisions SET document = replace(document, 'NO_GO', 'GO') WHERE seq = 2", "decisions, row 2"),
        ("UPDATE decisions SET verdict = 'GO' WHERE seq = 2", "decisions, row 2"),
        ("UPDATE decisions SET sha256 = 'x' WHERE seq = 1", "decisions, row 1"),
        ("UPDATE decisions SET at = '2031' WHERE seq = 3", "decisions, row 3"),
        ("UPDATE decisions SET document = 'x' WHERE seq = 3", "decisions, row 3"),
        ("DELETE FROM decisions WHERE seq = 2", "decisions, row 3"),
        ("DELETE FROM decisions WHERE seq = 3", "is gone"),
        ("UPDATE overrides SET document = replace(document, '2030-02-01', '2039-02-01')", "overrides, row 1"),
        ("UPDATE overrides SET phase = 3 WHERE seq = 2", "overrides, row 2"),
        ("DELETE FROM overrides WHERE seq = 2", "is gone"),
        ("UPDATE events SET kind = 'nothing' WHERE seq = 4", "events, row 4"),
        ("DELETE FROM events WHERE seq = 5", "overrides, row 2"),
    ],
)
def test_what_was_edited_by_hand_is_named(log: DecisionLog, tmp_path: Path, statement: str, named: str) -> None:
    filled(log)
    tamper(tmp_path / "foresight.db", statement)
    assert named in str(log.verify())


def test_an_override_is_signed_and_keeps_what_it_answers(log: DecisionLog) -> None:
    refused = log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.6)))
    override = log.approve(1, " Chair ", "worth another week")
    assert (override.by, override.at, override.decision_sha256) == ("Chair", DAY, refused.sha256)
    assert log.overrides() == [override]
    assert log.live_override(1) == override
    assert [event["kind"] for event in log.events()] == ["decided", "overridden"]


@pytest.mark.parametrize(("by", "why"), [("", "reason"), ("  ", "reason"), ("Chair", ""), ("Chair", "\n\t ")])
def test_nobody_approves_with_an_empty_reason_or_name(log: DecisionLog, by: str, why: str) -> None:
    with pytest.raises(OverrideError, match="an override needs"):
        log.approve(1, by, why)
    assert log.overrides() == []
    assert log.events() == []


def test_an_override_counts_through_its_last_day_and_no_longer(log: DecisionLog, clock: Clock) -> None:
    log.approve(1, "Chair", "until the review", DAY.date())
    clock.now = DAY.replace(hour=23, minute=59)
    assert log.live_override(1) is not None
    clock.now = DAY + dt.timedelta(days=1)
    assert log.live_override(1) is None
    with pytest.raises(OverrideError, match="is past"):
        log.approve(1, "Chair", "again", DAY.date())


def test_a_clock_set_back_revives_no_override(log: DecisionLog, clock: Clock) -> None:
    log.approve(1, "Chair", "until the review", DAY.date())
    clock.now = DAY + dt.timedelta(days=1)
    log.note("woke")
    clock.now = DAY
    assert log.live_override(1) is None


def test_without_a_date_an_override_ends_with_the_next_decision(log: DecisionLog) -> None:
    log.approve(1, "Chair", "signed ahead")
    assert log.live_override(1) is not None
    log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.6)))
    assert log.live_override(1) is not None, "it answers the first decision after it"
    log.decide(PROGRAMME, evaluation(1, spatial_iou=metric(0.5)))
    assert log.live_override(1) is None


def test_an_override_of_one_data_set_is_none_of_another(log: DecisionLog) -> None:
    log.approve(1, "Chair", "for the shapes", dt.date(2030, 2, 1), dataset="shapes")
    assert log.live_override(1, dataset="shapes") is not None
    assert log.live_override(1, profile="laptop") is not None, "what is not asked for does not exclude"
    assert log.live_override(1, dataset="real") is None
    assert log.live_override(2, dataset="shapes") is None


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "foresight.db").write_text("not a database " * 100)
    with pytest.raises(StoreError, match=r"foresight\.db: file is not a database"):
        Store(tmp_path / "foresight.db")
