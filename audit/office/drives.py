"""Village drives: the consents of many people at once, from a table; a row at fault is left out and named, never guessed."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection

from audit.office.filing import Filing, attach_filing, facts_of, salted
from audit.office.office import Office
from audit.office.store import consents
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.consent_drives import DriveRow, consent_of, read_rows
from models.consents import Consent, DriveFault, DriveFiled, FileDrive
from models.problems import Conflict, Problem, Unusable

MOST_FAULTS = 5_000


class Drives:
    """The handler of tables of consents."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /consents/drives: every row that is in order is filed; `check_only` says what would be."""
        body: FileDrive = call.body
        if not 1 <= len(body.place) <= 200:
            raise Unusable("say where the drive was, in 1 to 200 characters")
        rows, drive = read_rows(body.table), secrets.token_hex(8)
        good, faults = self._judge(call, body, rows, drive)
        digest = hashlib.sha256(body.table).hexdigest()
        answer = DriveFiled(drive=drive, rows=len(rows), count=len(good), faults=tuple(faults[:MOST_FAULTS]))
        opening = {"place": body.place, "table": digest}
        if body.check_only or not good:
            facts = {"checked": len(rows), "faults": len(faults)}
            return Outcome(answer, [LeafDraft("consent.drive", facts, opening)])
        new = salted(good)
        attach_consents = attach_filing(call, new, drive)

        def record(connection: Connection) -> None:
            if consents.drive_is_known(connection, digest):
                raise Conflict("this very table was filed before; file the rows that were left out, corrected")
            consents.add_drive(
                connection,
                id=drive,
                place=body.place,
                table_digest=digest,
                rows=len(rows),
                consents=len(good),
                filed_by=call.person.id,
                filed_at=call.now,
            )

        leaf = LeafDraft("consent.drive", {**facts_of(new), "faults": len(faults)}, opening)
        return Outcome(answer, [leaf], record, attach=attach_consents)

    def _judge(self, call: Call, body: FileDrive, rows: list[DriveRow], drive: str) -> tuple[list[Consent], list[DriveFault]]:
        """What is in order, and what is wrong with the rest: never a word of a row itself."""
        filing, settings = Filing(self._office, call), self._office.settings
        good: list[Consent] = []
        faults: list[DriveFault] = []
        seen: dict[tuple[object, ...], int] = {}
        for row in rows:
            try:
                consent = filing.check(consent_of(row, body, f"{drive}-{row.line}", settings.identity, settings.zone))
            except Problem as problem:
                faults.append(DriveFault(line=row.line, reason=problem.detail))
            except ValueError as error:
                faults.append(DriveFault(line=row.line, reason=str(error)))
            else:
                same = (consent.subject, consent.kind, consent.recipient, consent.purposes, consent.sensitive_fields)
                if same in seen:
                    faults.append(DriveFault(line=row.line, reason=f"the same as line {seen[same]} / 与第 {seen[same]} 行重复"))
                else:
                    seen[same] = row.line
                    good.append(consent)
        return good, faults
