"""Latency and memory of a call (§6, §4.9).

Protocol: wall clock, p50 and p95 of at least 50 calls after a warm-up, the device synchronised around each call; memory
is torch.cuda's peak allocated and reserved of these calls, or, where there is no GPU, the process's peak resident
memory, which is called so and is no VRAM. What was called (resolution, frames, steps, dtype, serial or parallel) is the
caller's to name in `setting`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from models.evaluation.metric import Metric, point
from models.memory import peak_resident

WARM_UP = 5
CALLS = 50
GB = 1e9


@dataclass(frozen=True)
class Latency:
    """Seconds of each timed call, and the peak memory in GB."""

    seconds: np.ndarray
    setting: str
    memory: str
    allocated_gb: float
    reserved_gb: float | None

    def metric(self, quantile: float = 0.5) -> Metric:
        """A quantile in seconds; its interval is of order statistics, free of any assumption on the distribution.

        So few calls may reach neither end far enough: the 95th of 100 lies beyond all of 50 calls too often for 95%.
        Then there is no interval, and the protocol says how many calls would give one.
        """
        ordered, n = np.sort(self.seconds), len(self.seconds)
        protocol = f"p{100 * quantile:.0f} of {n} calls after {WARM_UP} of warm-up; {self.setting}"
        value = float(np.quantile(ordered, quantile))
        low, high = (int(rank) for rank in stats.binom.ppf([0.025, 0.975], n, quantile))
        if low < 1 or high > n - 1:
            needed = int(np.ceil(np.log(0.025) / np.log(max(quantile, 1 - quantile))))
            return point(value, n, f"{protocol}; no interval of fewer than {needed} calls")
        return Metric(value, float(ordered[low - 1]), float(ordered[high]), n, protocol)

    def memory_metric(self) -> Metric:
        """Peak memory in GB; the protocol says which memory."""
        reserved = "" if self.reserved_gb is None else f", {self.reserved_gb:.3f} GB reserved"
        return point(self.allocated_gb, len(self.seconds), f"{self.memory}{reserved}; {self.setting}")


def measure_latency(
    call: Callable[[], object], setting: str, *, calls: int = CALLS, device: torch.device | str = "cpu"
) -> Latency:
    """Times `call`.

    Raises:
        ValueError: fewer than 50 calls.
    """
    if calls < CALLS:
        raise ValueError(f"latency: {calls} calls; the protocol asks for at least {CALLS}")
    on_gpu = torch.device(device).type == "cuda"

    def wait() -> None:
        if on_gpu:
            torch.cuda.synchronize(device)

    for _ in range(WARM_UP):
        call()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = np.empty(calls)
    for k in range(calls):
        wait()
        start = time.perf_counter()
        call()
        wait()
        seconds[k] = time.perf_counter() - start
    if on_gpu:
        allocated, reserved = torch.cuda.max_memory_allocated(device) / GB, torch.cuda.max_memory_reserved(device) / GB
        return Latency(seconds, setting, "torch.cuda peak allocated", allocated, reserved)
    held = peak_resident() / GB
    return Latency(seconds, setting, "peak resident memory of the process (no GPU: not VRAM)", held, None)
