"""Projects of several banks: each of the others accepts by its own signature, and names who acts for it.

The office approves nothing before all have. Its approval then holds the seats: bank, person, key. Whoever takes part in a sum
checks signatures against these and against nothing that the node says.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from audit.office.store import parties
from audit.office.tables import acceptance
from audit.service.outcome import Call
from models.parties import InstitutionKind, Person, Role
from models.problems import Conflict, Forbidden, NotApproved, Unusable
from models.projects import FEWEST_BANKS, MOST_BANKS, AcceptProject, Project, ProjectKind, Seat
from models.wire import Signed, decode, encode, open_signed


def check_banks(connection: Connection, project: Project) -> None:
    """Refuse a project whose banks cannot work together; raises `Unusable`."""
    if not project.banks:
        if project.kind is ProjectKind.STATISTICS:
            raise Unusable(f"statistics are over {FEWEST_BANKS} to {MOST_BANKS} banks; name the others")
        return
    if project.kind in {ProjectKind.CHECK, ProjectKind.EXPOSURE}:
        raise Unusable("a check is one bank's; only joint scorecards and statistics have several banks")
    if len(project.members) != len(project.banks) + 1 or not FEWEST_BANKS <= len(project.members) <= MOST_BANKS:
        raise Unusable(
            f"a project of several has {FEWEST_BANKS} to {MOST_BANKS} banks; name each of the others once, and not the own"
        )
    for bank in project.banks:
        found = parties.get_institution(connection, bank)
        if found is None or found.kind is not InstitutionKind.BANK or found.suspended:
            raise Unusable("a bank of this project is not enrolled, or suspended; name banks that take part")


def check_acceptance(connection: Connection, project: Project, call: Call) -> AcceptProject:
    """What a person of one of the other banks has signed; raises `Forbidden`, `Unusable` or `BadSignature`."""
    bank = call.institution.id
    if bank not in project.banks:
        raise Forbidden("this project does not ask this bank to take part")
    said = open_signed(call.body, AcceptProject, call.person.id, call.person.public_key())
    if (said.project, said.digest, said.bank) != (project.id, project.digest(), bank):
        raise Unusable(
            "the acceptance is of another project, or of another version of it", advice="Read it again, then accept it."
        )
    _modeller(connection, bank, said.modeller)
    return said


def add(connection: Connection, said: AcceptProject, signed: Signed, now: int) -> None:
    """Store an acceptance; raises `Conflict` where the bank has given one."""
    if said.bank in _stored(connection, said.project):
        raise Conflict("this bank has accepted this project already")
    row = {"project": said.project, "bank": said.bank, "document": encode(signed)}
    connection.execute(insert(acceptance).values(**row, at=now))


def accepted(connection: Connection, project: Project) -> tuple[str, ...]:
    """The banks that take part so far; none in a project of one."""
    return tuple(sorted({project.bank, *_stored(connection, project.id)})) if project.banks else ()


def seats(connection: Connection, project: Project) -> tuple[Seat, ...]:
    """Who acts for each bank, in order of names; none in a project of one. Raises `NotApproved` until all have accepted."""
    if not project.banks:
        return ()
    acting = {bank: said.modeller for bank, said in _stored(connection, project.id).items()}
    if missing := sorted(set(project.banks) - set(acting)):
        raise NotApproved(f"{', '.join(missing)} did not accept this project yet", advice="Decide when all banks have.")
    acting[project.bank] = project.requested_by
    people = {bank: _modeller(connection, bank, person) for bank, person in acting.items()}
    return tuple(Seat(bank=bank, person=people[bank].id, key=people[bank].key) for bank in project.members)


def _modeller(connection: Connection, bank: str, person_id: str) -> Person:
    person = parties.get_person(connection, person_id)
    if person is None or person.institution != bank or person.role is not Role.MODELLER or person.suspended:
        raise Unusable(f"who is to act for {bank} is no modeller of it, or suspended; name another one")
    return person


def _stored(connection: Connection, project_id: str) -> dict[str, AcceptProject]:
    rows = connection.execute(select(acceptance.c.bank, acceptance.c.document).where(acceptance.c.project == project_id))
    return {row.bank: decode(decode(bytes(row.document), Signed).payload, AcceptProject) for row in rows}
