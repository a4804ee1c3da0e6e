"""Who takes part: enrolment of institutions and people, suspension, and the directory that everyone follows.

A suspension is in force here with its transaction, and elsewhere as soon as the directory is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from audit.office.office import OFFICE, Office
from audit.office.store import batches, models, parties, projects
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.logged import Empty
from models.parties import ROLES_OF, Directory, Institution, InstitutionKind, Person, Role, ServiceKeys
from models.problems import BadMessage, Conflict, NotFound, Unusable
from models.projects import Target
from models.wire import Signed

RESIGN_SECONDS = 5
BY_OPERATOR = frozenset({Role.NODE, Role.OFFICE, Role.WINDOW})
"""The services themselves: enrolled with the command line, since a clerk who could enrol a node could be one."""


@dataclass(frozen=True)
class _Latest:
    version: int
    issued_at: int
    statement: Signed


class OfficeDirectory:
    """Handlers about who takes part, and the gate's source of who signs."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._latest: _Latest | None = None

    def find(self, key_id: str) -> tuple[Person, Institution] | None:
        """The person and institution behind a key id, or None: always the present rows."""
        with self._office.engine.connect() as connection:
            return parties.find(connection, key_id)

    def statement(self, _path: dict[str, str]) -> Signed:
        """GET /directory: everyone who takes part, signed at most `RESIGN_SECONDS` ago and since the last change."""
        now = int(self._office.clock())
        with self._office.engine.connect() as connection:
            version = parties.version(connection)
            latest = self._latest
            if latest is None or latest.version != version or now - latest.issued_at >= RESIGN_SECONDS:
                directory = Directory(
                    version=version,
                    issued_at=now,
                    institutions=parties.institutions(connection),
                    people=parties.people(connection),
                    suspended_projects=projects.suspended_projects(connection),
                    ended_models=models.ended(connection, now),
                )
                latest = self._latest = _Latest(version, now, self._office.sign(directory))
        return latest.statement

    def keys(self, _path: dict[str, str]) -> ServiceKeys:
        """GET /keys: what verifies the office's statements, its log and its cosignatures."""
        return service_keys(self._office)

    def enrol_institution(self, call: Call) -> Outcome:
        """POST /institutions: a clerk enrols a bank or a bureau."""
        new: Institution = call.body
        check_institution(new)

        def record(connection: Connection) -> None:
            enrol_institution(connection, new)

        facts = {"id": new.id, "kind": str(new.kind)}
        return Outcome(Empty(), [LeafDraft("enrol.institution", facts)], record)

    def enrol_person(self, call: Call) -> Outcome:
        """POST /people: a clerk enrols a named person with one role and one key."""
        new: Person = call.body
        if new.role in BY_OPERATOR:
            raise Unusable(f"the role {new.role} is a service's; it is enrolled with `xinqiao office enrol-{new.role}`")
        check_person(new)

        def record(connection: Connection) -> None:
            enrol_person(connection, new)

        facts = {"home": new.institution, "role": str(new.role)}
        opening = {"enrolled": new.id, "name": new.name, "key": new.key.hex()}
        return Outcome(Empty(), [LeafDraft("enrol.person", facts, opening)], record)

    def suspend(self, call: Call) -> Outcome:
        """POST /suspensions: a clerk suspends or reinstates a person, an institution, a project or a batch, at once."""
        target: Target = call.body
        if target.id in {OFFICE, call.person.id}:
            raise Unusable("the office itself and whoever asks cannot be suspended: nobody could reinstate them")
        suspend: dict[str, Callable[[Connection], bool]] = {
            "person": lambda connection: parties.suspend_person(connection, target.id, target.suspended),
            "institution": lambda connection: parties.suspend_institution(connection, target.id, target.suspended),
            "project": lambda connection: projects.suspend_project(connection, target.id, target.suspended),
            "batch": lambda connection: batches.suspend(connection, target.id, target.suspended),
        }
        if target.kind not in suspend:
            raise BadMessage(f"the kind is one of {', '.join(sorted(suspend))}")

        def record(connection: Connection) -> None:
            if not suspend[target.kind](connection):
                raise NotFound(f"there is no such {target.kind}")
            parties.raise_version(connection)

        # A person's id is a name: it stands in the opening only.
        facts: dict[str, str | int | bool] = {"kind": target.kind, "suspended": target.suspended}
        if target.kind != "person":
            facts["id"] = target.id
        return Outcome(Empty(), [LeafDraft("suspend", facts, {"id": target.id, "reason": target.reason})], record)


def service_keys(office: Office) -> ServiceKeys:
    """What verifies the office's word."""
    return ServiceKeys(
        signer=OFFICE,
        statement_key=office.keys.statement.public_key().public_bytes_raw(),
        log_key=str(office.log.signer.key),
        witness_key=str(office.witness_key),
    )


def check_institution(new: Institution) -> None:
    """Refuse an institution that could not take part; raises `Unusable`."""
    if not new.id or "/" in new.id or len(new.id) > 60 or not new.id.isprintable():
        raise Unusable("an institution's id has 1 to 60 printable characters and no slash")
    if not 1 <= len(new.name) <= 200 or not 1 <= len(new.licence) <= 64:
        raise Unusable("an institution has a name of at most 200 and a licence number of at most 64 characters")
    if len(new.contact) > 200 or len(new.bank_class) > 32:
        raise Unusable("the contact has at most 200 characters, the bank's class at most 32")
    if new.kind is InstitutionKind.BANK and new.declared_customers < 1:
        raise Unusable("a bank declares how many customers it has: it bounds what the bank may align in a year")
    if new.suspended:
        raise Unusable("nobody is enrolled suspended; enrol first, then suspend")


def check_person(new: Person) -> None:
    """Refuse a person who could not sign; raises `Unusable`."""
    home, slash, name = new.id.partition("/")
    if home != new.institution or not slash or not name or len(new.id) > 120 or not new.id.isprintable():
        raise Unusable("a person's id is institution/name, of at most 120 printable characters")
    if not 1 <= len(new.name) <= 200:
        raise Unusable("an officer is a named person; give the name, of at most 200 characters")
    if new.suspended:
        raise Unusable("nobody is enrolled suspended; enrol first, then suspend")
    try:
        new.public_key()
    except ValueError:
        raise Unusable("the key is not an Ed25519 key of 32 bytes") from None


def enrol_institution(connection: Connection, new: Institution) -> None:
    """Store a checked institution; raises `Conflict`."""
    if parties.get_institution(connection, new.id) is not None:
        raise Conflict("an institution with this id is enrolled already")
    parties.add_institution(connection, new)


def enrol_person(connection: Connection, new: Person) -> None:
    """Store a checked person at an enrolled institution; raises `NotFound`, `Unusable` or `Conflict`."""
    home = parties.get_institution(connection, new.institution)
    if home is None:
        raise NotFound("this institution is not enrolled; enrol it first")
    if new.role not in ROLES_OF[home.kind]:
        allowed = ", ".join(sorted(ROLES_OF[home.kind]))
        raise Unusable(f"the role {new.role} cannot be held at a {home.kind}; there are: {allowed}")
    if parties.get_person(connection, new.id) is not None:
        raise Conflict("a person with this id is enrolled already; somebody who lost a key is enrolled anew")
    if parties.key_is_known(connection, new.key):
        raise Conflict("this key is enrolled already; every person has a key of their own")
    parties.add_person(connection, new)
