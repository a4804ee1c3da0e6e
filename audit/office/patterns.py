"""Patterns that the office looks at: what an honest officer seldom does, and whoever collects people often does.

===============  ==================================================================================================
``night``        single questions outside of the open hours
``burst``        more single questions of one officer within ten minutes than a person asks at a counter
``walk``         one officer asks about many distinct subjects of one region within 24 hours, without an approved batch
``refusals``     many of an officer's questions are refused, or find no consent: somebody looks for who has one
``enumeration``  a large share of the subjects of bulk questions has no consent
===============  ==================================================================================================

A rule that holds raises one alarm for the person and the day, which then counts on; nothing is refused for it. An alarm
names the institution, the officer, the rule and its figures, never a subject. All is judged from the office's own rows, in
the transaction that adds the questions, with a few bounded queries.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from audit.office.budgets import local
from audit.office.settings import OfficeSettings
from audit.office.store import alarms, counts, questions
from audit.office.store.questions import GRANTED, LOOKED, LOOKED_IN_VAIN, Attempt
from audit.service.outcome import Call
from models.parties import Role
from models.problems import NoConsent

BURST_SECONDS = 600
WALK_SECONDS = 24 * 3600


def note(connection: Connection, settings: OfficeSettings, call: Call, asked: Sequence[tuple[Attempt, int]]) -> None:
    """Store what was asked (each with the queue id of its leaf), once the rules have been held against it."""
    watch = _Watch(connection, settings, call)
    attempts = [attempt for attempt, _ in asked]
    if call.person.role is Role.LOAN_OFFICER and len(attempts) == 1 and attempts[0].batch is None:
        watch.single(attempts[0])
    else:
        watch.bulk(attempts)
    # What names nobody has no place in "who looked at me".
    named = [(attempt, queue_id) for attempt, queue_id in asked if attempt.subject]
    questions.add_attempts(connection, [attempt for attempt, _ in named], [queue_id for _, queue_id in named])


class _Watch:
    """The rules for one call; one order of the rules, so that two transactions never wait for each other."""

    def __init__(self, connection: Connection, settings: OfficeSettings, call: Call) -> None:
        self._connection = connection
        self._settings = settings
        self._call = call
        self._moment = local(settings, call.now)
        self._day = self._moment.date().toordinal()

    def single(self, asked: Attempt) -> None:
        settings = self._settings
        if asked.outcome not in {LOOKED, LOOKED_IN_VAIN}:
            if not settings.is_open(self._moment):
                self._raise("night", f"single questions outside of the open hours, {settings.open_hours}")
            self._burst(asked)
        if asked.subject:
            self._walk(asked)
        if asked.outcome not in {GRANTED, LOOKED}:
            self._refusals(asked)

    def bulk(self, asked: Sequence[Attempt]) -> None:
        settings, person = self._settings, self._call.person.id
        without = sum(attempt.outcome == NoConsent.slug() for attempt in asked)
        all_, missing = ("bulk", person, self._day), ("bulk-unconsented", person, self._day)
        values = counts.add(self._connection, {all_: len(asked), missing: without})
        share = values[missing] / values[all_]
        if values[all_] >= settings.unconsented_from and share > settings.unconsented_share:
            self._raise(
                "enumeration",
                f"{values[missing]} of {values[all_]} bulk questions of a day were about subjects without consent: "
                f"a share of {share:.2f}; up to {settings.unconsented_share:.2f} raises no alarm",
                share,
                settings.unconsented_share,
            )

    def _burst(self, asked: Attempt) -> None:
        most = self._settings.burst_checks
        # One more than the limit is enough to know.
        if questions.count_single(self._connection, asked.officer, asked.at - BURST_SECONDS, most) >= most:
            self._raise("burst", f"more than {most} single questions within {BURST_SECONDS // 60} minutes", most + 1, most)

    def _walk(self, asked: Attempt) -> None:
        since, most = asked.at - WALK_SECONDS, self._settings.walk_subjects
        if questions.asked_before(self._connection, asked.officer, asked.subject, since):
            return
        # Counting the subjects is the one query that is not cheap; after an alarm it need not be made again that day.
        if alarms.count_again(self._connection, same=self._same("walk"), at=asked.at):
            return
        before = questions.distinct_subjects(self._connection, asked.officer, asked.region, since)
        if before >= most:
            where = f"region {asked.region}" if asked.region else "no known region"
            detail = f"more than {most} distinct subjects of {where} within 24 hours without an approved batch"
            self._raise("walk", detail, before + 1, most)

    def _refusals(self, asked: Attempt) -> None:
        key, most = ("refused", asked.officer, self._day), self._settings.refused_questions
        refused = counts.add(self._connection, {key: 1})[key]
        if refused > most:
            detail = f"{refused} questions of a day were refused or found no consent; {most} raise no alarm"
            self._raise("refusals", detail, refused, most)

    def _raise(self, rule: str, detail: str, measured: float | None = None, threshold: float | None = None) -> None:
        alarms.raise_or_count(
            self._connection,
            same=self._same(rule),
            at=self._call.now,
            kind=rule,
            institution=self._call.institution.id,
            about=self._call.person.id,
            detail=detail,
            measured=measured,
            threshold=threshold,
        )

    def _same(self, rule: str) -> tuple[object, ...]:
        return rule, self._call.person.id, self._day
