"""The sensor that tells people: apart from the gates, so that no channel can block or delay a decision (design §7)."""

import datetime as dt
import time

import dagster as dg

from orchestration.lock import RunningError, hold
from orchestration.resources import Foresight


def teller(waits: float = 30) -> dg.SensorDefinition:
    """Tells people of the decisions that wait for them, after these are in the record; stopped until it is started.

    A tick tries each channel once and takes no more than about `waits` seconds; what is left comes with the next.
    """

    @dg.sensor(
        name="tell_people",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
        description="People are told of every gate that is not GO, through the channels of notify.yaml, once.",
    )
    def tell_people(context: dg.SensorEvaluationContext, foresight: Foresight):
        from orchestration.people.channels import sender
        from orchestration.people.notices import due, tell
        from orchestration.people.notify_config import load
        from orchestration.record.opened import decisions

        log, config, send = decisions(foresight.home), load(foresight.home), sender(foresight.home)
        began, told = time.monotonic(), []
        try:
            with hold(foresight.home.notices_lock, "the sensor tell_people"):
                for one in list(due(log, config, dt.datetime.now(dt.UTC))):
                    if time.monotonic() - began > waits:
                        break
                    why = tell(log, one, send)
                    told.append(f"{one.channel.name}: {one.notice.subject}: {why or 'sent'}")
        except RunningError:
            return dg.SkipReason("`foresight notify` tells them at this moment")
        return dg.SkipReason("; ".join(told) or "nothing to tell")

    return tell_people
