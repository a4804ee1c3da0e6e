"""Consents, objections and repairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, delete, func, insert, select, update

from audit.office.tables import consent, drive, filing, objection, repair
from models.consents import (
    Consent,
    ConsentKind,
    ModellingConsent,
    Objection,
    Repair,
    RevokeConsent,
    SensitiveCollection,
)
from models.wire import decode, encode, split

COMMITMENT_BYTES = 32
CHUNK = 500
"""Values in one IN list; databases bound the number of a statement's parameters."""


def chunks(values: Iterable[str]) -> Iterator[Sequence[str]]:
    """The values in lists of at most `CHUNK`."""
    whole = list(values)
    return (whole[start : start + CHUNK] for start in range(0, len(whole), CHUNK))


@dataclass(frozen=True, repr=False)
class NewConsent:
    """A consent to be stored, and the salt of the commitment that its filing's leaf stands for."""

    consent: Consent
    salt: bytes


def add(
    connection: Connection, consents: Sequence[NewConsent], filed_by: str, now: int, queue_id: int, drive: str | None = None
) -> None:
    """Store what was filed at once; IntegrityError where an id is taken. `queue_id` is that of its leaf."""
    rows = [
        {
            "id": new.id,
            "subject": new.subject,
            "kind": str(new.kind),
            "valid_from": new.valid_from,
            "valid_to": new.valid_to,
            "document": encode(new),
            "sensitive": int(bool(new.sensitive_fields)),
            "filed_by": filed_by,
            "filed_at": now,
            "drive": drive,
            "filing": queue_id,
            "place": place,
            "salt": one.salt,
        }
        for place, one in enumerate(consents)
        for new in [one.consent]
    ]
    connection.execute(insert(consent), rows)


def add_filing(connection: Connection, queue_id: int, commitments: Iterable[bytes]) -> None:
    """Keep what a filing's leaf stands for, in the order of its places."""
    connection.execute(insert(filing).values(queue_id=queue_id, commitments=b"".join(commitments)))


def commitments(connection: Connection, queue_id: int) -> list[bytes]:
    """What a filing's leaf stands for; empty where nothing is known of it."""
    data = connection.execute(select(filing.c.commitments).where(filing.c.queue_id == queue_id)).scalar()
    return [] if data is None else split(bytes(data), COMMITMENT_BYTES, "commitments")


def add_drive(connection: Connection, **facts: object) -> None:
    """Keep what a village drive came to."""
    connection.execute(insert(drive).values(**facts))


def drive_is_known(connection: Connection, table_digest: str) -> bool:
    """Whether this very table was filed before."""
    return connection.execute(select(drive.c.id).where(drive.c.table_digest == table_digest)).first() is not None


def any_known(connection: Connection, ids: Iterable[str]) -> bool:
    """Whether one of these ids is taken."""
    queries = (select(consent.c.id).where(consent.c.id.in_(chunk)).limit(1) for chunk in chunks(ids))
    return any(connection.execute(query).first() is not None for query in queries)


def revoke(connection: Connection, asked: RevokeConsent, now: int, queue_id: int) -> bool:
    """Revoke a consent that stands; False where there is none to revoke. `queue_id` is that of the leaf."""
    standing = and_(consent.c.id == asked.consent, consent.c.revoked_at.is_(None))
    values = {"revoked_at": now, "revoked_by": str(asked.by), "revoked_why": asked.reason, "revoked_queue_id": queue_id}
    return connection.execute(update(consent).where(standing).values(**values)).rowcount == 1


@dataclass(frozen=True, repr=False)
class StoredConsent:
    """A consent as it lies in the office's books; `filing`, `place` and `salt` are None for those of before receipts."""

    consent: Consent
    filed_by: str
    filed_at: int
    filing: int | None
    place: int | None
    salt: bytes | None
    revoked_at: int | None
    revoked_by: str | None
    revoked_why: str | None
    revoked_queue_id: int | None


def get(connection: Connection, consent_id: str) -> StoredConsent | None:
    """One consent, whatever became of it."""
    row = connection.execute(_STORED.where(consent.c.id == consent_id)).one_or_none()
    return None if row is None else _stored(row)


def of_subject(connection: Connection, subject: str) -> list[StoredConsent]:
    """All consents of a subject, the newest first."""
    # The index of standing consents begins with the kind.
    mine = and_(consent.c.kind.in_([str(kind) for kind in ConsentKind]), consent.c.subject == subject)
    rows = connection.execute(_STORED.where(mine).order_by(consent.c.filed_at.desc(), consent.c.place, consent.c.id))
    return [_stored(row) for row in rows]


_STORED: Select[Any] = select(
    *(consent.c.document, consent.c.filed_by, consent.c.filed_at, consent.c.filing, consent.c.place, consent.c.salt),
    *(consent.c.revoked_at, consent.c.revoked_by, consent.c.revoked_why, consent.c.revoked_queue_id),
)


def _stored(row: Row[Any]) -> StoredConsent:
    values = dict(row._mapping)
    document, salt = values.pop("document"), values.pop("salt")
    return StoredConsent(
        consent=decode(bytes(document), Consent),
        salt=None if salt is None else bytes(salt),
        **values,
    )


Standing = dict[tuple[str, ConsentKind], list[Consent]]


def standing(connection: Connection, subjects: Iterable[str], kinds: Collection[ConsentKind], now: int) -> Standing:
    """The consents of these kinds that stand at `now`, by subject and kind; where there is none, the key is absent."""
    found: defaultdict[tuple[str, ConsentKind], list[Consent]] = defaultdict(list)
    for chunk in chunks(dict.fromkeys(subjects)):
        asked = {"subjects": list(chunk), "kinds": [str(kind) for kind in kinds], "now": now}
        for document in connection.execute(_STANDING, asked).scalars():
            one = decode(bytes(document), Consent)
            found[one.subject, one.kind].append(one)
    return dict(found)


