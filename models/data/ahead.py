"""Reading ahead: the disk works while what was read before is in use."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(read: Callable[[T], R], items: Iterable[T], threads: int = 1) -> Generator[R, None, None]:
    """`read` of each item in their order, by `threads` threads and as many items ahead of the caller.

    With no thread an item is read when it is asked for. Items are drawn in the caller's thread. Close it to end the
    threads.

    Raises:
        Exception: what `read` raised, where that item is due.
    """
    if not threads:
        yield from map(read, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        due = deque(pool.submit(read, item) for item in islice(waiting, threads))
        while due:
            made = due.popleft().result()
            due.extend(pool.submit(read, item) for item in islice(waiting, 1))
            yield made
