"""The decision log: every decision and every override, appended, hash-chained, never edited (design §7).

A decision is recorded before anything acts on it, a refusal as fully as a GO. The same decision recorded twice, by a
repeated tick or a replayed evaluation, is recorded once; where another one came between, an event says that the old one
stands again. An override is an event of its own, signed by a person, beside the decision.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import JsonValue

from orchestration.documents import Decision, Evaluation, Phase, canonical, sha256
from orchestration.gates import gate
from orchestration.plan.programme import Programme
from orchestration.record import store
from orchestration.record.signature import lacking
from orchestration.record.store import Store

DECIDED, OVERRIDDEN, STANDS_AGAIN = "decided", "overridden", "stands_again"


class OverrideError(ValueError):
    """An override that nobody can answer for."""


@dataclass(frozen=True)
class Override:
    """A person's word that the programme goes on, whatever the gate said.

    With `until`, it counts through that day (UTC). Without, it answers one decision: the phase's latest when it
    was signed or, signed ahead of all decisions, the first. It ends with the next.
    """

    phase: int
    by: str
    why: str
    until: dt.date | None
    decision_sha256: str | None
    at: dt.datetime
    sha256: str
    dataset: str | None = None
    profile: str | None = None

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        until = self.until.isoformat() if self.until else None
        return {**self.__dict__, "until": until, "at": store.stamp(self.at)}


class DecisionLog:
    """The decisions, overrides and events of one home. `clock` stands in for the time in tests."""

    def __init__(self, records: Store, clock: Any = None) -> None:
        self._store = records
        self._clock = clock or (lambda: None)

    def decide(
        self,
        programme: Programme,
        evaluation: Evaluation,
        *,
        pins: Mapping[str, JsonValue] | None = None,
        profile: str | None = None,
        phase: Phase | None = None,
    ) -> Decision:
        """Decide an evaluation and record it; the recorded decision, new or old."""
        return self.record(gate.decide(programme, evaluation, pins=pins, profile=profile, phase=phase))

    def record(self, decision: Decision) -> Decision:
        """Append a decision at the head of the chain, unless the same one is there: then that one is given back, and
        stands again if another one of its phase, data set and profile stood since."""
        content = sha256(decision.content())
        with self._store.write() as connection:
            known = connection.execute(
                sa.select(store.decisions.c.document).where(store.decisions.c.content_sha256 == content)
            ).scalar()
            at = store.now(connection, self._clock())
            if known is not None:
                old = Decision.model_validate_json(known)
                stood = [one for _, one in _in_order(connection, old.phase) if _scope(one) == _scope(old)]
                if stood[-1].sha256 != old.sha256:
                    store.append(connection, store.events, at, _noted(STANDS_AGAIN, old), kind=STANDS_AGAIN)
                return old
            decision = decision.chained(store.head(connection, store.decisions))
            row = {
                "at": store.stamp(at),
                "phase": decision.phase,
                "verdict": decision.verdict,
                "content_sha256": content,
                "document": canonical(decision.document()),
                "previous_sha256": decision.previous_sha256,
                "sha256": decision.sha256,
            }
            connection.execute(store.decisions.insert().values(row))
            store.append(connection, store.events, at, _noted(DECIDED, decision), kind=DECIDED)
        return decision

    def head(self) -> str | None:
        """The hash of the last decision of all."""
        with self._store.read() as connection:
            return store.head(connection, store.decisions)

    def decisions(
        self, phase: int | None = None, *, dataset: str | None = None, profile: str | None = None
    ) -> list[tuple[dt.datetime, Decision]]:
        """The decisions, each with the time it was made; of one phase, data set or profile where given.

        They are in the order in which they came to stand, so that the last is the one that does.
        """
        with self._store.read() as connection:
            found = _in_order(connection, phase)
        wanted = {"dataset": dataset, "profile": profile}
        return [
            (at, decision)
            for at, decision in found
            if all(value is None or decision.pins.get(key) in (None, value) for key, value in wanted.items())
        ]

    def latest(self, phase: int, *, dataset: str | None = None, profile: str | None = None) -> Decision | None:
        """The decision that stands for a phase."""
        found = self.decisions(phase, dataset=dataset, profile=profile)
        return found[-1][1] if found else None

    def approve(
        self,
        phase: int,
        by: str,
        why: str,
        until: dt.date | None = None,
        *,
        dataset: str | None = None,
        profile: str | None = None,
    ) -> Override:
        """Record that a person lets the programme go on past this phase's gate.

        Raises:
            OverrideError: nobody signed it, no reason was given, or it would have expired already.
        """
        by, why = by.strip(), why.strip()
        if lacks := lacking(by, why):
            raise OverrideError(f"an override needs {lacks}: say who approves, and why")
        if phase not in (1, 2, 3):
            raise OverrideError(f"there is no phase {phase}: give 1, 2 or 3")
        answered = self.latest(phase, dataset=dataset, profile=profile)
        with self._store.write() as connection:
            at = store.now(connection, self._clock())
            if until is not None and until < at.date():
                raise OverrideError(f"{until} is past (today is {at.date()}): give a day that is still to come")
            document = {
                "phase": phase,
                "by": by,
                "why": why,
                "until": until.isoformat() if until else None,
                "decision_sha256": answered.sha256 if answered else None,
                "dataset": dataset,
                "profile": profile,
            }
            digest = store.append(connection, store.overrides, at, document, phase=phase)
            noted = {"kind": OVERRIDDEN, "override_sha256": digest, "phase": phase, "by": by}
            store.append(connection, store.events, at, noted, kind=OVERRIDDEN)
        return _override({"at": store.stamp(at), **document}, digest)

    def overrides(self, phase: int | None = None) -> list[Override]:
        """The overrides in order, expired ones too."""
        query = sa.select(store.overrides.c.document, store.overrides.c.sha256).order_by(store.overrides.c.seq)
        if phase is not None:
            query = query.where(store.overrides.c.phase == phase)
        with self._store.read() as connection:
            return [_override(json.loads(row.document), row.sha256) for row in connection.execute(query)]

    def live_override(self, phase: int, *, dataset: str | None = None, profile: str | None = None) -> Override | None:
        """The newest override of a phase that still counts, for this data set and profile where given."""
        with self._store.read() as connection:
            today = store.now(connection, self._clock()).date()
        made = [decision.sha256 for _, decision in self.decisions(phase, dataset=dataset, profile=profile)]
        for override in reversed(self.overrides(phase)):
            pairs = ((override.dataset, dataset), (override.profile, profile))
            scoped = all(None in pair or pair[0] == pair[1] for pair in pairs)
            if scoped and _counts(override, today, made):
                return override
        return None

    def note(self, kind: str, **what: JsonValue) -> None:
        """Append an event, such as a failed notice."""
        with self._store.write() as connection:
            store.append(
                connection, store.events, store.now(connection, self._clock()), {"kind": kind, **what}, kind=kind
            )

    def events(self) -> list[dict[str, Any]]:
        """All events in order."""
        with self._store.read() as connection:
            query = sa.select(store.events.c.document).order_by(store.events.c.seq)
            return [json.loads(document) for document in connection.execute(query).scalars()]

    def verify(self) -> str | None:
        """The first broken link of the record, in one line; None when all of it holds."""
        with self._store.read() as connection:
            witnessed: dict[str, tuple[str, str]] = {}
            for row, body, problem in store.links(connection, store.events):
                if problem:
                    return f"events, row {row.seq}: {problem}"
                if body["kind"] == STANDS_AGAIN:
                    continue
                if sha := body.get("decision_sha256") or body.get("override_sha256"):
                    witnessed[sha] = (body["kind"], body["at"])
            for row, body, problem in store.links(connection, store.decisions):
                problem = problem or _changed(row, body)
                if not problem and witnessed.pop(row.sha256, None) != (DECIDED, row.at):
                    problem = "no event of that time witnesses it"
                if problem:
                    return f"decisions, row {row.seq} (phase {row.phase}, {row.verdict}): {problem}"
            for table in (store.overrides, store.ledger):
                for row, _, problem in store.links(connection, table):
                    if not problem and table is store.overrides and not witnessed.pop(row.sha256, None):
                        problem = "no event witnesses it"
                    if problem:
                        return f"{table.name}, row {row.seq}: {problem}"
        if witnessed:
            sha, (kind, at) = next(iter(witnessed.items()))
            return f"events: {kind} at {at}, but the row {sha[:12]} is gone"
        return None


def last_day(text: str) -> dt.date | None:
    """An override's last day from its text; none where it is empty.

    Raises:
        OverrideError: not a date.
    """
    try:
        return dt.date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise OverrideError(f"until {text}: not a date; give YYYY-MM-DD") from None


def _in_order(connection: sa.Connection, phase: int | None) -> list[tuple[dt.datetime, Decision]]:
    """The decisions, each with its time, by the event with which each last came to stand."""
    made = sa.select(store.decisions.c.at, store.decisions.c.document).order_by(store.decisions.c.seq)
    came = sa.select(store.events.c.document).where(store.events.c.kind.in_((DECIDED, STANDS_AGAIN)))
    if phase is not None:
        made = made.where(store.decisions.c.phase == phase)
    found: dict[str, tuple[dt.datetime, Decision]] = {}
    for at, document in connection.execute(made):
        decision = Decision.model_validate_json(document)
        found[decision.sha256] = (dt.datetime.fromisoformat(at), decision)
    for document in connection.execute(came.order_by(store.events.c.seq)).scalars():
        sha = json.loads(document)["decision_sha256"]
        if sha in found:
            found[sha] = found.pop(sha)
    return list(found.values())


def _scope(decision: Decision) -> tuple[Any, ...]:
    return decision.phase, decision.pins.get("dataset"), decision.pins.get("profile")


def _noted(kind: str, decision: Decision) -> dict[str, Any]:
    return {"kind": kind, "decision_sha256": decision.sha256, "phase": decision.phase, "verdict": decision.verdict}


def _changed(row: Any, body: Mapping[str, Any]) -> str | None:
    try:
        decision = Decision.model_validate(body)
    except ValueError:
        return "its document is no decision"
    if not decision.intact() or sha256(decision.content()) != row.content_sha256:
        return "its document was changed"
    return None


def _override(document: Mapping[str, Any], digest: str) -> Override:
    until = dt.date.fromisoformat(document["until"]) if document["until"] else None
    return Override(**{**document, "until": until, "at": dt.datetime.fromisoformat(document["at"]), "sha256": digest})


def _counts(override: Override, today: dt.date, made: list[str]) -> bool:
    if override.until is not None:
        return today <= override.until
    if override.decision_sha256 is None:  # signed ahead: it answers the first decision
        return len(made) <= 1
    return bool(made) and made[-1] == override.decision_sha256
