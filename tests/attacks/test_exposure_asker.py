"""Attacks on exposure checks by the bank that asks: alone, with banks that answer, and through what it is shown.

Criterion: it learns the sum and the number over three answers or more, whatever it asks, how often and under which key; on the
naive build of the same step, kept beside each test, it learns what one bank answered.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from audit.office.exposure_releases import ExposureReleases, singles_out
from audit.office.tables import consent
from bank_client.exposure_keys import QuestionKey
from crypto.paillier import PublicKey
from crypto.paillier.arithmetic import PrivateKey, encode_ciphertext
from crypto.paillier.key_proof import prove_key
from models import wire
from models.exposure import (
    ExposureAnswer,
    ExposureTally,
)
from models.problems import (
    BadElement,
    BadMessage,
    BadSignature,
    BadTicket,
    Conflict,
    NoConsent,
    ReleaseRefused,
    TooFewBanks,
)
from models.wire import Signed
from sharing_node.exposure import repository
from sharing_node.exposure.tables import ExposureAnswerRow, ExposureRow
from tests.attacks.exposure import OWED, alarms_of, town
from tests.exposure.banks import Place, pool, put

pytestmark = pytest.mark.attack


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with town(tmp_path_factory.mktemp("exposure")) as made:
        yield made


@pytest.fixture
def subject() -> str:
    return f"s{next(_numbers)}"


_numbers = iter(range(1, 40))


def test_two_answers_are_not_summed_whoever_says_so(here: Place, subject: str) -> None:
    asked = put(here, subject)
    here.answer("bank-d", "bank-e")
    asked.expire(here)
    with pytest.raises(TooFewBanks):
        asked.close()
    # Nor where the node would: the office counts the signed answers itself.
    with here.pair.engine.connect() as connection:
        query = select(ExposureAnswerRow.signed).where(ExposureAnswerRow.question == asked.question.id)
        signed = [wire.decode(one, Signed) for one in connection.execute(query).scalars()]
    sign = here.pair.app.state.node.sign
    tally = ExposureTally(question=asked.digest, answers=tuple(signed), sum=bytes(32))
    with pytest.raises(TooFewBanks):
        asked.released(sign(tally))
    with pytest.raises(BadMessage, match="second one of the same bank"):
        asked.released(sign(wire.replace(tally, answers=(*signed, signed[0]))))
    own = asked.officer.sign(ExposureAnswer(question=asked.digest, bank="bank-a", commitment=bytes(32)))
    with pytest.raises(BadMessage, match="no bank that was asked"):
        asked.released(sign(wire.replace(tally, answers=(*signed, own))))
    with pytest.raises(BadSignature):
        asked.released(asked.officer.sign(tally))


def test_the_difference_of_two_sums_is_no_bank_s_answer(here: Place, subject: str) -> None:
    """Naive: the same question once with and once without a bank; the difference is what that bank has answered."""
    first = put(here, subject)
    here.answer()
    assert first.finish(first.close()).amount == OWED
    second = put(here, subject)
    here.answer("bank-b")
    second.expire(here)
    tally = second.close()
    with here.pair.engine.connect() as connection:
        withheld = connection.execute(select(ExposureRow.sum).where(ExposureRow.id == second.question.id)).scalar_one()
    assert withheld is not None
    assert OWED - (second.key.key.decrypt(withheld) & (1 << 64) - 1) == OWED  # what it would show: all of it is bank-b's
    with pytest.raises(ReleaseRefused, match="one or two"):
        second.finish(tally)


def test_two_sums_that_meet_at_the_office_are_not_both_released(
    here: Place, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Naive: each is compared with what was released before, and neither was."""
    first, second = put(here, subject), put(here, subject)
    here.answer("bank-b")
    first.expire(here)
    smaller = first.close()
    here.answer()
    whole = second.close()
    honest, met = ExposureReleases._check_sum, list[Signed]()

    def meanwhile(self: ExposureReleases, *said: Any) -> None:
        honest(self, *said)
        if not met:
            met.append(smaller)
            first.released(smaller)

    monkeypatch.setattr(ExposureReleases, "_check_sum", meanwhile)
    with pytest.raises(ReleaseRefused, match="one or two"):
        second.released(whole)
    assert met


@pytest.mark.parametrize(
    ("sums", "shown"),
    [
        (["bcd"], False),
        (["bcde", "bcde"], False),
        (["bcde", "bcd"], True),
        (["bcdef", "bcd"], True),
        (["bcdefg", "bcd"], False),
        (["bcdefgh", "bcd", "efg"], True),  # the first less both others is h, though no two differ by fewer than three
        (["bcdefghi", "bcd", "efg"], True),
        (["bcdefghij", "bcd", "efg"], False),
    ],
)
def test_no_combination_of_sums_is_one_bank_s_answer(sums: list[str], shown: bool) -> None:
    assert singles_out([frozenset(one) for one in sums]) is shown


