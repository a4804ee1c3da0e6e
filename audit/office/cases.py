"""Cases: an auditor opens one, gathers accesses, alarms, findings and notes, ends it with what was found, and takes it along.

The exported bundle is kept with its case: a case that has not changed since gives the same bytes again.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from audit.dossier import bundle as bundles
from audit.dossier import parts
from audit.office.audit_work import find_alarm
from audit.office.dossiers import Dossiers, node_leaf, office_leaf
from audit.office.office import Office
from audit.office.store import accesses, cases, parties, reconciliations, seen
from audit.office.store.seen import NODE_LOG
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from models.cases import (
    CLOSED,
    MOST_ITEMS,
    MOST_TEXT,
    OPEN,
    AddItem,
    AskCase,
    AskCases,
    Bundle,
    Case,
    CaseItem,
    Cases,
    CloseCase,
    ItemKind,
    OpenCase,
)
from models.oversight import FoundAccess
from models.parties import Directory
from models.problems import Conflict, NotFound, TooLarge, Unusable
from models.reconciliation import Finding
from models.wire import encode, replace

TITLE_LENGTH = 200
LARGEST_BUNDLE = 256 << 20
GONE = ("erased or purged by rule before the case was exported; its leaf stays", "导出前已依法删除或到期清除；日志条目仍在")


class CaseWork:
    """Handlers about cases."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._dossiers = Dossiers(office)

    def open(self, call: Call) -> Within:
        """POST /audit/cases: open a case; answers with the `Case`."""
        ask: OpenCase = call.body
        title = ask.title.strip()
        if not 1 <= len(title) <= TITLE_LENGTH or not title.isprintable():
            raise Unusable(f"a case has a title of 1 to {TITLE_LENGTH} printable characters")

        def within(connection: Connection) -> Outcome:
            number = cases.add(connection, title, call.person.id, call.now)
            return Outcome(_get(connection, number), [LeafDraft("case.open", {"case": number}, {"title": title})])

        return within

    def add(self, call: Call) -> Within:
        """POST /audit/cases/items: add an access, an alarm, a finding or a note to an open case."""
        ask: AddItem = call.body
        text = ask.text.strip()
        if len(text) > MOST_TEXT or (ask.kind is ItemKind.NOTE and not text):
            raise Unusable(f"a note has 1 to {MOST_TEXT} characters")

        def within(connection: Connection) -> Outcome:
            found = _get(connection, ask.case, lock=True)
            _check_open(found)
            if len(found.items) >= MOST_ITEMS:
                raise TooLarge(f"a case holds at most {MOST_ITEMS} things; open another one beside it")
            if ask.kind is not ItemKind.NOTE and any((one.kind, one.ref) == (ask.kind, ask.ref) for one in found.items):
                raise Conflict("this is in the case already")
            self._check_ref(connection, ask, call.now)
            ref = 0 if ask.kind is ItemKind.NOTE else ask.ref
            item = CaseItem(number=len(found.items) + 1, kind=ask.kind, ref=ref, text=text, by=call.person.id, at=call.now)
            cases.add_item(connection, found.id, item)
            facts = {"case": found.id, "kind": str(ask.kind), "ref": ref}
            return Outcome(replace(found, items=(*found.items, item)), [LeafDraft("case.add", facts, {"text": text})])

        return within

    def close(self, call: Call) -> Within:
        """POST /audit/cases/close: end a case with what was found."""
        ask: CloseCase = call.body
        finding = ask.finding.strip()
        if not 1 <= len(finding) <= MOST_TEXT:
            raise Unusable(f"a case is closed with a finding of 1 to {MOST_TEXT} characters")

        def within(connection: Connection) -> Outcome:
            found = _get(connection, ask.case, lock=True)
            _check_open(found)
            cases.close(connection, found.id, finding, call.person.id, call.now)
            leaf = LeafDraft("case.close", {"case": found.id, "items": len(found.items)}, {"finding": finding})
            return Outcome(_get(connection, found.id), [leaf])

        return within

    def listed(self, call: Call) -> Outcome:
        """POST /audit/cases/search: a page of cases, newest first."""
        ask: AskCases = call.body
        if ask.state not in {"", OPEN, CLOSED}:
            raise Unusable(f"a case is {OPEN} or {CLOSED}")
        with call.engine.connect() as connection:
            found = cases.find(connection, ask.state, ask.before)
        return Outcome(Cases(cases=found), [LeafDraft("case.list", {"count": len(found)})])

    def show(self, call: Call) -> Outcome:
        """POST /audit/cases/show: one case with what was gathered."""
        ask: AskCase = call.body
        with call.engine.connect() as connection:
            found = _get(connection, ask.case)
        return Outcome(found, [LeafDraft("case.show", {"case": found.id})])

    def export(self, call: Call) -> Outcome:
        """POST /audit/cases/bundle: the case with all its evidence in one signed file."""
        ask: AskCase = call.body
        with call.engine.connect() as connection:
            found = _get(connection, ask.case)
            data = cases.bundle(connection, found.id)
        made = data is None
        data = self._bundle(call, found) if data is None else data
        if len(data) > LARGEST_BUNDLE:
            raise TooLarge("the evidence of this case is too much for one file; open several cases")
        digest = hashlib.sha256(data).hexdigest()

        def record(connection: Connection) -> None:
            if made and not cases.keep_bundle(connection, found.id, len(found.items), found.state, data, digest, call.now):
                raise Conflict("the case was changed while its evidence was gathered; export it again")

        answer = Bundle(name=f"xinqiao-case-{found.id}.tar", digest=digest, data=data)
        return Outcome(answer, [LeafDraft("case.export", {"case": found.id, "bundle": digest})], record)

    # ---------------------------------------------------------------- within

    def _check_ref(self, connection: Connection, ask: AddItem, now: int) -> None:
        """What is added must be there; raises `NotFound`."""
        if ask.kind is ItemKind.ACCESS:
            self._access(connection, ask.ref, now)
        elif ask.kind is ItemKind.ALARM:
            find_alarm(connection, ask.ref)
        elif ask.kind is ItemKind.FINDING:
            _finding(connection, ask.ref)

    def _access(self, connection: Connection, number: int, now: int) -> FoundAccess:
        found = accesses.get(connection, number, now - self._office.settings.report_days * 86400)
        if found is None:
            raise NotFound("there is no access of this number")
        return found

    def _bundle(self, call: Call, found: Case) -> bytes:
        """Gather everything; several requests of the node, and no transaction held."""
        files = {bundles.CASE: parts.to_json(found)}
        people = {found.opened_by, *(item.by for item in found.items), *filter(None, [found.closed_by])}
        gone: dict[str, tuple[str, str]] = {}
        for item in found.items:
            try:
                if item.kind is ItemKind.ACCESS:
                    with call.engine.connect() as connection:
                        one = self._access(connection, item.ref, call.now)
                    files |= bundles.placed(self._dossiers.gather(one), item.ref)
                    people.add(one.officer)
                elif item.kind is ItemKind.ALARM:
                    with call.engine.connect() as connection:
                        files[bundles.alarm_name(item.ref)] = parts.to_json(find_alarm(connection, item.ref))
                elif item.kind is ItemKind.FINDING:
                    files |= self._finding_files(call, item.ref)
            except NotFound:
                gone[bundles.item_name(item)] = GONE
        if gone:
            files[parts.MISSING] = parts.encode_json(gone)
        for person in people:
            files |= self._dossiers.person(person)
        with call.engine.connect() as connection:
            files[bundles.DIRECTORY] = encode(self._office.sign(_directory(connection, people, call.now)))
        settings, keys = self._office.settings, (self._office.log.signer.key, self._office.settings.node_log_key)
        witnesses = (self._office.witness_key, *(witness.key for witness in settings.log_witnesses))
        manifest = bundles.BundleManifest(
            format=bundles.FORMAT,
            case=found.id,
            made_at=call.now,
            made_by=call.person.id,
            log_keys=tuple(str(key) for key in keys if key is not None),
            witness_keys=tuple(str(key) for key in witnesses),
            files=(),
        )
        return bundles.make_bundle(files, manifest, self._office.keys.statement)

    def _finding_files(self, call: Call, number: int) -> dict[str, bytes]:
        with call.engine.connect() as connection:
            finding = _finding(connection, number)
            files = {bundles.finding_name(number): parts.to_json(finding)}
            if finding.office_index >= 0:
                files |= office_leaf(self._office, connection, finding.office_index, bundles.finding_leaf(number, "office"))
            leaf = seen.at(connection, NODE_LOG, finding.node_index)
        if leaf is not None:
            files |= node_leaf(self._office, leaf.index, leaf.leaf, bundles.finding_leaf(number, "node"))
        return files


def _directory(connection: Connection, people: set[str], now: int) -> Directory:
    """Of those who take part in a case, what the directory says now."""
    named = tuple(person for person in parties.people(connection) if person.id in people)
    homes = {person.institution for person in named}
    institutions = tuple(one for one in parties.institutions(connection) if one.id in homes)
    return Directory(version=parties.version(connection), issued_at=now, institutions=institutions, people=named)


def _get(connection: Connection, number: int, *, lock: bool = False) -> Case:
    found = cases.get(connection, number, lock=lock)
    if found is None:
        raise NotFound("there is no case of this number")
    return found


def _finding(connection: Connection, number: int) -> Finding:
    found = reconciliations.get_finding(connection, number)
    if found is None:
        raise NotFound("there is no finding of this number")
    return found


def _check_open(found: Case) -> None:
    if found.state != OPEN:
        raise Conflict("this case is closed; open another one")
