"""The checks of one access, each by itself: a leaf, a signature or a proof holds, does not hold, or is not there.

What is trusted are keys alone: the office's statement key, and the verifier keys of logs and witnesses. Everyone else's keys
come from enrolment leaves in the office's log, so that what was signed years ago is held against the keys of then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.dossier import parts
from audit.dossier.evidence import (
    ABSENT,
    NODE,
    OFFICE,
    Check,
    LeafFacts,
    Mismatch,
    Missing,
    Said,
    Trust,
    check_same,
    file_of,
    find_person,
    object_of,
    open_leaf,
    open_opening,
    run_check,
)
from crypto.request_proof import verify_request_proof
from models import wire
from models.batches import BatchApproval
from models.consents import ANY, ConsentKind
from models.exposure import TABLE as EXPOSURE
from models.oversight import FoundAccess
from models.projects import ProjectApproval
from models.reports import CheckReport
from models.tables import Manifest, Seal
from models.tickets import Ticket, TicketApproval
from models.wire import Signed

EVALUATION_TOLERANCE = 120
"""Seconds between a ticket's end and its evaluation's leaf: a request that was under way, and two clocks."""
M = TypeVar("M", bound=wire.Message)


def check_access(files: Mapping[str, bytes], trust: Trust) -> list[Check]:
    """Every check of `NAMES` on one access's files, in that order; none raises."""
    return list(_Access(files, trust).checks())


