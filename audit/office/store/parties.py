"""Institutions, people, and the version that every change to them raises."""

from __future__ import annotations

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from audit.office.tables import counter, institution, person
from models.parties import Institution, InstitutionKind, Person, Role
from models.wire import fields_of

DIRECTORY = "directory"

# Who signs is looked up with every request, so these are built once.
_PERSON = select(person).where(person.c.id == bindparam("sought"))
_INSTITUTION = select(institution).where(institution.c.id == bindparam("sought"))


def find(connection: Connection, person_id: str) -> tuple[Person, Institution] | None:
    """A person with their institution, or None."""
    found = get_person(connection, person_id)
    if found is None:
        return None
    home = get_institution(connection, found.institution)
    return None if home is None else (found, home)


def get_person(connection: Connection, person_id: str) -> Person | None:
    """One person, or None."""
    row = connection.execute(_PERSON, {"sought": person_id}).one_or_none()
    return None if row is None else _person(row)


def get_institution(connection: Connection, institution_id: str, *, lock: bool = False) -> Institution | None:
    """One institution, or None; `lock` keeps others from deciding about it until the transaction ends."""
    query = _INSTITUTION.with_for_update() if lock else _INSTITUTION
    row = connection.execute(query, {"sought": institution_id}).one_or_none()
    return None if row is None else _institution(row)


def institutions(connection: Connection, kind: InstitutionKind | None = None) -> tuple[Institution, ...]:
    """All institutions, or those of one kind, by id."""
    query = select(institution).order_by(institution.c.id)
    rows = connection.execute(query if kind is None else query.where(institution.c.kind == str(kind)))
    return tuple(_institution(row) for row in rows)


def people(connection: Connection, role: Role | None = None) -> tuple[Person, ...]:
    """All people, or those of one role, by id."""
    query = select(person).order_by(person.c.id)
    rows = connection.execute(query if role is None else query.where(person.c.role == str(role)))
    return tuple(_person(row) for row in rows)


def key_is_known(connection: Connection, key: bytes) -> bool:
    """Whether any person, suspended or not, was enrolled with this key."""
    return connection.execute(select(person.c.id).where(person.c.key == key)).first() is not None


def add_institution(connection: Connection, new: Institution) -> None:
    """Store a new institution; IntegrityError where the id is taken."""
    connection.execute(insert(institution).values(**_plain(new)))
    raise_version(connection)


def add_person(connection: Connection, new: Person) -> None:
    """Store a new person; IntegrityError where the id or the key is taken."""
    connection.execute(insert(person).values(**_plain(new)))
    raise_version(connection)


def suspend_person(connection: Connection, person_id: str, suspended: bool) -> bool:
    """Suspend or reinstate a person; False where there is none."""
    change = update(person).where(person.c.id == person_id).values(suspended=int(suspended))
    return connection.execute(change).rowcount == 1


def suspend_institution(connection: Connection, institution_id: str, suspended: bool) -> bool:
    """Suspend or reinstate an institution; False where there is none."""
    change = update(institution).where(institution.c.id == institution_id).values(suspended=int(suspended))
    return connection.execute(change).rowcount == 1


def version(connection: Connection) -> int:
    """How often the directory has changed."""
    return connection.execute(select(counter.c.value).where(counter.c.name == DIRECTORY)).scalar() or 0


def raise_version(connection: Connection) -> None:
    """Count one change of the directory."""
    raised = connection.execute(update(counter).where(counter.c.name == DIRECTORY).values(value=counter.c.value + 1))
    if raised.rowcount == 0:
        connection.execute(insert(counter).values(name=DIRECTORY, value=1))


def _plain(message: Institution | Person) -> dict[str, object]:
    values = fields_of(message)
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


def _institution(row: Row[tuple[object, ...]]) -> Institution:
    values = dict(row._mapping)
    flags = {name: bool(values[name]) for name in ("second_approval", "suspended")}
    return Institution(**{**values, **flags, "kind": InstitutionKind(values["kind"])})


def _person(row: Row[tuple[object, ...]]) -> Person:
    values = dict(row._mapping)
    return Person(
        **{**values, "role": Role(values["role"]), "key": bytes(values["key"]), "suspended": bool(values["suspended"])}
    )
