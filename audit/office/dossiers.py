"""Gathering what stands behind an access, from the office's own tables and both logs, as files that verify by themselves."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, Row

from audit.dossier import parts
from audit.dossier.evidence import NODE
from audit.office.mirror import ENROL, follow_node, follow_own, person_digest
from audit.office.office import OFFICE_KEY_ID, Office
from audit.office.store import accesses, projects, seen
from audit.office.store import dossiers as kept
from audit.office.store.seen import NODE_LOG, OFFICE_LOG
from audit.verifier.errors import LogError
from audit.verifier.merkle import leaf_hash
from models.http_client import SignedClient
from models.oversight import FoundAccess
from models.problems import PeerUnavailable, Problem
from models.tables import Seal
from models.tickets import Ticket, TicketContext
from models.training import Receipt
from models.wire import Signed, decode, encode

EVALUATE = "check.evaluate"
NODE_TIMEOUT = 10.0
COSIGN_PATIENCE = 5.0
"""Seconds for which a leaf that is new waits for its witnesses."""


class Dossiers:
    """Makes the files of accesses."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def gather(self, found: FoundAccess) -> dict[str, bytes]:
        """All evidence of one access (`audit.dossier.parts`); what cannot be had stands in ``missing.json`` with its reason."""
        return _Gathering(self._office, found).files()

    def person(self, person: str) -> dict[str, bytes]:
        """Somebody's key of then, with the leaf of the enrolment; empty where nobody of that id was enrolled."""
        with self._office.engine.connect() as connection:
            return person_files(self._office, connection, person)


class _Gathering:
    """One access."""

    def __init__(self, office: Office, found: FoundAccess) -> None:
        self._office = office
        self._found = found
        self._files: dict[str, bytes] = {parts.ACCESS: parts.to_json(found)}
        self._missing: dict[str, tuple[str, str]] = {}
        self._people = {found.officer, NODE}

    def files(self) -> dict[str, bytes]:
        found = self._found
        with self._office.engine.connect() as connection:
            self._office_leaf(connection)
            row = kept.ticket_row(connection, found.ticket) if found.ticket else None
            if row is not None:
                context = decode(bytes(row.context), TicketContext)
                self._ticket(connection, row, context)
                self._manifest(connection, context)
                self._reports(connection)
            self._project(connection)
            self._batch(connection)
        if row is not None:
            self._node_leaf()
        with self._office.engine.connect() as connection:
            for person in sorted(self._people):
                self._files |= person_files(self._office, connection, person)
        if self._missing:
            self._files[parts.MISSING] = parts.encode_json(self._missing)
        return self._files

    def _office_leaf(self, connection: Connection) -> None:
        index = kept.index_of(connection, accesses.queue_id(connection, self._found.id))
        if index is None:
            self._missing["office-leaf"] = ("the leaf has no index yet; ask again in a moment", "日志尚未编号，请稍后再看")
            return
        leaf = office_leaf(self._office, connection, index, parts.OFFICE_LEAF)
        if parts.OFFICE_LEAF + parts.OPENING not in leaf:
            self._missing["opening"] = (
                "what this leaf commits to was erased; the leaf itself stays verifiable",
                "承诺的内容已依法删除；日志本身仍可核验",
            )
        self._files |= leaf

    def _ticket(self, connection: Connection, row: Row[Any], context: TicketContext) -> None:
        query = [row.query_consent, *row.further_query_consents.splitlines()]
        collection = [row.collection_consent, *row.further_collection_consents.splitlines()]
        salt = bytes(row.salt)
        committed = hashlib.sha256(salt + "\n".join(query).encode()).digest()
        # Signing is deterministic: these are the very bytes that the bank was given.
        signed = self._office.sign(Ticket(element=bytes(row.element), context=context, consent=committed))
        self._files[parts.TICKET] = encode(signed)
        request = parts.RequestEvidence(
            subject=row.subject,
            proof=bytes(row.proof),
            salt=salt,
            query_consents=tuple(query),
            collection_consents=tuple(collection),
        )
        self._files[parts.REQUEST] = parts.to_json(request)
        consents = kept.consents(connection, [*query, *collection])
        self._files[parts.CONSENTS] = parts.to_json(parts.ConsentsEvidence(consents=consents))
        if row.approval is None:
            self._missing["approval"] = ("this bank requires no second approval of each question", "该行不要求逐笔第二人批准")
        else:
            self._files[parts.APPROVAL] = bytes(row.approval)
            self._signer(bytes(row.approval))

    def _manifest(self, connection: Connection, context: TicketContext) -> None:
        signed = kept.sealed_manifest(connection, context.table, context.epoch)
        if signed is None:
            return
        seal = self._office.sign(Seal(table=context.table, epoch=context.epoch, manifest=signed.digest()))
        self._files[parts.manifest_name(context.table, context.epoch)] = encode(signed)
        self._files[parts.seal_name(context.table, context.epoch)] = encode(seal)

    def _reports(self, connection: Connection) -> None:
        for number, document in enumerate(kept.reports(connection, self._found.ticket)):
            self._files[parts.report_name(number)] = document
            self._signer(document)

    def _project(self, connection: Connection) -> None:
        stored = projects.get_project(connection, self._found.project) if self._found.project else None
        if stored is not None and stored.approval is not None:
            self._files[parts.PROJECT] = encode(stored.approval)

    def _batch(self, connection: Connection) -> None:
        found = kept.batch_evidence(connection, self._found.batch) if self._found.batch else None
        if found is None:
            return
        batch, approval = found
        self._files[parts.BATCH] = parts.to_json(batch)
        if approval is not None:
            self._files[parts.BATCH_APPROVAL] = bytes(approval)
            self._signer(bytes(approval))

    def _node_leaf(self) -> None:
        try:
            with self._office.engine.connect() as connection:
                leaf = seen.find(connection, NODE_LOG, EVALUATE, self._found.ticket)
            if leaf is None:
                # Since the last reconciliation, perhaps.
                follow_node(self._office)
                with self._office.engine.connect() as connection:
                    leaf = seen.find(connection, NODE_LOG, EVALUATE, self._found.ticket)
            if leaf is None:
                self._missing["node-leaf"] = (
                    "the node's log has no evaluation of this ticket: it was not used",
                    "节点日志中没有这份许可的计算：没有使用",
                )
                return
            self._files |= node_leaf(self._office, leaf.index, leaf.leaf, parts.NODE_LEAF)
        except Problem as problem:
            self._missing["node-leaf"] = (problem.detail, f"节点的日志没有取到：{problem.detail}")
        except LogError as error:
            self._missing["node-leaf"] = (f"the node's log does not verify: {error}", f"节点日志核验失败：{error}")

    def _signer(self, document: bytes) -> None:
        self._people.add(decode(document, Signed).signer)