class _Access:
    """One access's evidence; what one check opened the next ones use."""

    def __init__(self, files: Mapping[str, bytes], trust: Trust) -> None:
        self._files = files
        self._trust = trust

    def checks(self) -> Iterator[Check]:
        for name, check in _CHECKS.items():
            outcome = run_check(name, lambda check=check: check(self))  # type: ignore[misc]
            missing = self._missing.get(name)
            if outcome.state == ABSENT and missing:
                outcome = Check(name, ABSENT, *missing)
            yield outcome

    # ---------------------------------------------------------------- what the checks use

    @cached_property
    def _missing(self) -> dict[str, Said]:
        """Why something could not be had, as the office says."""
        if parts.MISSING not in self._files:
            return {}
        return {name: (str(why[0]), str(why[-1])) for name, why in object_of(self._files[parts.MISSING]).items() if why}

    @cached_property
    def _row(self) -> FoundAccess:
        return parts.from_json(file_of(self._files, parts.ACCESS), FoundAccess)

    @cached_property
    def _leaf(self) -> LeafFacts:
        return open_leaf(self._files, parts.OFFICE_LEAF, self._trust)

    @cached_property
    def _ticket(self) -> Ticket:
        if self._row.table == EXPOSURE:
            raise Missing("an exposure check asks other banks, not a table", "多头借贷查询：向其他银行提问，不涉及数据表")
        if not self._row.ticket:
            raise Missing("no ticket was given", "没有给出许可")
        return wire.open_signed(self._signed(parts.TICKET), Ticket, OFFICE, self._trust.office)

    @cached_property
    def _request(self) -> parts.RequestEvidence:
        if not self._row.ticket:
            raise Missing("no ticket was given", "没有给出许可")
        return parts.from_json(file_of(self._files, parts.REQUEST), parts.RequestEvidence)

    def _signed(self, name: str) -> Signed:
        return wire.decode(file_of(self._files, name), Signed)

    def _person(self, person: str) -> parts.PersonEvidence:
        return find_person(self._files, person, self._trust, self._leaf.origin)

    def _open(self, name: str, kind: type[M], roles: Sequence[str]) -> tuple[M, parts.PersonEvidence]:
        """A statement of a person of the bank, under the key of then."""
        signed = self._signed(name)
        person = self._person(signed.signer)
        if person.institution != self._row.bank or person.role not in roles:
            raise Mismatch(f"{person.id} may not sign a {kind.__name__} of this bank")
        return wire.open_signed(signed, kind, person.id, Ed25519PublicKey.from_public_bytes(person.key)), person

    # ---------------------------------------------------------------- the checks

    def office_leaf(self) -> Said:
        leaf, row = self._leaf, self._row
        if leaf.said.get("institution") != row.bank or abs(int(leaf.said.get("at", 0)) - row.at) > 60:
            raise Mismatch("the leaf is of another institution or time than the access")
        if row.table != EXPOSURE:
            check_same(leaf.facts.get("ticket", ""), row.ticket, "ticket")
        elif row.outcome == "granted" and leaf.said.get("action") != "exposure.ticket":
            raise Mismatch("the leaf is not that of an exposure check")
        refused = row.outcome not in {"granted", "looked", "looked-in-vain"}
        if refused != (leaf.said.get("outcome") == "refused") or (refused and leaf.said.get("problem") != row.outcome):
            raise Mismatch("the leaf tells another outcome than the access")
        return _placed(leaf, "the office's log", "信用办日志")

    def opening(self) -> Said:
        said = open_opening(self._files, parts.OFFICE_LEAF, self._leaf)
        check_same((said.get("person"), said.get("subject")), (self._row.officer, self._row.subject), "officer or subject")
        officer = self._row.officer
        return f"the leaf commits to officer {officer} and to this subject", f"日志承诺的是信贷员 {officer} 和这位当事人"

    def ticket(self) -> Said:
        context, row = self._ticket.context, self._row
        check_same(self._signed(parts.TICKET).digest(), row.ticket, "digest")
        said = (context.bank, context.officer, context.purpose, context.project, context.table, context.epoch)
        check_same(
            said, (row.bank, row.officer, row.purpose, row.project, row.table, row.epoch), "bank, officer, purpose or table"
        )
        where = f"{context.table} · {context.epoch}"
        return f"signed by the office for {context.purpose}, table {where}", f"信用办签名：{context.purpose}，数据表 {where}"

    def request_proof(self) -> Said:
        ticket, request = self._ticket, self._request
        check_same(request.subject, self._row.subject, "subject")
        verify_request_proof(request.subject.encode(), ticket.element, ticket.context.binding(), request.proof)
        return "the bank proved that it blinded this very subject", "零知识证明成立：盲化的正是这位当事人"

    def consents(self) -> Said:
        ticket, request, row = self._ticket, self._request, self._row
        committed = hashlib.sha256(request.salt + "\n".join(request.query_consents).encode()).digest()
        check_same(committed, ticket.consent, "consent commitment")
        check_same(committed.hex(), self._leaf.facts.get("consent"), "consent commitment in the leaf")
        known = {one.id: one for one in parts.from_json(file_of(self._files, parts.CONSENTS), parts.ConsentsEvidence).consents}
        relied = [(name, ConsentKind.QUERY) for name in request.query_consents]
        relied += [(name, ConsentKind.COLLECTION) for name in request.collection_consents]
        for name, kind in relied:
            consent = known.get(name)
            if consent is None:
                raise Missing(f"consent {name} is not there any more", f"授权 {name} 已不在")
            stood = consent.valid_from <= row.at < consent.valid_to and not 0 < consent.revoked_at <= row.at
            if consent.kind is not kind or not stood or not {ANY, row.purpose} & set(consent.purposes):
                raise Mismatch(f"consent {name} does not cover this question")
        names = ", ".join(name for name, _ in relied)
        return f"{len(relied)} consents stood, as the ticket commits to: {names}", f"{len(relied)} 项授权当时有效：{names}"

    def approval(self) -> Said:
        ticket = self._ticket
        said, person = self._open(parts.APPROVAL, TicketApproval, ["approver"])
        check_same((said.subject, said.context), (self._row.subject, ticket.context.digest()), "subject or context")
        if person.id == self._row.officer:
            raise Mismatch("the approver is the one who asked")
        return f"approved by {person.id}", f"{person.id} 批准"

    def project(self) -> Said:
        if not self._row.project:
            raise Missing("no project is part of a look at consents", "查看授权不涉及项目")
        approval = wire.open_signed(self._signed(parts.PROJECT), ProjectApproval, OFFICE, self._trust.office)
        project, row = approval.project, self._row
        check_same(project.id, row.project, "project")
        if row.bank not in project.members or not project.valid_from <= row.at < project.valid_to:
            raise Mismatch("the project is another bank's, or was not in its period")
        if approval.decided_by == project.requested_by:
            raise Mismatch("whoever asked for the project approved it")
        decided = f"{approval.decided_by}: {approval.reason}"
        return f"project {project.id}, approved by {decided}", f"项目 {project.id}，批准人 {decided}"

    def batch(self) -> Said:
        row = self._row
        if not row.batch:
            raise Missing("the question belongs to no batch", "逐笔查询，不属于批次")
        batch = parts.from_json(file_of(self._files, parts.BATCH), parts.BatchEvidence)
        said = (batch.id, batch.bank, batch.officer, batch.project, batch.purpose)
        check_same(said, (row.batch, row.bank, row.officer, row.project, row.purpose), "batch")
        if not batch.valid_from <= row.at < batch.valid_to:
            raise Mismatch("the question came outside of the batch's period")
        told = f"{batch.id}, {batch.place}"
        if parts.BATCH_APPROVAL not in self._files:
            return f"{told}, {batch.size} subjects, {batch.state}", f"{told}，{batch.size} 人，{batch.state}"
        approval, person = self._open(parts.BATCH_APPROVAL, BatchApproval, ["approver"])
        check_same((approval.batch, approval.digest), (batch.id, batch.digest), "batch")
        return f"{told}, {batch.size} subjects, approved by {person.id}", f"{told}，{batch.size} 人，{person.id} 批准"

    def manifest(self) -> Said:
        context = self._ticket.context
        node = Ed25519PublicKey.from_public_bytes(self._person(NODE).key)
        signed = self._signed(parts.manifest_name(context.table, context.epoch))
        manifest = wire.open_signed(signed, Manifest, "node", node)
        seal = wire.open_signed(self._signed(parts.seal_name(context.table, context.epoch)), Seal, OFFICE, self._trust.office)
        check_same((manifest.table, manifest.epoch), (context.table, context.epoch), "table")
        check_same((seal.table, seal.epoch, seal.manifest), (context.table, context.epoch, signed.digest()), "sealed manifest")
        holds = ", ".join(manifest.fields) or manifest.model
        return f"the node's manifest of {holds}, under the office's seal", f"节点的清单（{holds}），信用办已盖章"

    def node_leaf(self) -> Said:
        ticket, row = self._ticket, self._row
        leaf = open_leaf(self._files, parts.NODE_LEAF, self._trust)
        # Both logs' keys are trusted, but each for its own: the office cannot tell in its log what the node evaluated.
        if leaf.origin == self._leaf.origin:
            raise Mismatch("the evaluation stands in the same log as the access, which is not the node's")
        if leaf.said.get("action") != "check.evaluate" or leaf.said.get("outcome") != "done":
            raise Mismatch("the leaf is not an evaluation that was done")
        names = ("ticket", "table", "epoch", "purpose", "project")
        said = (leaf.said.get("institution"), *(leaf.facts.get(name) for name in names))
        check_same(said, (row.bank, row.ticket, row.table, row.epoch, row.purpose, row.project), "ticket, table or purpose")
        if int(leaf.said.get("at", 0)) > ticket.context.expires + EVALUATION_TOLERANCE:
            raise Mismatch("the evaluation came after the ticket's end")
        return _placed(leaf, "the node's log", "节点日志")

    def reports(self) -> Said:
        number, last, before = 0, None, ""
        while parts.report_name(number) in self._files:
            name = parts.report_name(number)
            last, _ = self._open(name, CheckReport, ["loan_officer"])
            check_same((last.ticket, last.corrects), (self._row.ticket, before), "ticket, or the report that it corrects")
            before, number = self._signed(name).digest(), number + 1
        if last is None:
            raise Missing("the bank has not reported what became of it", "银行尚未报告结果")
        check_same(str(last.outcome), self._row.report, "outcome")
        corrected = number - 1
        return (
            f"signed by the bank: {last.outcome}, corrected {corrected} times",
            f"银行签名：{last.outcome}，更正 {corrected} 次",
        )


_CHECKS: dict[str, Callable[[_Access], Said]] = {
    "office-leaf": _Access.office_leaf,
    "opening": _Access.opening,
    "ticket": _Access.ticket,
    "request-proof": _Access.request_proof,
    "consents": _Access.consents,
    "approval": _Access.approval,
    "project": _Access.project,
    "batch": _Access.batch,
    "manifest": _Access.manifest,
    "node-leaf": _Access.node_leaf,
    "reports": _Access.reports,
}
NAMES = tuple(_CHECKS)


def _placed(leaf: LeafFacts, log: str, log_zh: str) -> Said:
    witnesses = ", ".join(leaf.witnesses)
    return (
        f"entry {leaf.index} of {log}, cosigned by {witnesses or 'no witness asked for'}",
        f"{log_zh}第 {leaf.index} 条，{f'{witnesses} 联署' if witnesses else '没有要求见证'}",
    )
