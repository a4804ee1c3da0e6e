"""Consents of before the ways of capture were enumerated: what the migration makes of them, and that they go on counting."""

from __future__ import annotations

import msgspec
from alembic import command
from sqlalchemy import LargeBinary, bindparam, text

from audit.database import open_engine
from audit.office.migrate import configuration, upgrade
from audit.office.store import consents
from models.consents import Capture, ConsentKind

DOCUMENT = {
    "subject": "opaque:a", "kind": "query", "recipient": "bank-a", "purposes": ["loan-approval"], "field_sets": ["*"],
    "valid_from": 0, "valid_to": 100, "evidence_digest": "0" * 64,
}  # fmt: skip
OLDER = {
    "window": (Capture.WINDOW, "", ""),
    "paper": (Capture.WINDOW, "", "paper"),
    "esign": (Capture.ESIGN, "", ""),
    "fingerprint-form; witness bank-a/ap": (Capture.OFFICER, "bank-a/ap", "fingerprint-form"),
}
INSERT = text(
    "INSERT INTO office_consent (id, subject, kind, valid_from, valid_to, document, filed_by, filed_at)"
    " VALUES (:id, 'opaque:a', 'query', 0, 100, :document, 'office/wang', 1)"
).bindparams(bindparam("document", type_=LargeBinary))


def test_older_consents_are_read_and_count(database_url: str) -> None:
    engine = open_engine(database_url)
    command.upgrade(configuration(engine), "0009")
    with engine.begin() as connection:
        for number, capture in enumerate(OLDER):
            document = msgspec.msgpack.encode({"id": f"c{number}", "capture": capture, **DOCUMENT}, order="deterministic")
            connection.execute(INSERT, {"id": f"c{number}", "document": document})
    command.upgrade(configuration(engine), "0010")
    command.downgrade(configuration(engine), "0009")
    upgrade(engine)
    with engine.connect() as connection:
        found = consents.standing(connection, ["opaque:a"], {ConsentKind.QUERY}, 50)["opaque:a", ConsentKind.QUERY]
        assert [(one.capture, one.witness, one.reference) for one in found] == list(OLDER.values())
        stored = consents.get(connection, "c1")
    assert stored is not None
    assert (stored.filing, stored.place, stored.salt) == (None, None, None), "no receipt was promised for it"
    engine.dispose()
