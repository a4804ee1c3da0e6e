"""A private model at the bank: its weights stay here and, opened, at the credit office; the node scores without seeing them.

::

    model = PrivateModel.open(bank, "rural-2026")          # columns: the node's bins of the project's fields
    model.register({"income": 3, "arrears": [0, -6, -14], …})
    …                                                      # the office decides
    model.serve()
    model.score(["…", "…"])                                # consented applicants, each under its ticket

A weight is an integer of at most 6 bits for the place of a field's bin in its order, or a list of one for each of its bins (a
scorecard's points). The file that `save` writes holds them and the key that opens the scores; it is of mode 0600.

What it costs: each epoch's padded scores are downloaded once, whole (10 bytes a subject of the node), so that the node sees
nothing of who is asked about; then a question is a private query of the table's cells.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import pandas as pd

from bank_client.alignment import Progress, silent
from bank_client.private_query import CheckResult, PrivateQuery
from bank_client.private_scores import ScoreBlocks
from bank_client.registration import file_opened
from bank_client.session import Bank
from crypto.bfv import ModelKey
from models import wire
from models.consents import Purpose
from models.durable import write_private
from models.private_model import (
    POSITION,
    PRIVATE_ENCODING,
    FileWeights,
    OpenedPrivateModel,
    OpenPrivateModel,
    PrivateField,
    PrivateLayout,
    PrivateOpening,
    WeightColumn,
    cell_of,
    check_weights,
    public_seed,
)
from models.problems import Damaged, NotApproved, Problem
from models.projects import ProjectOpened
from models.scorecard.card import Metrics, ModelCard, NodeCard
from models.tables import Manifest, ModelStatus, ServeModel, score_table
from models.wire import Signed

Weights = Mapping[str, int | Sequence[int]]
NO_METRICS = Metrics(rows=0, auc=0.0, gini=0.0, ks=0.0, brier=0.0, psi=0.0)


class _File(msgspec.Struct, frozen=True):
    """What is kept: `columns` and `weights` are empty until they are registered."""

    layout: Signed
    card: Signed
    nonce: bytes
    seed: bytes
    columns: tuple[WeightColumn, ...] = ()
    weights: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return "_File(redacted)"


@dataclass(frozen=True)
class PrivateScore:
    """One applicant's score, in the model's points with the node's noise of half a band; None where the node has no record.

    `refused` is set where office or node did not allow the question.
    """

    subject: str = field(repr=False)
    score: int | None = field(repr=False)
    refused: Problem | None = None


class PrivateModel:
    """A private model of this bank, from `open` or from a file (`load`)."""

    def __init__(self, bank: Bank, kept: _File) -> None:
        self._bank, self._kept = bank, kept
        self.layout_: PrivateLayout = bank.from_node(kept.layout, PrivateLayout)

    def __repr__(self) -> str:
        return f"PrivateModel({self.model_id_!r}, project={self.layout_.project!r}, weights redacted)"

    @classmethod
    def open(cls, bank: Bank, project: str, fields: Sequence[str] = ()) -> Self:
        """Have the node lay out the columns of an approved joint project; no `fields` are all of them.

        Raises:
            Problem: the project is not this bank's, too few people are served, or a year's releases are used.
        """
        asked = OpenPrivateModel(project=project, fields=tuple(fields))
        opened = bank.node.logged("/private-models", asked, OpenedPrivateModel).answer
        return cls(bank, _File(opened.layout, opened.card, secrets.token_bytes(32), secrets.token_bytes(32)))

    @property
    def model_id_(self) -> str:
        """The model's id."""
        return self.layout_.model

    @property
    def table_(self) -> str:
        """The id of the model's table."""
        return score_table(self.model_id_)

    @property
    def fields_(self) -> tuple[PrivateField, ...]:
        """Fields and their bins; where a field's mode forbids to tell of it, only how many."""
        return self.layout_.fields

    # ---------------------------------------------------------------- from weights to a served table

    def register(self, weights: Weights, metrics: Metrics = NO_METRICS, *, keep: str | Path | None = None) -> Self:
        """Encrypt weights for the node, sign the card with it, and open them to the office, which then decides.

        Args:
            weights: by field: one for its position, or one for each bin. Fields that are not named weigh nothing.
            metrics: of the model on the bank's own data, for its card.
            keep: a file that the model is saved to before anything leaves, so that no crash loses its key.

        Raises:
            ValueError: no such field or bin, weights of more than 6 bits, or fewer than eight fields in effect.
            Unusable: the office refuses what the scores would say about a column.
        """
        if self._kept.weights:
            raise ValueError("this model has its weights; open another one for other weights")
        columns, flat = _columns(self.fields_, weights)
        check_weights(self.fields_, columns, flat)
        # From here on these weights belong to this seed, whatever becomes of the call.
        self._kept = msgspec.structs.replace(self._kept, columns=columns, weights=flat)
        if keep is not None:
            self.save(keep)
        encrypted = self._key.encrypt()
        card = ModelCard(
            node=self._bank.from_node(self._kept.card, NodeCard),
            bank=self._bank.config.institution,
            bank_columns=(),
            encoding=PRIVATE_ENCODING,
            metrics=metrics,
            parent="",
            half=encrypted.digest().hex(),
        )
        signed = self._bank.sign(card)
        filed = FileWeights(model=self.model_id_, nonce=self._kept.nonce, columns=columns, body=encrypted.body, card=signed)
        path = f"/private-models/{self.model_id_}/weights"
        countersigned = self._bank.node.logged(path, filed, Signed).answer
        if self._bank.from_node(countersigned, ModelCard) != card:
            self._bank.damaged("card", "the node signed another card", artefacts=(wire.encode(countersigned),))
        opening = PrivateOpening(
            layout=self._kept.layout, nonce=self._kept.nonce, columns=columns, weights=flat, seed=self._kept.seed
        )
        file_opened(self._bank, signed, self._kept.card, countersigned, opening)
        return self

    def serve(self) -> str:
        """Hand the office's approval to the node; the id of the table, of which an operator then opens epochs.

        Raises:
            NotApproved: the office has not approved the model (yet).
        """
        status = self._bank.office.get(f"/models/{self.model_id_}", ModelStatus)
        if status.approval is None:
            because = f": {status.reason}" if status.reason else ""
            raise NotApproved(f"the model is {status.state} at the credit office{because}")
        path = f"/private-models/{self.model_id_}/serve"
        return self._bank.node.logged(path, ServeModel(approval=status.approval), ProjectOpened).answer.table

    # ---------------------------------------------------------------- scores

    def ask(self, subject: object, purpose: str = Purpose.LOAN_APPROVAL, *, approver: Bank | None = None) -> PrivateScore:
        """One consented applicant's score under an officer's ticket, with its receipt; raises as `PrivateQuery.ask`."""
        query = PrivateQuery(self._bank, self.layout_.project, self.table_, approver=approver)
        prepared = query.prepare(subject, purpose)
        self.fetch(prepared.epoch.manifest)  # before the question: whoever it is about, the calls are the same
        return self.read(query.ask_prepared(prepared))

    def score(
        self, ids: Iterable[object], purpose: str = Purpose.LOAN_APPROVAL, *, progress: Progress = silent
    ) -> pd.Series[float]:
        """Scores of consented applicants under a modeller's bulk tickets, by id; NaN where refused or not on record.

        A whole village is one pass: tickets, evaluations and columns go by the thousand.
        """
        given = list(ids)
        query = PrivateQuery(self._bank, self.layout_.project, self.table_)
        self.fetch(query.present().manifest)
        found = [self.read(result) for result in query.ask_many(given, purpose, progress=progress)]
        return pd.Series([float("nan") if one.score is None else one.score for one in found], given, float, name="score")

    def fetch(self, manifest: Manifest) -> None:
        """Have an epoch's padded scores here, before anybody is asked about; raises `Damaged` where they are not its own."""
        self._blocks.fetch(manifest)

    def read(self, result: CheckResult) -> PrivateScore:
        """The score in what a question of this model's table gave, also of a batch.

        Raises:
            Damaged: the cell does not fit the epoch's scores; do not ask again, the office has the epoch's evidence.
        """
        if result.refused is not None or result.record is None:
            return PrivateScore(result.subject, None, result.refused)
        try:
            cell = cell_of(result.record)
            return PrivateScore(result.subject, self._blocks.score(result.epoch, cell))
        except (ValueError, LookupError):
            raise Damaged("a cell of this table does not fit the epoch's scores") from None

    # ---------------------------------------------------------------- the file

    def save(self, path: str | Path) -> None:
        """Write weights and key, mode 0600. Whoever has the file and tickets reads scores; the bank alone has tickets."""
        write_private(Path(path), msgspec.msgpack.encode(self._kept))

    @classmethod
    def load(cls, path: str | Path, bank: Bank) -> Self:
        """A model as `save` wrote it; raises ValueError where the file is none."""
        try:
            kept = msgspec.msgpack.decode(Path(path).read_bytes(), type=_File)
        except msgspec.DecodeError:
            raise ValueError("the file holds no private model") from None
        return cls(bank, kept)

    @cached_property
    def _key(self) -> ModelKey:
        kept = self._kept
        public = public_seed(self.model_id_, kept.columns, self.layout_.nonce, kept.nonce)
        return ModelKey(kept.weights, kept.seed, public)

    @cached_property
    def _blocks(self) -> ScoreBlocks:
        return ScoreBlocks(self._bank, self.table_, self._key)


def _columns(fields: Sequence[PrivateField], weights: Weights) -> tuple[tuple[WeightColumn, ...], tuple[int, ...]]:
    place = {entry.name: i for i, entry in enumerate(fields)}
    if unknown := sorted(set(weights) - set(place)):
        raise ValueError(f"the layout has no field {', '.join(unknown)}; it has {', '.join(place)}")
    found: list[tuple[WeightColumn, int]] = []
    for name, weight in weights.items():
        i, count = place[name], fields[place[name]].count
        if isinstance(weight, int):
            found.append((WeightColumn(field=i, bin=POSITION), weight))
        elif len(weight) != count:
            raise ValueError(f"{name} has {count} bins, and needs a weight for each, or one for its position")
        else:
            found += [(WeightColumn(field=i, bin=b), points) for b, points in enumerate(weight) if points]
    return tuple(column for column, _ in found), tuple(weight for _, weight in found)
