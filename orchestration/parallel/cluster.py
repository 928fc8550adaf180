"""The Ray cluster of this process, and its node there."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def connected() -> Iterator[Any]:
    """Ray, connected to the cluster that $RAY_ADDRESS names; without one, to a cluster of this machine's own."""
    import ray

    mine = not ray.is_initialized()
    if mine:
        address = os.environ.get("RAY_ADDRESS", "local")
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


def beside_me(ray: Any) -> dict[str, Any]:
    """Options of an actor that lives as long as this process' node, and takes no CPU of a worker's."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}
