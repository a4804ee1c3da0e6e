"""Retention by rule and class of records, and erasing one subject. Never silent: every deletion leaves a leaf with its count.

Once a day each class loses the rows whose matter has been over for its period, in small transactions, each with its leaf in
the same one. What is erased is what leaves commit to, and rows beside the log; the leaves stay, so that the log verifies as
before. Reconciled days, cases, alarms and figures name no subject by themselves, and stay. Bundles of cases hold what names
people: their bytes go with it, and digest and leaf of the export stay. Scans of forms are kept by the console, which is told
which of them no consent rests on any more.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from audit.database import writing
from audit.office import acts
from audit.office.office import OFFICE, Office
from audit.office.records import CLASSES, MINIMUM, OPENINGS, RecordClass, parse_periods
from audit.office.store import retention as store
from audit.office.subjects import canonical
from audit.service.leaves import LeafDraft, finish
from audit.service.outcome import Call, Outcome, Within
from audit.service.rounds import Rounds
from models.problems import Conflict, Unusable
from models.retention import AT_ONCE, Erased, ErasedClass, EraseSubject, FormsGone, Retention, RetentionRule, RetentionRun

DAY = 86_400
ROUND_SECONDS = 600.0
AT_A_TIME = 1000
BUNDLES, ACTS = "bundles", "acts"
FORMS_TOLD = 366
REFERENCE_LENGTH = 200
BY_ITSELF = {"person": "office/service", "name": "retention rule", "role": "office"}


class Retaining(Rounds):
    """The daily purge, and the handlers of clerks."""

    def __init__(self, office: Office, is_ours: Callable[[], bool] = lambda: True) -> None:
        super().__init__("retention", ROUND_SECONDS, is_ours)
        self._office = office

    def look(self) -> None:
        """Purge where the last purge was a day ago."""
        with self._office.engine.connect() as connection:
            last = store.last_at(connection)
        if self._office.clock() - last >= DAY:
            self.run_once()

    # ---------------------------------------------------------------- by rule

    def run_once(self) -> list[RetentionRun]:
        """Purge all that is due; one run for each class, with what went."""
        now = int(self._office.clock())
        periods = self._periods
        done = [self._purge(one, now, now - periods[one.name] * DAY) for one in CLASSES]
        done.append(self._purge_openings(now, now - periods[OPENINGS] * DAY))
        # Bundles go with the first access in them that is purged, and with the openings at the latest.
        done.append(self._forget(BUNDLES, now, now - periods[OPENINGS] * DAY, store.drop_bundles_before))
        # What waits for a second clerk and can only be declined is not kept for whom it names.
        done.append(self._forget(ACTS, now, now - acts.DAYS * DAY, acts.lapse))
        return done

    def _purge(self, one: RecordClass, now: int, before: int) -> RetentionRun:
        total = 0
        for part in one.parts:
            while not self._stopping.is_set():
                with writing(self._office.engine) as connection:
                    keys = store.rows_of(connection, part, before=before, most=AT_A_TIME)
                    store.erase(connection, part, keys, now)
                    self._leave(connection, RetentionRun(at=now, name=one.name, before=before, count=len(keys)))
                total += len(keys)
                if len(keys) < AT_A_TIME:
                    break
        return self._remember(RetentionRun(at=now, name=one.name, before=before, count=total))

    def _purge_openings(self, now: int, before: int) -> RetentionRun:
        with self._office.engine.connect() as connection:
            start, end = store.gone_through(connection, OPENINGS), store.size_before(connection, before)
        total = 0
        while start < end and not self._stopping.is_set():
            following = min(end, start + AT_A_TIME)
            with writing(self._office.engine) as connection:
                gone = store.erase_openings(connection, list(store.commitments_between(connection, start, following)))
                self._leave(connection, RetentionRun(at=now, name=OPENINGS, before=before, count=gone))
            start, total = following, total + gone
        return self._remember(RetentionRun(at=now, name=OPENINGS, before=before, count=total), start)

    def _forget(self, name: str, now: int, before: int, forget: Callable[[Connection, int], int]) -> RetentionRun:
        """What is little enough for one transaction; `forget` says how many went."""
        with writing(self._office.engine) as connection:
            run = RetentionRun(at=now, name=name, before=before, count=forget(connection, before))
            self._leave(connection, run)
        return self._remember(run)

    def _leave(self, connection: Connection, run: RetentionRun) -> None:
        """The leaf of a deletion, in its transaction; where nothing went, there is nothing to say."""
        if not run.count:
            return
        facts = {"class": run.name, "before": run.before, "count": run.count}
        leaf = finish(LeafDraft("retention.purge", facts), institution=OFFICE, at=run.at, who=BY_ITSELF)
        self._office.log.store_openings(connection, {leaf.commitment: leaf.opening})
        self._office.log.enqueue(connection, leaf.entry)

    def _remember(self, run: RetentionRun, upto: int = 0) -> RetentionRun:
        with writing(self._office.engine) as connection:
            store.add_run(connection, run, upto)
        return run

    @property
    def _periods(self) -> dict[str, int]:
        return parse_periods(self._office.settings.retention)

    # ---------------------------------------------------------------- endpoints

    def shown(self, call: Call) -> Retention:
        """GET /retention: the rules and the last runs."""
        rules = tuple(RetentionRule(name=name, days=days, minimum=MINIMUM[name]) for name, days in self._periods.items())
        with call.engine.connect() as connection:
            return Retention(rules=rules, runs=store.runs(connection))

    def forms_gone(self, call: Call) -> FormsGone:
        """GET /retention/forms: the forms that no consent rests on any more, for whoever keeps their scans."""
        with call.engine.connect() as connection:
            return FormsGone(forms=store.forms_gone(connection, call.now - FORMS_TOLD * DAY))

    def erase(self, call: Call) -> Within:
        """POST /subjects/erase: everything about one subject that need not be kept; answers with `Erased`.

        Raises:
            Conflict: the subject still has a consent that stands, an objection without an answer or an open account, and the
                ground does not say that all goes at once.
        """
        asked: EraseSubject = call.body
        subject = canonical(asked.subject, "the subject")
        if not asked.reference.strip() or len(asked.reference) > REFERENCE_LENGTH:
            raise Unusable(f"the written request or decision is named, in at most {REFERENCE_LENGTH} characters")
        at_once = asked.ground in AT_ONCE

        def within(connection: Connection) -> Outcome:
            if not at_once:
                _check_over(connection, subject, call.now)
            classes = [_erase_class(connection, one, subject, call.now, at_once=at_once) for one in CLASSES]
            classes.append(_erase_openings(connection, subject, at_once or not any(one.kept for one in classes)))
            store.erase_answers_with(connection, subject)
            classes.append(ErasedClass(name=BUNDLES, erased=store.drop_bundles_naming(connection, subject)))
            counts = {one.name: one.erased for one in classes} | {"kept": sum(one.kept for one in classes)}
            # Neither leaf nor opening names whom it was about: the reference leads to the paper.
            leaf = LeafDraft("subject.erase", {"ground": str(asked.ground), **counts}, {"reference": asked.reference})
            return Outcome(Erased(classes=tuple(classes)), [leaf])

        return within


def _check_over(connection: Connection, subject: str, now: int) -> None:
    for one in CLASSES:
        if one.name in {"consents", "disputes", "accounts"} and any(
            store.unended(connection, part, subject, now) for part in one.parts
        ):
            raise Conflict(
                f"{one.name} of this subject are still open, and what rests on them is in use; withdraw, answer or close them"
            )


def _erase_class(connection: Connection, one: RecordClass, subject: str, now: int, *, at_once: bool) -> ErasedClass:
    erased = kept = until = 0
    for part in one.parts:
        every = store.rows_of(connection, part, before=None, subject=subject)
        keys = every if at_once else store.rows_of(connection, part, before=now - one.minimum * DAY, subject=subject)
        store.erase(connection, part, keys, now)
        erased += len(keys)
        if len(every) > len(keys):
            kept += len(every) - len(keys)
            until = max(until, store.newest_since(connection, part, subject) + one.minimum * DAY)
    return ErasedClass(name=one.name, erased=erased, kept=kept, kept_until=until)


def _erase_openings(connection: Connection, subject: str, all_of_them: bool) -> ErasedClass:
    naming = store.openings_naming(connection, subject)
    if not all_of_them:  # what is kept must go on being provable; these go with their class
        return ErasedClass(name=OPENINGS, erased=0, kept=len(naming))
    return ErasedClass(name=OPENINGS, erased=store.erase_openings(connection, naming))
