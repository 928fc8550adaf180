"""What people are told: a decision that stands and is not GO, once through each channel (design §7).

A notice is derived from the record after the decision is in it, so no channel can block, delay or change a decision.
What was sent, and every try that failed, are events of the record: whatever is killed or restarted finds there what is
still to be told. A process that dies between the sending and the event sends again, so a notice arrives at least once;
its key is the same each time, for receivers to know it by. A decision that a later one of the same gate has replaced
is no longer told of.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from orchestration.documents import Decision
from orchestration.gates.board import criteria_rows
from orchestration.gates.overall import next_step
from orchestration.plan import programme as programmes
from orchestration.plan.programme import Programme
from orchestration.report import names

if TYPE_CHECKING:
    from orchestration.people.notify_config import Channel, Notify
    from orchestration.record.decisions import DecisionLog

SENT, FAILED = "notice_sent", "notice_failed"
MOST_REASONS = 5
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=30), dt.timedelta(hours=1)


@dataclass(frozen=True)
class Notice:
    """One message to people. `key` stands for it: the same decision has the same key."""

    key: str
    subject: str
    text: str
    facts: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """What a program reads; `text` is what chat services show."""
        return {
            "schema": "foresight.notice/1",
            "key": self.key,
            "subject": self.subject,
            "text": self.text,
            **self.facts,
        }


@dataclass(frozen=True)
class Due:
    """A notice that a channel has still to take, after `failed` tries that came to nothing."""

    notice: Notice
    channel: "Channel"
    failed: int


class Send(Protocol):
    """Hands a notice to a channel; returns when it was taken, raises otherwise."""

    def __call__(self, channel: "Channel", notice: Notice) -> None: ...


def due(log: "DecisionLog", config: "Notify", now: dt.datetime, *, at_once: bool = False) -> Iterator[Due]:
    """What is to be tried now, oldest decision first; `at_once` waits for nothing and gives nothing up."""
    events = [event for event in log.events() if event["kind"] in (SENT, FAILED)]
    for notice in standing(log, config):
        for channel in config.channels:
            mine = [event for event in events if (event["notice"], event["channel"]) == (notice.key, channel.name)]
            if any(event["kind"] == SENT for event in mine):
                continue
            failed = len(mine)
            if failed and not at_once:
                last = dt.datetime.fromisoformat(mine[-1]["at"])
                wait = min(FIRST_WAIT * 2 ** (failed - 1), LONGEST_WAIT)
                if failed >= config.attempts or last <= now < last + wait:
                    continue
            yield Due(notice, channel, failed)


def tell(log: "DecisionLog", one: Due, send: Send) -> str | None:
    """Try one notice at one channel and put the outcome into the record; why it failed, or None when it was sent."""
    about = {"notice": one.notice.key, "channel": one.channel.name, "attempt": one.failed + 1}
    try:
        send(one.channel, one.notice)
    except (OSError, ValueError, RuntimeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        log.note(FAILED, **about, why=why)
        return why
    log.note(SENT, **about)
    return None


def standing(log: "DecisionLog", config: "Notify") -> Iterator[Notice]:
    """The notices of the decisions that stand, oldest first."""
    latest: dict[tuple[Any, ...], tuple[dt.datetime, Decision]] = {}
    for at, decision in log.decisions():
        gate = (decision.phase, decision.pins.get("dataset"), decision.pins.get("profile"))
        latest.pop(gate, None)
        latest[gate] = (at, decision)
    programme = programmes.load()
    for at, decision in latest.values():
        if decision.verdict in config.tell_of:
            yield _notice(log, programme, at, decision)


def _notice(log: "DecisionLog", programme: Programme, at: dt.datetime, decision: Decision) -> Notice:
    dataset, profile = (str(decision.pins.get(name, "")) for name in ("dataset", "profile"))
    override = log.live_override(decision.phase, dataset=dataset or None, profile=profile or None)
    rows = [row for row in criteria_rows(decision) if row["gates"] and row["outcome"] == decision.verdict]
    standins = ", made with stand-ins" if decision.pins.get("standins") else ""
    verdict = decision.verdict.replace("_", "-")
    lines = [
        f"Phase {decision.phase} of {dataset or 'the programme'} ({profile}{standins}) is {verdict}"
        f" -> {decision.action.replace('_', ' ')}.",
        *(f"- {names.metric(row['criterion']).words}: {row['why']}" for row in rows[:MOST_REASONS]),
        *([f"- and {len(rows) - MOST_REASONS} more"] if len(rows) > MOST_REASONS else []),
        _next(programme, decision, f"overridden by {override.by}: {override.why}" if override else ""),
        f"Decided {at:%Y-%m-%d %H:%M} UTC, decision {decision.sha256[:12]}; `foresight gate show {decision.phase}`.",
    ]
    facts = {
        "phase": decision.phase,
        "verdict": decision.verdict,
        "action": decision.action,
        "data": dataset,
        "profile": profile,
        "standins": bool(decision.pins.get("standins")),
        "decided_at": at.isoformat(),
        "decision": decision.sha256,
        "overridden_by": override.by if override else None,
    }
    subject = f"Foresight: phase {decision.phase} is {verdict}{standins}"
    return Notice(f"decision-{decision.sha256}", subject, "\n".join(lines), facts)


def _next(programme: Programme, decision: Decision, overridden: str) -> str:
    """What whoever reads it can do."""
    if overridden:
        return f"It is {overridden}."
    if decision.clips_needed:
        return f"Next: about {decision.clips_needed} held-out clips would settle it, or a person decides."
    approve = f"`foresight gate approve {decision.phase} --by NAME --why REASON`"
    if decision.verdict == "NO_GO":
        return f"{next_step(programme, decision.phase)} Or a person answers for going on: {approve}."
    return f"Next: a person decides; {approve}, or better numbers and another evaluation."
