"""Assembling the node: settings, database, keys, log, gate, routes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI

from audit.database import open_engine
from audit.log import HighWaterFile, Log, Sequencer, log_tables
from audit.log.http import log_router, witness_router
from audit.log.witnesses import cosigners
from audit.service.gate import Gate
from audit.service.serving import begin_worker, pace
from audit.service.tables import add_gate_tables
from audit.verifier.note import CosignatureSigner, NoteSigner, VerifierKey
from audit.witness import Witness
from audit.witness.store import SqlWitnessStore, witness_tables
from crypto.warm import warm_up
from models.catalogue import Catalogue, default_catalogue
from models.parties import ServiceKeys
from models.scorecard.limits import Limits
from sharing_node import routes
from sharing_node.database import metadata
from sharing_node.keys import KeyStore
from sharing_node.migrate import check_schema
from sharing_node.node import Node
from sharing_node.office import NODE, OfficeLink
from sharing_node.settings import NodeSettings

LOG_TABLES = log_tables(metadata)
WITNESS_TABLES = witness_tables(metadata)
add_gate_tables(metadata)


def key_store(settings: NodeSettings) -> KeyStore:
    """The node's keys."""
    return KeyStore(settings.data_dir / "keys")


def log_signer(settings: NodeSettings) -> NoteSigner:
    """The key that signs this log's checkpoints."""
    return NoteSigner(settings.log_origin, key_store(settings).signing_key("log"))


def witness_signer(settings: NodeSettings) -> CosignatureSigner:
    """The key with which the node cosigns the office's log."""
    return CosignatureSigner(settings.witness_name, key_store(settings).signing_key("witness"))


def service_keys(settings: NodeSettings) -> ServiceKeys:
    """The public halves of the node's keys; made on first use."""
    public = key_store(settings).signing_key("statements").public_key().public_bytes_raw()
    return ServiceKeys(
        signer=NODE,
        statement_key=public,
        log_key=str(log_signer(settings).key),
        witness_key=str(witness_signer(settings).key),
    )


def from_environment() -> FastAPI:
    """The application of one serving process, its settings from the environment."""
    begin_worker()
    return create_app(NodeSettings.from_environment())


def open_node(settings: NodeSettings) -> Node:
    """What serves and builds alike work on; raises where settings, schema or catalogue do not allow a start."""
    engine = open_engine(settings.database)
    check_schema(engine)
    keys = key_store(settings)
    signing_key = keys.signing_key("statements")
    office = OfficeLink(settings.office_url, settings.office_public_key(), signing_key)
    witnesses = [witness.key for witness in settings.log_witnesses]
    quorum = settings.quorum(len(witnesses))
    log = Log(engine, LOG_TABLES, log_signer(settings), witnesses=witnesses, quorum=quorum, required=witnesses[:1])
    catalogue = (
        Catalogue.from_csv(Path(settings.catalogue), identity=settings.identity) if settings.catalogue else default_catalogue()
    )
    limits = replace(
        Limits(), cohort_rows=settings.cohort_minimum, r2_column=settings.column_r_squared, r2_mean=settings.mean_r_squared
    )
    return Node(settings, engine, keys, signing_key, office, catalogue, limits, log, service_keys(settings))


def create_app(settings: NodeSettings) -> FastAPI:
    """The node's ASGI application; raises as `open_node`."""
    node = open_node(settings)
    engine, office, log = node.engine, node.office, node.log

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sequencer = Sequencer(
            log,
            cosigners=cosigners(settings.log_witnesses),
            high_water=HighWaterFile(settings.data_dir / "log.high-water"),
            **pace(settings),
        )
        threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
        with sequencer, gate.purge(settings.answer_days, lambda: sequencer.sequences):
            yield

    app = FastAPI(title="Xinqiao data node", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    gate = Gate(
        app=app, engine=engine, metadata=metadata, log=log, directory=office, public_url=settings.public_url,
        requests=settings.requests,
    )  # fmt: skip
    app.state.gate, app.state.node = gate, node
    routes.bind(gate, node)
    app.include_router(log_router(log))
    if settings.office_log:
        office_log = VerifierKey.parse(settings.office_log)
        memory = SqlWitnessStore(engine, WITNESS_TABLES)
        witness = Witness(witness_signer(settings), {office_log.name: [office_log]}, memory)
        app.include_router(witness_router(witness, forks=memory.forks))
    return app
