"""Node and office of a training without their services: the same roles, limits and messages, no log and no database."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from crypto.lwe_params import PRODUCT
from crypto.xof import session_seed
from models import wire
from models.scorecard.binning import bin_columns
from models.scorecard.columns import NodeColumns, NodeField
from models.scorecard.inputs import check_inputs
from models.scorecard.limits import Limits
from models.scorecard.messages import macs_of, moments_from, opening_of, vector_infos
from models.scorecard.node import NodeSecrets, NodeTraining
from models.scorecard.rounds import ROUNDS, Digests, Plan, RoundRecord, replay_job
from models.training import (
    FieldFigure,
    FieldPlan,
    Figures,
    FileInputs,
    JobPlan,
    OpenJob,
    OpenRound,
    ProductAnswer,
    ProductRequest,
    Replay,
    RoundAnswer,
    RoundClosed,
    RoundInputs,
    RoundOpened,
    RoundTranscript,
    Verdict,
    session_of,
)
from models.wire import Signed

BANK, NODE, OFFICE = "bank", "node", "office"
JOB, PROJECT, ROOT = "joint-scale", "scale", b"r" * 32
LIMITS = Limits()


class NodeRole:
    """The node's part, as `sharing_node.jobs.training` has it."""

    def __init__(self, values: dict[str, NDArray[np.float64]], keys: Mapping[str, Ed25519PrivateKey]) -> None:
        self._values, self._keys = values, keys
        self._transcripts: tuple[str, ...] = ()

    def answer(self, step: str, body: bytes) -> wire.Message:
        """One request of the bank."""
        if step == "jobs":
            return self._plan(wire.decode(body, OpenJob))
        if step == "open":
            return self._open(wire.decode(body, OpenRound))
        if step == "product":
            return self._product(wire.decode(body, ProductRequest))
        if step == "answer":
            return self._close(wire.decode(body, RoundAnswer))
        return self._figures(wire.decode(body, Signed))

    def _plan(self, asked: OpenJob) -> Signed:
        bins, _ = bin_columns(self._values, LIMITS)
        codes, raw = (np.empty((len(bins), next(iter(self._values.values())).size), kind) for kind in (np.uint8, np.float64))
        for j, one in enumerate(bins):
            raw[j] = self._values.pop(one.field)
            codes[j] = one.apply(raw[j])
        columns = NodeColumns(tuple(NodeField(one) for one in bins), codes, raw)
        plan = self.plan = Plan(columns.rows, columns.bins, asked.bank_columns)
        secrets = NodeSecrets(os.urandom(32), os.urandom(32))
        self._training = NodeTraining(JOB, plan, columns, cohort_root=ROOT, secrets=secrets, limits=LIMITS)
        message = JobPlan(
            job=JOB,
            project=PROJECT,
            rows=plan.rows,
            cohort_root=ROOT,
            subjects=ROOT,
            fields=tuple(FieldPlan(name=one.field, bins=one.count) for one in bins),
            bands=LIMITS.band_count(plan.node_fields),
            label_aggregates=plan.label_aggregates,
        )
        return wire.sign(message, NODE, self._keys[NODE])

    def _open(self, asked: OpenRound) -> RoundOpened:
        inputs = wire.open_signed(asked.inputs, RoundInputs, OFFICE, self._keys[OFFICE].public_key())
        nonce = os.urandom(32)
        self._training.open_round(session_seed(session_of(JOB, inputs.round), nonce, asked.nonce), macs_of(inputs, self.plan))
        self._opened = inputs.round, asked, nonce
        return RoundOpened(nonce=nonce)

    def _product(self, asked: ProductRequest) -> ProductAnswer:
        vectors = len(self.plan.vectors(self._opened[0]))
        b = wire.unpack(asked.b, "<u8", (vectors, self.plan.rows), "b")
        p = wire.unpack(asked.p, "<u8", (vectors, PRODUCT.dimension), "p")
        h, c = self._training.respond(b, p)
        return ProductAnswer(h=wire.pack(h), c=wire.pack(c))

    def _close(self, asked: RoundAnswer) -> RoundClosed:
        round_, opened, nonce = self._opened
        shape = self.plan.shape(round_)
        commitments = self._training.commitments()
        w = wire.unpack(asked.w, "<u8", (shape.columns, len(shape.vectors)), "w")
        made = self._training.receive(w, moments_from(asked.moments, self.plan, round_))
        transcript = RoundTranscript(
            job=JOB,
            round=round_,
            inputs=opened.inputs.digest(),
            nonce_node=nonce,
            nonce_bank=opened.nonce,
            columns=shape.columns,
            column_scale=shape.column_scale,
            column_bound=shape.column_bound,
            rows=shape.rows,
            product=made.product,
            answer=made.answer,
            response=made.response,
            moments=made.moments,
            node_commitments=commitments,
        )
        signed = wire.sign(transcript, NODE, self._keys[NODE])
        self._transcripts += (signed.digest(),)
        return RoundClosed(transcript=signed)

    def _figures(self, verdict: Signed) -> Figures:
        self._training.accept_verdict(verdict, OFFICE, self._keys[OFFICE].public_key(), self._transcripts)
        figures = self._training.figures()
        fields = tuple(FieldFigure(name=f.name, iv=f.iv, bins=f.bins, vif=f.vif, table=f.table) for f in figures.fields)
        return Figures(job=JOB, usable=True, rows=figures.rows, fields=fields, correlation=wire.pack(figures.correlation))


