"""What the office's operator does before any clerk can: the office itself, its first clerk, the node, the window.

Each act is queued for the log in the transaction that does it; the service gives it its place when it starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection

from audit.database import writing
from audit.office import directory
from audit.office.office import NODE, NODE_KEY_ID, OFFICE, OFFICE_KEY_ID, WINDOW_KEY_ID, Office
from audit.office.store import parties
from audit.service.leaves import LeafDraft, finish
from models.parties import Institution, InstitutionKind, Person, Role
from models.problems import Conflict

OPERATOR = {"person": "operator", "name": "operator of the office's service", "role": "operator"}


def enrol_office(office: Office, name: str, licence: str) -> None:
    """The office as an institution, and its service, which fetches tables from the node."""
    home = Institution(id=OFFICE, name=name, kind=InstitutionKind.OFFICE, licence=licence)
    key = office.keys.service.public_key().public_bytes_raw()
    service = Person(id=OFFICE_KEY_ID, institution=OFFICE, name="office service", role=Role.OFFICE, key=key)
    _enrol(office, home, service)


def enrol_node(office: Office, name: str, licence: str, key: bytes) -> None:
    """The data bureau, and its service, whose key also signs what the node states."""
    home = Institution(id=NODE, name=name, kind=InstitutionKind.BUREAU, licence=licence)
    _enrol(office, home, Person(id=NODE_KEY_ID, institution=NODE, name="node service", role=Role.NODE, key=key))


def enrol_window(office: Office, key: bytes) -> None:
    """The office's self-service window, through which subjects who signed in act."""
    _enrol(office, None, Person(id=WINDOW_KEY_ID, institution=OFFICE, name="self-service window", role=Role.WINDOW, key=key))


def enrol_first_clerk(office: Office, person_id: str, name: str, key: bytes) -> None:
    """The first clerk, who enrols everyone else; raises `Conflict` where there is a clerk already."""
    clerk = Person(id=person_id, institution=OFFICE, name=name, role=Role.CLERK, key=key)

    def check(connection: Connection) -> None:
        if parties.people(connection, Role.CLERK):
            raise Conflict("there is a clerk already; clerks enrol everyone else")

    _enrol(office, None, clerk, check)


def _enrol(office: Office, home: Institution | None, person: Person, check: Callable[[Connection], None] | None = None) -> None:
    directory.check_person(person)
    facts = {"home": person.institution, "role": str(person.role)}
    draft = LeafDraft("enrol.person", facts, {"enrolled": person.id, "name": person.name, "key": person.key.hex()})
    leaf = finish(draft, institution=OFFICE, at=int(time.time()), who=OPERATOR)
    with writing(office.engine) as connection:
        if check is not None:
            check(connection)
        if home is not None:
            directory.check_institution(home)
            directory.enrol_institution(connection, home)
        directory.enrol_person(connection, person)
        office.log.enqueue(connection, leaf.entry)
        office.log.store_openings(connection, {leaf.commitment: leaf.opening})
