"""One benchmark at small size on the CPU, measured once for all tests."""

import pytest

from models.bench import gpu
from models.bench.setting import Setting, setting


@pytest.fixture(scope="session")
def small() -> Setting:
    return setting("small")


@pytest.fixture(scope="session")
def bench(small) -> gpu.GpuBench:
    return gpu.measure(small)