def test_a_sum_is_not_released_after_a_revocation(here: Place, subject: str) -> None:
    asked = put(here, subject)
    here.answer()
    tally = asked.close()
    office = here.pair.office
    with office.office.engine.begin() as connection:
        mine = consent.c.subject == f"opaque:{subject}"
        connection.execute(update(consent).where(mine).values(revoked_at=int(time.time())))
    with pytest.raises(NoConsent, match="revoked since"):
        asked.released(tally)


def test_one_context_gives_leave_once(here: Place, subject: str) -> None:
    """Naive: an officer asks again under a context that a second person has approved for one question."""
    asked = put(here, subject)
    with pytest.raises(BadTicket, match="under this context"):
        asked.check._leave(asked.prepared, asked.key, None)


def test_a_question_whose_answers_were_forgotten_accuses_nobody(here: Place, subject: str) -> None:
    """Naive: a bank that asks for its sum a day late has the office alarm over a node that added other ciphertexts."""
    asked = put(here, subject)
    here.answer()
    tally = asked.close()
    with here.pair.engine.begin() as connection:
        connection.execute(update(ExposureRow).where(ExposureRow.id == asked.question.id).values(deadline=0))
        repository.erase_old(connection, 1)
    before = len(alarms_of(here))
    with pytest.raises(Conflict, match="in time"):
        asked.released(tally)
    assert len(alarms_of(here)) == before


def test_what_the_asker_sees_names_no_amount(here: Place, subject: str) -> None:
    """Digests of unblinded ciphertexts can be guessed open; those of blinded ones cannot, and the sum hides its parts."""
    asked = put(here, subject)
    key = asked.key.key.public
    unblinded = {hashlib.sha256(encode_ciphertext(key.combine(m, 1))).digest(): m for m in (0, OWED + (1 << 64))}
    said = hashlib.sha256(encode_ciphertext(key.combine(OWED + (1 << 64), 1))).digest()
    assert unblinded[said] == OWED + (1 << 64)  # the naive build
    here.answer()
    tally = asked.close()
    shown = asked.officer.from_node(tally, ExposureTally)
    digests = [wire.decode(one.payload, ExposureAnswer).commitment for one in shown.answers]
    assert not unblinded.keys() & set(digests)
    # The one ciphertext that it gets is not the product of what the banks sent, but that, blinded anew.
    with here.pair.engine.connect() as connection:
        query = select(ExposureAnswerRow.ciphertext).where(ExposureAnswerRow.question == asked.question.id)
        sent = [key.ciphertext(one) for one in connection.execute(query).scalars() if one]
    assert asked.summed(asked.released(tally)) != encode_ciphertext(key.add(sent))


def test_a_key_that_blinds_nothing_opens_no_answer(here: Place, subject: str) -> None:
    """The asker picks h: with one of order 3 each ciphertext is one of three, and its digest in the tally would say which."""
    honest = pool().take()
    while honest.key._key.p % 3 == honest.key._key.q % 3 == 2:
        honest = QuestionKey.fresh()
    n, order = honest.key.public.n, math.lcm(honest.key._key.p - 1, honest.key._key.q - 1)
    powers = (pow(x, n * order // 3, n * n) for x in range(2, 1000))
    root = next(h for h in powers if h != 1)
    weak = PrivateKey(honest.key._key, PublicKey(n, root))
    asked = put(here, subject, key=QuestionKey(weak, prove_key(weak)))
    here.answer()
    guesses = {
        hashlib.sha256(encode_ciphertext(weak.public.combine(amount + (int(amount > 0) << 64), factor))).digest()
        for amount in (0, OWED)
        for factor in (1, root, root * root)
    }
    with here.pair.engine.connect() as connection:
        query = select(ExposureAnswerRow.ciphertext).where(ExposureAnswerRow.question == asked.question.id)
        naive_digests = {hashlib.sha256(one).digest() for one in connection.execute(query).scalars() if one}
    assert naive_digests
    assert naive_digests <= guesses
    shown = asked.officer.from_node(asked.close(), ExposureTally)
    assert not guesses & {wire.decode(one.payload, ExposureAnswer).commitment for one in shown.answers}


def test_a_key_whose_steps_are_not_its_own_thins_no_crowd(here: Place, subject: str) -> None:
    """Naive: a step that is off by an element of small order fails the honest proofs that the asker wants to be rid of."""
    honest = pool().take()
    public = honest.key.public
    steps = (*public.steps[:8], public.n_squared - public.steps[8], *public.steps[9:])
    thinning = PrivateKey(honest.key._key, PublicKey(public.n, public.h, steps))
    with pytest.raises(BadElement, match="steps"):
        put(here, subject, key=QuestionKey(thinning, prove_key(thinning)))