_STANDING = (
    select(consent.c.document)
    .where(
        consent.c.subject.in_(bindparam("subjects", expanding=True)),
        consent.c.kind.in_(bindparam("kinds", expanding=True)),
        consent.c.valid_from <= bindparam("now"),
        consent.c.valid_to > bindparam("now"),
        consent.c.revoked_at.is_(None),
    )
    .order_by(consent.c.id)
)


def count_unrevoked(connection: Connection, ids: Iterable[str]) -> int:
    """How many of these (distinct) consents are not revoked."""
    total = 0
    for chunk in chunks(ids):
        total += connection.execute(_UNREVOKED, {"ids": list(chunk)}).scalar_one()
    return total


_UNREVOKED = (
    select(func.count())
    .select_from(consent)
    .where(consent.c.id.in_(bindparam("ids", expanding=True)), consent.c.revoked_at.is_(None))
)


def filed_at(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """When each of these consents was filed."""
    queries = (select(consent.c.id, consent.c.filed_at).where(consent.c.id.in_(chunk)) for chunk in chunks(ids))
    return {row.id: row.filed_at for query in queries for row in connection.execute(query)}


def collection_subjects(connection: Connection, now: int, after: str, most: int) -> tuple[str, ...]:
    """The first of the subjects above `after` whose collection consent stands, in the database's order."""
    query = select(consent.c.subject).where(
        _stands([ConsentKind.COLLECTION], now), consent.c.sensitive == 0, consent.c.subject > after
    )
    query = query.distinct()
    return tuple(connection.execute(query.order_by(consent.c.subject).limit(most)).scalars())


def modelling(connection: Connection, now: int, after: str, upto: str) -> tuple[ModellingConsent, ...]:
    """The modelling consents that stand, of subjects above `after` up to `upto`, by subject."""
    query = select(consent.c.document).where(_stands([ConsentKind.MODELLING], now), _between(consent.c.subject, after, upto))
    query = query.order_by(consent.c.subject, consent.c.id)
    consents = (decode(bytes(document), Consent) for document in connection.execute(query).scalars())
    return tuple(
        ModellingConsent(
            subject=c.subject,
            recipient=c.recipient,
            valid_from=c.valid_from,
            valid_to=c.valid_to,
            sensitive_fields=c.sensitive_fields,
        )
        for c in consents
    )


def sensitive_collection(connection: Connection, now: int, after: str, upto: str) -> tuple[SensitiveCollection, ...]:
    """The sensitive fields that standing consents let be collected, of subjects above `after` up to `upto`, by subject."""
    query = select(consent.c.document).where(_stands([ConsentKind.COLLECTION], now), consent.c.sensitive == 1)
    query = query.where(_between(consent.c.subject, after, upto)).order_by(consent.c.subject)
    consents = (decode(bytes(document), Consent) for document in connection.execute(query).scalars())
    return tuple(
        SensitiveCollection(subject=subject, fields=tuple(sorted({name for c in own for name in c.sensitive_fields})))
        for subject, own in groupby(consents, key=lambda c: c.subject)
    )


def set_objection(connection: Connection, new: Objection, now: int) -> None:
    """Open a dispute, or settle it; doing so twice changes nothing."""
    connection.execute(delete(objection).where(objection.c.subject == new.subject, objection.c.field == new.field))
    if new.open:
        row = {"subject": new.subject, "field": new.field, "filed_at": now, "withheld": int(new.withheld)}
        connection.execute(insert(objection).values(row))


def objections(connection: Connection, after: str = "", upto: str = "") -> tuple[Objection, ...]:
    """The open disputes, of subjects above `after` up to `upto`."""
    query = select(objection.c.subject, objection.c.field, objection.c.withheld)
    query = query.where(_between(objection.c.subject, after, upto))
    query = query.order_by(objection.c.subject, objection.c.field)
    return tuple(
        Objection(subject=subject, field=field, open=True, withheld=bool(withheld))
        for subject, field, withheld in connection.execute(query)
    )


def set_repair(connection: Connection, new: Repair, decision: str, filed_by: str, now: int) -> None:
    """Put a repair on record, or take it back; doing so twice changes nothing but the decision."""
    connection.execute(delete(repair).where(repair.c.subject == new.subject, repair.c.field == new.field))
    if new.stands:
        row = {"subject": new.subject, "field": new.field, "decision": decision, "filed_by": filed_by, "filed_at": now}
        connection.execute(insert(repair).values(row))


def repairs(connection: Connection, after: str = "", upto: str = "") -> tuple[Repair, ...]:
    """The repairs that stand, of subjects above `after` up to `upto`."""
    query = select(repair.c.subject, repair.c.field).where(_between(repair.c.subject, after, upto))
    query = query.order_by(repair.c.subject, repair.c.field)
    return tuple(Repair(subject=subject, field=field) for subject, field in connection.execute(query))


def _between(subject: ColumnElement[str], after: str, upto: str) -> ColumnElement[bool]:
    """Above `after`, and not above `upto` unless that is empty."""
    return and_(subject > after, subject <= upto) if upto else subject > after


def _stands(kinds: Collection[ConsentKind], now: int) -> ColumnElement[bool]:
    named = [str(kind) for kind in kinds]
    return and_(
        consent.c.kind.in_(named), consent.c.valid_from <= now, consent.c.valid_to > now, consent.c.revoked_at.is_(None)
    )
