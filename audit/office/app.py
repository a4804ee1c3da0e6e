"""The office's service put together: one table of endpoints, the log, the witness of the node's log."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from audit.database import open_engine
from audit.log import HighWaterFile, Log, Sequencer
from audit.log.http import log_router, witness_router
from audit.log.witnesses import cosigners
from audit.office import tables
from audit.office.access import Oversight
from audit.office.acts import SecondClerks
from audit.office.aggregations import Openings
from audit.office.alignments import Alignments
from audit.office.approval_routes import bind_approvals
from audit.office.audit_routes import bind_audit
from audit.office.batches import Batches
from audit.office.consent_receipts import ConsentReceipts
from audit.office.consents import Consents
from audit.office.directory import OfficeDirectory
from audit.office.disputes import DisputeDesk
from audit.office.drives import Drives
from audit.office.duties import Duties
from audit.office.exposure_routes import bind_exposure
from audit.office.group_replays import GroupReplays
from audit.office.keys import OfficeKeys
from audit.office.log_routes import bind_log
from audit.office.looks import Looks
from audit.office.manifests import Manifests
from audit.office.migrate import check_schema
from audit.office.models_register import ModelRegister
from audit.office.nightly import Nightly
from audit.office.office import Office
from audit.office.private_routes import bind_private_models
from audit.office.projects import Projects
from audit.office.repair_cases import RepairDesk
from audit.office.reports import Reports
from audit.office.retention import Retaining
from audit.office.rights import Rights
from audit.office.settings import OfficeSettings
from audit.office.supervision_routes import bind_supervision
from audit.office.tickets import TicketOffice
from audit.office.watch import ForkWatch, NodeWitness
from audit.service.gate import Gate
from audit.service.outcome import Raw
from audit.service.serving import begin_worker, pace
from audit.verifier.note import NoteSigner
from crypto.warm import warm_up
from models.aggregation import MOST_WORDS, FileOpening
from models.alignment import FileAlignment
from models.approvals import ActKind
from models.archives import AskArchive
from models.batches import Batch
from models.consent_receipts import AskConsentReceipt
from models.consents import AskConsents, AskStanding, FileConsents, FileDrive, FileObjections, FileRepairs, RevokeConsent
from models.disputes import (
    AnswerCorrection,
    AnswerDispute,
    ApplyRepair,
    AskCorrection,
    AskFilings,
    DecideRepair,
    RaiseDispute,
)
from models.group_training import ReplayMember
from models.logged import Empty
from models.parties import Institution, Person, Role
from models.projects import Decision, Project, Target
from models.registry import APPROVED, ChangeModel, ModelDecision
from models.rights import AskSubject, CloseAccount, OpenAccount
from models.tables import Evidence, RegisterModel, SubmitManifest
from models.tickets import AccessQuery, RequestTickets
from models.training import FileInputs, Replay
from models.wire import Signed

MIB = 1 << 20
CLERK, AUDITOR, NODE = {Role.CLERK}, {Role.CLERK, Role.AUDITOR}, {Role.NODE}
APPROVER = {Role.APPROVER}
AT_THE_WINDOW, STEWARD = {Role.CLERK, Role.WINDOW}, {Role.STEWARD}
MODELLER, OFFICER, BANK = {Role.MODELLER}, {Role.LOAN_OFFICER}, {Role.MODELLER, Role.LOAN_OFFICER}


def open_office(settings: OfficeSettings, clock: Callable[[], float] = time.time) -> Office:
    """Open database, keys and log; raises `SchemaBehind`, `KeysError` or ValueError where one does not allow a start."""
    engine = open_engine(settings.database)
    check_schema(engine)
    keys = OfficeKeys.load(settings.data_dir)
    witnesses = [witness.key for witness in settings.log_witnesses]
    signer = NoteSigner(settings.log_origin, keys.log)
    log = Log(engine, tables.log, signer, witnesses=witnesses, quorum=settings.quorum(len(witnesses)), clock=clock)
    return Office(settings=settings, engine=engine, keys=keys, log=log, clock=clock)


def from_environment() -> FastAPI:
    """The application of one serving process, its settings from the environment."""
    begin_worker()
    return create_app(open_office(OfficeSettings.from_environment()))


def create_app(office: Office) -> FastAPI:
    """The ASGI app; the sequencer runs while it is up. `app.state.gate` lists the endpoints."""

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
        with sequencer(office) as running:
            app.state.sequencer = running
            with (
                gate.purge(office.settings.answer_days, lambda: running.sequences),
                Duties(office, lambda: running.sequences),
                Nightly(office, lambda: running.sequences),
                Retaining(office, lambda: running.sequences),
                ForkWatch(office, lambda: running.sequences),
            ):
                yield

    app = FastAPI(title="Xinqiao credit office", lifespan=run, docs_url=None, redoc_url=None, openapi_url=None)
    directory = OfficeDirectory(office)
    gate = Gate(
        app=app,
        engine=office.engine,
        metadata=tables.metadata,
        log=office.log,
        directory=directory,
        public_url=office.settings.public_url,
        requests=office.settings.requests,
        clock=office.clock,
    )
    app.state.gate = gate
    _public(gate, office, directory)
    second = SecondClerks(office)
    _clerks(gate, office, directory, second)
    _rights(gate, office)
    _consents(gate, office)
    _banks(gate, office, second)
    _node(gate, office)
    bind_approvals(gate, office, second)
    bind_audit(gate, office)
    bind_log(gate, office, second)
    bind_exposure(gate, office)
    bind_private_models(gate, office)
    bind_supervision(gate, office)
    app.include_router(log_router(office.log))
    if office.settings.witness_elsewhere is None:
        app.include_router(witness_router(NodeWitness(office)))
    return app


def sequencer(office: Office) -> Sequencer:
    """The sequencer of the office's log, cosigned by the witnesses that the settings name."""
    return Sequencer(
        office.log,
        cosigners=cosigners(office.settings.log_witnesses),
        high_water=HighWaterFile(office.settings.data_dir / "log.high-water"),
        **pace(office.settings),
    )


