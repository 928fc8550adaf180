"""Reading one step ahead: the disk works while what was read before is in use."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(read: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """`read` of each item in their order, in a thread, one item ahead of the caller. Close it to end the thread.

    Raises:
        Exception: what `read` raised, where that item is due.
    """
    with ThreadPoolExecutor(1) as thread:
        due = None
        for item in items:
            following = thread.submit(read, item)
            if due is not None:
                yield due.result()
            due = following
        if due is not None:
            yield due.result()
