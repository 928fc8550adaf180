"""What experiments decided, and who goes on all the same: events of the append-only record (design §7).

An experiment's decision holds a phase up as a gate's does. It is recorded once, before anything acts on it, and an
override is a signed event beside it, never an edit.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.experiments.documents import ExperimentDecision
from orchestration.record import store
from orchestration.record.decisions import OverrideError
from orchestration.record.signature import lacking
from orchestration.record.store import Store

DECIDED, OVERRIDDEN = "experiment_decided", "experiment_overridden"


@dataclass(frozen=True)
class ExperimentOverride:
    """A person's word that a phase may start whatever an experiment decided.

    With `until` it counts through that day (UTC); without, it answers the decision that stood when it was signed, or,
    signed ahead of all, the first.
    """

    experiment: str
    profile: str
    by: str
    why: str
    until: dt.date | None
    answers: str | None
    """sha256 of the decision that stood."""
    at: dt.datetime

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        until = self.until.isoformat() if self.until else None
        return {**self.__dict__, "until": until, "at": store.stamp(self.at)}


class ExperimentLog:
    """The decisions on experiments in one home. `clock` stands in for the time in tests."""

    def __init__(self, records: Store, clock: Callable[[], dt.datetime | None] | None = None) -> None:
        self._store = records
        self._clock = clock or (lambda: None)

    def record(self, decision: ExperimentDecision) -> None:
        """Append a decision, unless the very same one stands already for its profile and data set."""
        body = {
            "kind": DECIDED,
            "experiment": decision.experiment,
            "decision": decision.document(),
            "content_sha256": decision.sha256,
        }
        with self._store.write() as connection:
            stands = [
                one for one in _events(connection, DECIDED) if _scope(one["decision"]) == _scope(body["decision"])
            ]
            if not stands or stands[-1]["content_sha256"] != decision.sha256:
                store.append(connection, store.events, store.now(connection, self._clock()), body, kind=DECIDED)

    def decisions(self, experiment: str, *, profile: str | None = None) -> list[tuple[dt.datetime, ExperimentDecision]]:
        """The decisions in order, each with its time; of one profile where it is given."""
        with self._store.read() as connection:
            found = [one for one in _events(connection, DECIDED) if one["experiment"] == experiment]
        timed = [
            (dt.datetime.fromisoformat(one["at"]), ExperimentDecision.model_validate(one["decision"])) for one in found
        ]
        return [(at, one) for at, one in timed if profile is None or one.pins["profile"] == profile]

    def standing(
        self, declaration: PremiseDeclaration, *, profile: str, dataset: str, weights: Mapping[str, str] | None = None
    ) -> ExperimentDecision | None:
        """The decision that counts for a data set: its own latest, or, while that is open or there is none, the latest
        of any data set that was settled.

        Only what was decided under this declaration counts and, where `weights` are given, on these very weights.
        """
        found = [one for _, one in self.decisions(declaration.name, profile=profile)]
        found = [one for one in found if one.pins["declaration_sha256"] == declaration.sha256]
        made = [one for one in found if _same_weights(one, weights)]
        own = [one for one in made if one.pins["dataset"] == dataset]
        settled = [one for one in made if one.verdict != "open"]
        if own and (own[-1].verdict != "open" or not settled):
            return own[-1]
        return settled[-1] if settled else None

    def approve(
        self, experiment: str, by: str, why: str, until: dt.date | None = None, *, profile: str
    ) -> ExperimentOverride:
        """Record that a person lets the phase start whatever this experiment decided in this profile.

        Raises:
            OverrideError: nobody signed it, no reason was given, or it would have expired already.
        """
        by, why = by.strip(), why.strip()
        if lacks := lacking(by, why):
            raise OverrideError(f"an override needs {lacks}: say who approves, and why")
        made = self.decisions(experiment, profile=profile)
        with self._store.write() as connection:
            at = store.now(connection, self._clock())
            if until is not None and until < at.date():
                raise OverrideError(f"{until} is past (today is {at.date()}): give a day that is still to come")
            signed = ExperimentOverride(experiment, profile, by, why, until, made[-1][1].sha256 if made else None, at)
            body = {"kind": OVERRIDDEN, **signed.document()}
            store.append(connection, store.events, at, body, kind=OVERRIDDEN)
        return signed

    def overrides(self, experiment: str, *, profile: str) -> list[ExperimentOverride]:
        """The overrides in order, expired ones too."""
        with self._store.read() as connection:
            found = [_override(one) for one in _events(connection, OVERRIDDEN)]
        return [one for one in found if (one.experiment, one.profile) == (experiment, profile)]

    def live_override(self, experiment: str, *, profile: str) -> ExperimentOverride | None:
        """The newest override that still counts."""
        with self._store.read() as connection:
            today = store.now(connection, self._clock()).date()
        made = [one.sha256 for _, one in self.decisions(experiment, profile=profile)]
        live = [one for one in self.overrides(experiment, profile=profile) if _counts(one, today, made)]
        return live[-1] if live else None


def _events(connection: sa.Connection, kind: str) -> list[dict[str, Any]]:
    query = sa.select(store.events.c.document).where(store.events.c.kind == kind).order_by(store.events.c.seq)
    return [json.loads(document) for document in connection.execute(query).scalars()]


def _scope(decision: Mapping[str, Any]) -> tuple[Any, ...]:
    return decision["experiment"], decision["pins"]["profile"], decision["pins"]["dataset"]


def _same_weights(decision: ExperimentDecision, weights: Mapping[str, str] | None) -> bool:
    pinned = decision.pins["weights"]
    return weights is None or (isinstance(pinned, dict) and all(pinned.get(k) == v for k, v in weights.items()))


def _override(body: Mapping[str, Any]) -> ExperimentOverride:
    said = {name: value for name, value in body.items() if name != "kind"}
    until = dt.date.fromisoformat(said["until"]) if said["until"] else None
    return ExperimentOverride(**{**said, "until": until, "at": dt.datetime.fromisoformat(said["at"])})


def _counts(override: ExperimentOverride, today: dt.date, made: list[str]) -> bool:
    if override.until is not None:
        return today <= override.until
    if override.answers is None:
        return len(made) <= 1
    return bool(made) and made[-1] == override.answers