def _public(gate: Gate, office: Office, directory: OfficeDirectory) -> None:
    gate.public("GET", "/directory", why="everyone must know who takes part, and it is signed")(directory.statement)
    gate.public("GET", "/keys", why="public keys")(directory.keys)

    def health(_path: dict[str, str]) -> Raw:
        with office.engine.connect() as connection:
            office.log.store.latest(connection)
        return Raw(b"ok\n", "text/plain; charset=utf-8")

    gate.public("GET", "/healthz", why="says only that the service and its database answer")(health)


def _clerks(gate: Gate, office: Office, directory: OfficeDirectory, second: SecondClerks) -> None:
    consents, oversight = Consents(office), Oversight(office)
    post = gate.logged
    institution = second.guard(ActKind.ENROL_INSTITUTION, Institution, directory.enrol_institution)
    post("POST", "/institutions", action="enrol.institution", roles=CLERK, takes=Institution)(institution)
    person = second.guard(ActKind.ENROL_PERSON, Person, directory.enrol_person)
    post("POST", "/people", action="enrol.person", roles=CLERK, takes=Person)(person)
    suspend = second.guard(ActKind.LIFT, Target, directory.suspend, needs=lambda call: not call.body.suspended)
    post("POST", "/suspensions", action="suspend", roles=CLERK, takes=Target)(suspend)
    post("POST", "/objections", action="objection.file", roles=CLERK, takes=FileObjections, limit=16 * MIB)(consents.object)
    repair = second.guard(ActKind.REPAIR_FILE, FileRepairs, consents.repair)
    post("POST", "/repairs", action="repair.file", roles=CLERK, takes=FileRepairs, limit=16 * MIB)(repair)
    post("POST", "/accesses", action="access.list", roles=AUDITOR | AT_THE_WINDOW, takes=AccessQuery)(oversight.accesses)
    gate.logged("GET", "/alarms", action="alarm.list", roles=AUDITOR, takes=None)(oversight.alarms)


def _rights(gate: Gate, office: Office) -> None:
    """What a subject, or a clerk at the window, may see and do."""
    post, window, reading = gate.logged, AT_THE_WINDOW, AT_THE_WINDOW | AUDITOR
    rights, cases, repairs = Rights(office), DisputeDesk(office), RepairDesk(office)
    post("POST", "/accounts", action="account.open", roles=CLERK, takes=OpenAccount)(rights.open_account)
    post("POST", "/accounts/close", action="account.close", roles=CLERK, takes=CloseAccount)(rights.close_account)
    post("POST", "/archives", action="archive.leave", roles=window, takes=AskArchive)(rights.archive_leave)
    post("POST", "/cohorts", action="cohort.list", roles=window, takes=AskSubject)(rights.cohorts)
    post("POST", "/disputes", action="dispute.file", roles=window, takes=RaiseDispute, limit=16 * MIB)(cases.file)
    post("POST", "/disputes/list", action="dispute.list", roles=reading, takes=AskFilings)(cases.listed)
    path = "/disputes/{id}"
    post("POST", f"{path}/evidence", action="dispute.evidence", roles=reading, takes=Empty)(cases.evidence)
    post("POST", f"{path}/correction", action="correction.ask", roles=CLERK, takes=AskCorrection)(cases.ask_source)
    post("POST", f"{path}/answer", action="dispute.answer", roles=CLERK, takes=AnswerDispute)(cases.answer)
    post("POST", "/corrections/list", action="correction.list", roles=STEWARD, takes=Empty)(cases.corrections)
    post("POST", "/corrections/{id}/answer", action="correction.answer", roles=STEWARD, takes=AnswerCorrection)(
        cases.source_answers
    )
    path = "/repairs/applications"
    post("POST", path, action="repair.apply", roles=window, takes=ApplyRepair, limit=16 * MIB)(repairs.file)
    post("POST", "/repairs/list", action="repair.list", roles=reading, takes=AskFilings)(repairs.listed)
    post("POST", f"{path}/{{id}}/evidence", action="repair.evidence", roles=reading, takes=Empty)(repairs.evidence)
    post("POST", f"{path}/{{id}}/decision", action="repair.decide", roles=CLERK, takes=DecideRepair)(repairs.decide)


