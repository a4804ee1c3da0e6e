"""A bank's private model at the office: what the node told of its columns, and what the bank opened of its weights.

The office sees the weights, and that is all that makes them bearable: a bank that could weigh one column alone, or pack
several into one score, would read rows. Checked in this order, and the first fault is named:

(1) the node signed this layout for this bank's model, and told its moments;
(2) weights are integers of at most 6 bits for distinct columns of the layout, and of at least eight fields;
(3) the encrypted model, whose digest stands in the card that the node has signed, is the one that the opened seed makes:
    a ternary key, noise from the sampler, under masks that neither side chose and that are of these columns alone. It is
    made again and compared;
(4) R² of every column on the banded scores, together with all private models before it, is at most 0.70, and 0.45 on
    average, and at least eight fields move the score of more than a few rows (`models.private_leakage`).

Leakage: the office learns the weights, and counts of pairs of bins with noise. It learns no row and no score. The seed is not
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.store import private_models as store
from audit.office.store.private_models import Opened, StoredPrivate
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from crypto.errors import CryptoError
from models import private_model
from models.logged import Empty
from models.private_leakage import Floats, Judgement, Levels, bin_shares, carried, fields_in_effect, judge
from models.private_model import PRIVATE_ENCODING, ColumnMoments, PrivateField, PrivateLayout, PrivateOpening, WeightsRefused
from models.problems import Conflict, Unusable
from models.scorecard.card import ModelCard
from models.scorecard.limits import Limits
from models.wire import Signed, unpack

MOST_BINS = 2_000


@dataclass(frozen=True)
class Examined:
    """A private model that passed: what the register keeps, and what its leaf says."""

    record: Callable[[Connection], None]
    facts: dict[str, str | int | bool]


class PrivateModels:
    """The handler of what the node tells."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def moments(self, call: Call) -> Outcome:
        """POST /private-models/moments: the node tells counts of pairs of bins, with noise, of a new layout."""
        signed: Signed = call.body
        told = self._office.node_statement(signed, ColumnMoments)
        _gram(told)

        def record(connection: Connection) -> None:
            if store.get(connection, told.layout.model) is not None:
                raise Conflict("the moments of this model's columns are known already")
            store.add(connection, told, call.now)

        facts: dict[str, str | int | bool] = {"model": told.layout.model, "moments": signed.digest()}
        return Outcome(Empty(), [LeafDraft("private-model.moments", facts)], record)


def examine(office: Office, connection: Connection, card: ModelCard, opening: PrivateOpening | None) -> Examined | None:
    """Check a private model that is being registered; None for a model that is no private one. Raises `Unusable`."""
    if opening is None:
        if card.encoding == PRIVATE_ENCODING:
            raise Unusable(
                "a private model is registered with its weights opened to the office; send the opening with the card"
            )
        return None
    layout = office.node_statement(opening.layout, PrivateLayout)
    stored = store.get(connection, card.node.model)
    # (1)
    if stored is None or (stored.moments.layout, stored.bank) != (layout, card.bank) or card.encoding != PRIVATE_ENCODING:
        raise Unusable("the opened layout is not the one that the node told the office of; open the model at the node again")
    try:
        # (2)
        private_model.check_weights(layout.fields, opening.columns, opening.weights)
        # (3) what is judged must be what was encrypted, so that comes first
        _check_encryption(opening, layout, card)
        # (4)
        before = _before(connection, layout.model)
        judged = _judge(stored.moments, opening, before)
    except (WeightsRefused, CryptoError, ValueError) as error:
        raise Unusable(f"this private model cannot be registered: {error}") from None

    def record(connection: Connection) -> None:
        store.one_at_a_time(connection)
        if [one.model for one in _before(connection, layout.model)] != [one.model for one in before]:
            raise Conflict("another private model was registered at the same moment; register this one again")
        store.register(
            connection,
            layout.model,
            Opened(opening.columns, opening.weights),
            band_width=judged.width,
            r2_most=judged.most,
            r2_mean=judged.mean,
        )

    return Examined(record, {"private": True, "r2_most": f"{judged.most:.2f}", "r2_mean": f"{judged.mean:.2f}"})


def _check_encryption(opening: PrivateOpening, layout: PrivateLayout, card: ModelCard) -> None:
    from crypto.bfv import verify_opening  # SEAL is loaded by those who have a private model to check

    public = private_model.public_seed(layout.model, opening.columns, layout.nonce, opening.nonce)
    verify_opening(opening.weights, opening.seed, public, bytes.fromhex(card.half))


def _judge(moments: ColumnMoments, opening: PrivateOpening, before: Sequence[StoredPrivate]) -> Judgement:
    fields, limits, gram = moments.layout.fields, Limits(), _gram(moments)
    shares = bin_shares(fields, gram)
    models: list[Levels] = [_carried(earlier, fields, shares) for earlier in before]
    models.append(private_model.levels(fields, opening.columns, opening.weights))
    judged = judge(fields, gram, models)
    if judged.most > limits.r2_column or judged.mean > limits.r2_mean:
        raise WeightsRefused(
            f"its scores{' and those of earlier private models' if len(models) > 1 else ''} would explain {judged.most:.0%} of "
            f"the variance of a column of {judged.field} and {judged.mean:.0%} of the fields' on average, where "
            f"{limits.r2_column:.0%} and {limits.r2_mean:.0%} are allowed; spread the weight over more fields"
        )
    if (in_effect := fields_in_effect(fields, gram, models[-1])) < private_model.FEWEST_FIELDS:
        raise WeightsRefused(
            f"{in_effect} fields move more than a few scores, or by more than a trace, where at least "
            f"{private_model.FEWEST_FIELDS} do; weigh more of them"
        )
    return judged


def _before(connection: Connection, model: str) -> list[StoredPrivate]:
    """All private models that were opened to the office, this one apart."""
    return [one for one in store.registered(connection) if one.opened is not None and one.model != model]


def _carried(earlier: StoredPrivate, fields: Sequence[PrivateField], shares: Sequence[Floats]) -> Levels:
    """What an earlier model says in the bins of this layout; nothing of fields that it did not have."""
    assert earlier.opened is not None
    theirs = earlier.moments.layout.fields
    said = private_model.levels(theirs, earlier.opened.columns, earlier.opened.weights)
    was = {
        field.name: (field, share, level)
        for field, share, level in zip(theirs, bin_shares(theirs, _gram(earlier.moments)), said, strict=True)
    }
    found: list[Floats] = []
    for field, share in zip(fields, shares, strict=True):
        if field.name not in was:
            found.append(np.zeros(field.count))
            continue
        before, its_share, level = was[field.name]
        same = before == field
        found.append(level.astype(np.float64) if same else carried(level, (before, its_share), (field, share)))
    return found


def _gram(moments: ColumnMoments) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    bins = sum(field.count for field in moments.layout.fields)
    if not 1 <= bins <= MOST_BINS:
        raise Unusable(f"a layout has 1 to {MOST_BINS} bins")
    return unpack(moments.gram, "<f8", (bins, bins), "gram").astype(np.float64)
