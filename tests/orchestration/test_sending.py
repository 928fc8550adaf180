"""Numbers on their way to MLflow: none is lost while it is away, and who adds them never waits."""

import threading
import time

import pytest

from orchestration import sending
from orchestration.sending import Sending


class Place:
    """Takes numbers, unless it is away."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.back = threading.Event()
        self.asked = 0

    def take(self, numbers: list[int]) -> None:
        self.asked += 1
        if not self.back.is_set():
            raise OSError("connection refused\nand more")
        self.taken += numbers


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sending, "PAUSE_S", 0.02)


def test_what_came_while_it_was_away_is_sent_in_order_when_it_is_back():
    place = Place()
    sent = Sending(place.take, (OSError,))
    for number in range(3 * sending.MOST):
        sent.add([number])
    deadline = time.monotonic() + 10
    while place.asked < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    place.back.set()
    assert sent.end(10) == 0
    assert place.taken == list(range(3 * sending.MOST))


def test_adding_does_not_wait_for_a_call_that_hangs():
    entered, free = threading.Event(), threading.Event()

    def hang(numbers: list[int]) -> None:
        entered.set()
        free.wait(30)

    sent = Sending(hang, (OSError,))
    sent.add(list(range(sending.BATCH)))
    assert entered.wait(10)
    began = time.monotonic()
    sent.add([1])
    assert time.monotonic() - began < 1
    free.set()
    assert sent.end(10) == 0


def test_what_could_not_be_sent_in_time_is_counted_with_the_reason():
    place = Place()
    sent = Sending(place.take, (OSError,))
    sent.add([1, 2, 3])
    assert sent.end(0.1) == 3
    assert sent.why == "connection refused"
    assert place.asked > 1