def _consents(gate: Gate, office: Office) -> None:
    consents, receipts, drives, post = Consents(office), ConsentReceipts(office), Drives(office), gate.logged
    post("POST", "/consents", action="consent.file", roles=CLERK | OFFICER, takes=FileConsents, limit=32 * MIB)(consents.file)
    post("POST", "/consents/drives", action="consent.drive", roles=CLERK, takes=FileDrive, limit=32 * MIB)(drives.file)
    post("POST", "/consents/revoke", action="consent.revoke", roles=AT_THE_WINDOW, takes=RevokeConsent)(consents.revoke)
    post("POST", "/consents/of", action="consent.list", roles=AT_THE_WINDOW, takes=AskConsents)(receipts.of_subject)
    roles = AT_THE_WINDOW | OFFICER
    post("POST", "/consents/receipt", action="consent.receipt", roles=roles, takes=AskConsentReceipt)(receipts.receipt)


def _banks(gate: Gate, office: Office, second: SecondClerks) -> None:
    projects, models, replays = Projects(office), ModelRegister(office), GroupReplays(office)
    post, why = gate.logged, "the state of the bank's own filing; filing and decision are logged"
    post("POST", "/projects", action="project.file", roles=MODELLER, takes=Project)(projects.file)
    post("POST", "/projects/{id}/decision", action="project.decide", roles=CLERK, takes=Decision)(projects.decide)
    gate.unlogged("GET", "/projects/{id}", roles=BANK | CLERK | APPROVER, why=why)(projects.status)
    post("POST", "/projects/{id}/acceptance", action="project.accept", roles=MODELLER | APPROVER, takes=Signed)(projects.accept)
    openings, limit = Openings(office), 16 * MOST_WORDS
    post("POST", "/aggregations/openings", action="aggregate.proof", roles=MODELLER, takes=FileOpening, limit=limit)(
        openings.file
    )
    tickets = TicketOffice(office)
    post("POST", "/tickets", action="ticket", roles=BANK, takes=RequestTickets, limit=16 * MIB)(tickets.request)
    alignments = Alignments(office)
    post("POST", "/alignments", action="align.file", roles=MODELLER, takes=FileAlignment, limit=64 * MIB)(alignments.file)
    post("POST", "/replays/inputs", action="replay.inputs", roles=MODELLER, takes=FileInputs, limit=128 * MIB)(replays.inputs)
    post("POST", "/replays", action="replay.verdict", roles=MODELLER, takes=Replay, limit=512 * MIB)(replays.judge)
    post("POST", "/replays/members", action="replay.member", roles=MODELLER, takes=ReplayMember, limit=512 * MIB)(
        replays.judge_member
    )
    post("POST", "/models", action="model.register", roles=MODELLER, takes=RegisterModel, limit=4 * MIB)(models.register)
    decide = second.guard(
        ActKind.MODEL_APPROVE,
        ModelDecision,
        models.decide,
        needs=lambda call: call.body.approve,
        path=lambda decision: {"id": decision.subject},
    )
    post("POST", "/models/{id}/decision", action="model.decide", roles=CLERK, takes=ModelDecision)(decide)
    change = second.guard(
        ActKind.MODEL_LIFT,
        ChangeModel,
        models.change,
        needs=lambda call: call.body.state == APPROVED,
        path=lambda asked: {"id": asked.subject},
    )
    post("POST", "/models/{id}/state", action="model.state", roles=CLERK | MODELLER, takes=ChangeModel)(change)
    gate.unlogged("GET", "/models/{id}", roles=BANK | CLERK, why=why)(models.status)
    why_models = "the register of models; every entry and every change of it is logged"
    gate.unlogged("GET", "/models", roles=MODELLER | AUDITOR, why=why_models)(models.listed)
    gate.unlogged("GET", "/models/{id}/record", roles=MODELLER | AUDITOR, why=why_models)(models.record)
    batches = Batches()
    post("POST", "/batches", action="batch.file", roles=OFFICER, takes=Batch, limit=4 * MIB)(batches.file)
    post("POST", "/batches/{id}/decision", action="batch.decide", roles=CLERK, takes=Decision)(batches.decide)
    gate.unlogged("GET", "/batches/{id}", roles=BANK | CLERK, why=why)(batches.status)
    post("POST", "/consents/standing", action="consent.look", roles=OFFICER, takes=AskStanding)(Looks(office).look)
    post("POST", "/reports", action="check.report", roles=OFFICER, takes=Signed)(Reports().file)
    evidence = Oversight(office).report
    post("POST", "/evidence", action="evidence", roles=BANK, takes=Evidence, limit=16 * MIB)(evidence)


def _node(gate: Gate, office: Office) -> None:
    manifests, consents = Manifests(office), Consents(office)
    gate.logged("POST", "/manifests", action="manifest.seal", roles=NODE, takes=SubmitManifest, limit=4 * MIB)(manifests.submit)
    why = "each consent was logged when it was filed; a stored answer a minute would keep personal data without need"
    gate.unlogged("GET", "/eligibility", roles=NODE, why=why)(consents.eligibility)