class OfficeRole:
    """The office's part, as `audit.office.replays` has it."""

    def __init__(self, keys: Mapping[str, Ed25519PrivateKey]) -> None:
        self._keys, self._mac_key = keys, os.urandom(32)

    def answer(self, step: str, body: bytes) -> Signed:
        """One request of the bank."""
        made = self._inputs(wire.decode(body, FileInputs)) if step == "inputs" else self._verdict(wire.decode(body, Replay))
        return wire.sign(made, OFFICE, self._keys[OFFICE])

    def _inputs(self, asked: FileInputs) -> RoundInputs:
        plan = self._plan(asked.plan, len(asked.opening.columns) - 1)
        opening = opening_of(asked.opening, plan)
        check_inputs(opening, LIMITS, plan.rows, plan.node_fields)
        infos = vector_infos(opening, self._mac_key)
        round_, digest = asked.opening.round, asked.plan.digest()
        return RoundInputs(job=JOB, round=round_, rows=plan.rows, bank=BANK, plan=digest, vectors=infos)

    def _verdict(self, asked: Replay) -> Verdict:
        plan = self._plan(asked.plan, len(asked.rounds[-1].opening.columns) - 1)
        records, transcripts = [], []
        for round_, one in zip(ROUNDS, asked.rounds, strict=True):
            seen = wire.open_signed(one.transcript, RoundTranscript, NODE, self._keys[NODE].public_key())
            shape = plan.shape(round_)
            answer = (
                wire.unpack(one.h, "<u8", (shape.columns, PRODUCT.dimension), "h"),
                wire.unpack(one.c, "<u8", (shape.columns, len(shape.vectors)), "c"),
            )
            seed = session_seed(session_of(JOB, round_), seen.nonce_node, seen.nonce_bank)
            digests = Digests(seen.product, seen.answer, seen.response, seen.moments)
            records.append(RoundRecord(seed, opening_of(one.opening, plan), answer, digests))
            transcripts.append(one.transcript.digest())
        replay_job(plan, records, LIMITS)
        return Verdict(job=JOB, bank=BANK, transcripts=tuple(transcripts), usable=True, reason="")

    def _plan(self, signed: Signed, bank_columns: int) -> Plan:
        plan = wire.open_signed(signed, JobPlan, NODE, self._keys[NODE].public_key())
        return Plan(plan.rows, tuple(field.bins for field in plan.fields), bank_columns)
