"""The town in which exposure checks are attacked, and what several of the attacks do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bank_client.exposure_responder import Responder
from models import wire
from models.alarms import Alarm, Alarms, AskAlarms
from models.exposure import (
    SALT_BYTES,
    DemandOpening,
    ExposureAnswer,
    ExposureTally,
    FileAnswer,
    OpeningDemand,
    OpeningDemands,
    committed,
)
from models.logged import Empty
from models.wire import Signed
from tests.exposure.banks import Opened, Place, place

OWED = 700_000


@contextmanager
def town(folder: Path) -> Iterator[Place]:
    """Five banks; bank-b is owed by all of forty people, bank-c by the first of them."""
    with place(folder) as made:
        made.consent(*(f"opaque:s{n}" for n in range(40)))
        made.owe("bank-b", {f"s{n}": OWED for n in range(40)})
        made.owe("bank-c", {"s0": 5})
        made.owe("bank-d", {})
        made.owe("bank-e", {})
        yield made


def alarms_of(here: Place) -> list[Alarm]:
    """The office's alarms about exposure checks, newest first."""
    auditor = here.pair.office.client("office/audit")
    return list(auditor.logged("/audit/alarms", AskAlarms(kind="exposure"), Alarms).answer.alarms)


def own_answer(responder: Responder, opened: Opened, ciphertext: bytes, proof: bytes, question: str = "") -> FileAnswer:
    """Whatever a bank likes, under its own good signature."""
    bank = responder._bank
    salt = bytes(SALT_BYTES)
    commitment = committed(salt, ciphertext)
    said = ExposureAnswer(question=question or opened.digest, bank=bank.config.institution, commitment=commitment)
    return FileAnswer(answer=bank.sign(said), salt=salt, ciphertext=ciphertext, proof=proof)


def demand(here: Place, asked: Opened, bank: str) -> OpeningDemand:
    """An auditor demands an answer, the bank's service opens it; what the auditor then reads."""
    auditor = here.pair.office.client("office/audit")
    body = DemandOpening(question=asked.question.id, bank=bank, reason="the sum was out of bounds")
    auditor.logged("/exposures/demands", body, Empty)
    assert here.responders[bank].open_demanded() == 1
    found = auditor.logged(f"/exposures/{asked.question.id}/demands", Empty(), OpeningDemands).answer.demands
    return next(one for one in found if one.bank == bank)


def forged(here: Place, tally: Signed, **changes: object) -> Signed:
    """The node's word on something else than what was added up."""
    said = wire.decode(tally.payload, ExposureTally)
    return here.pair.app.state.node.sign(wire.replace(said, **changes))  # type: ignore[no-any-return]