def office_leaf(office: Office, connection: Connection, index: int, stem: str) -> dict[str, bytes]:
    """A leaf of the office's log with its receipt, and its opening unless that was erased."""
    [entry] = office.log.store.entries(connection, index, 1)
    files = {stem + parts.LEAF: entry, stem + parts.RECEIPT: office.log.receipt(index, COSIGN_PATIENCE).encode()}
    commitment = parts.commitment_of(entry)
    opening = office.log.store.opening(connection, commitment) if commitment else None
    return files if opening is None else files | {stem + parts.OPENING: opening}


def node_leaf(office: Office, index: int, leaf: bytes, stem: str) -> dict[str, bytes]:
    """A leaf of the node's log with its receipt; raises `Problem` where the node does not give the leaf that was verified."""
    with SignedClient(
        office.settings.node_url, OFFICE_KEY_ID, office.keys.service, timeout=NODE_TIMEOUT, patience=NODE_TIMEOUT
    ) as client:
        receipt = client.get(f"/receipts/{index}", Receipt)
    if leaf_hash(receipt.entry) != leaf:
        raise PeerUnavailable(f"the node shows another entry {index} now than the one that its log was verified with")
    return {stem + parts.LEAF: receipt.entry, stem + parts.RECEIPT: receipt.proof.encode()}


def person_files(office: Office, connection: Connection, person: str) -> dict[str, bytes]:
    """The files of somebody who signed."""
    found = kept.person_evidence(connection, person)
    if found is None:
        return {}
    stem, digest = parts.person_name(person), person_digest(person)
    files = {f"{stem}-key.json": parts.to_json(found)}
    leaf = seen.find(connection, OFFICE_LOG, ENROL, digest)
    if leaf is not None:
        return files | office_leaf(office, connection, leaf.index, stem)
    follow_own(office)  # somebody who was enrolled since the last reconciliation
    with office.engine.connect() as newer:
        leaf = seen.find(newer, OFFICE_LOG, ENROL, digest)
        return files if leaf is None else files | office_leaf(office, newer, leaf.index, stem)
