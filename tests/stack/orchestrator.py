"""An orchestration in a process of its own, over a home, a profile and servers that the environment names: to be run
beside others, cancelled, or killed at a chosen moment.

    python -m tests.stack.orchestrator PROFILE ASSET ... [--die-after-submit]
"""

import os
import signal
import sys

import dagster as dg

from orchestration.data.datasets import GENERATED, Dataset
from orchestration.definitions import of
from orchestration.dispatch.cluster import Cluster
from orchestration.home import Home
from orchestration.instance import instance
from orchestration.resources import Foresight

DIE = "--die-after-submit"


def main(profile: str, *names: str) -> int:
    """Materialize assets; 1 where one of them failed, its last error on stderr."""
    home = Home.find()
    assets = {asset.key.path[-1]: asset for asset in of(Dataset(GENERATED, GENERATED))}
    done = dg.materialize(
        list(assets.values()),
        selection=[dg.AssetKey([GENERATED, name]) for name in names],
        resources={"foresight": Foresight(home_folder=str(home.root), profile_name=profile)},
        instance=instance(home),
        raise_on_error=False,
    )
    for event in done.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error):
            while error.cause:
                error = error.cause
            print(f"FAILED {event.step_key}: {error.message}", file=sys.stderr)
    return 0 if done.success else 1


def die_after_submit() -> None:
    """The job is submitted, and nobody ever hears its id."""
    submit = Cluster.submit

    def once(*given, **named) -> None:
        submit(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    Cluster.submit = once


if __name__ == "__main__":
    if DIE in sys.argv:
        die_after_submit()
    sys.exit(main(*(argument for argument in sys.argv[1:] if argument != DIE)))
