"""Attacks on exposure checks: by a bank that answers, by the bank that asks, and by the node that adds.

Criterion: each is refused where it would do harm, or names who did it; and on the naive build of the same step, kept beside
each test, it succeeds: `phe` as it comes, answers without a bound or without blinding, a sum that nobody multiplies anew.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from phe import paillier as naive
from sqlalchemy import select, update

from audit.office.exposure_releases import ExposureReleases, singles_out
from audit.office.tables import consent
from bank_client.exposure_keys import QuestionKey
from bank_client.exposure_responder import Responder
from crypto.errors import InvalidCiphertext
from crypto.paillier import CIPHERTEXT_BYTES, PublicKey
from crypto.paillier.arithmetic import PrivateKey, draw_exponent, encode_ciphertext
from crypto.paillier.bounded import encrypt_bounded
from crypto.paillier.key_proof import prove_key
from models import wire
from models.alarms import Alarm, Alarms, AskAlarms
from models.exposure import (
    SALT_BYTES,
    DemandOpening,
    ExposureAnswer,
    ExposureTally,
    FileAnswer,
    OpenAnswer,
    OpeningDemand,
    OpeningDemands,
    committed,
)
from models.logged import Empty
from models.problems import (
    BadMessage,
    BadSignature,
    BadTicket,
    Conflict,
    Damaged,
    NoConsent,
    ReleaseRefused,
    TooFewBanks,
)
from models.wire import Signed
from sharing_node.exposure import repository
from sharing_node.exposure.tables import ExposureAnswerRow, ExposureRow
from tests.exposure.banks import Opened, Place, answer_of, place, pool, put, send_answers

pytestmark = pytest.mark.attack
OWED = 700_000


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("exposure")
    with place(folder) as made:
        made.consent(*(f"opaque:s{n}" for n in range(40)))
        made.owe("bank-b", {f"s{n}": OWED for n in range(40)})
        made.owe("bank-c", {"s0": 5})
        made.owe("bank-d", {})
        made.owe("bank-e", {})
        yield made


@pytest.fixture
def subject() -> str:
    return f"s{next(_numbers)}"


_numbers = iter(range(1, 40))


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


# -------------------------------------------------------------------- the key


def test_no_ciphertext_gives_the_key_away(here: Place, subject: str) -> None:
    """phe decrypts 0 to (p + q)^-1 mod n; with n that is both factors. Nothing that comes in is 0, n² or shares a factor."""
    public, private = naive.generate_paillier_keypair(n_length=1024)
    for bait in (0, public.nsquare):
        leaked = pow(private.raw_decrypt(bait), -1, public.n)
        for total in (leaked, public.n - leaked):
            root = math.isqrt(abs(total * total - 4 * public.n))
            if total * total - root * root == 4 * public.n:
                assert {(total + root) // 2, (total - root) // 2} == {private.p, private.q}
                break
        else:
            pytest.fail("the naive build keeps its key")

    asked, answering = put(here, subject), here.responders["bank-b"]
    n = asked.key.key.public.n
    baits = [0, n, n * n - n, 2 * n]
    assert n * n >= 1 << (8 * CIPHERTEXT_BYTES - 2)
    honest = answer_of(answering, asked)
    for bait in baits:
        ciphertext = bait.to_bytes(CIPHERTEXT_BYTES)
        assert send_answers(here, "bank-b", own_answer(answering, asked, ciphertext, honest.proof)) == ("bad-element",)
        with pytest.raises(InvalidCiphertext):
            asked.key.key.decrypt(ciphertext)
    over = (n * n).to_bytes(CIPHERTEXT_BYTES)
    assert send_answers(here, "bank-b", own_answer(answering, asked, over, honest.proof)) == ("bad-element",)
    # And last of all where the node itself serves one, under digests that fit.
    here.answer()
    tally, zero = asked.close(), bytes(CIPHERTEXT_BYTES)
    forged = _forged(here, tally, sum=hashlib.sha256(zero).digest())
    with pytest.raises(Damaged):
        asked.released(forged)


def test_no_exponent_tells_how_large_an_amount_is(here: Place, subject: str) -> None:
    """phe's numbers travel with an exponent in clear, which tells 0.01 from 10^9. What is sent here has no such place."""
    public, _ = naive.generate_paillier_keypair(n_length=512)
    assert len({public.encrypt(amount).exponent for amount in (0, 0.01, 1e9)}) > 1
    asked = put(here, subject)
    made = [answer_of(one, asked) for one in here.responders.values()]
    assert len({len(wire.encode(one)) for one in made}) == 1
    assert {type(value) for one in made for value in wire.fields_of(one).values()} == {Signed, bytes}
    key = asked.key.key.public
    sizes = {len(encrypt_bounded(key, amount, amount > 0, b"").proof) for amount in (0, 1, 2**32 - 1)}
    assert len(sizes) == 1


# -------------------------------------------------------------------- banks that answer


def test_a_negative_amount_does_not_lower_the_sum(here: Place, subject: str) -> None:
    asked, answering = put(here, subject), here.responders["bank-c"]
    key: PublicKey = asked.key.key.public
    here.answer("bank-c")
    cheat = encode_ciphertext(key.encrypt(key.n - OWED, draw_exponent()))
    # Naive: added up like any other, it takes away what another bank has said.
    others = answer_of(here.responders["bank-b"], asked).ciphertext
    total = key.add([key.ciphertext(cheat), key.ciphertext(others)])
    assert asked.key.key.decrypt(encode_ciphertext(total)) & (1 << 64) - 1 == 0
    borrowed = encrypt_bounded(key, OWED, True, f"{asked.digest}/bank-c".encode())
    assert send_answers(here, "bank-c", own_answer(answering, asked, cheat, borrowed.proof)) == ("bad-element",)
    assert send_answers(here, "bank-c", answer_of(answering, asked)) == ("",)
    assert asked.finish(asked.close()).amount == OWED


def test_an_answer_serves_one_question_one_bank_once(here: Place, subject: str) -> None:
    first, second = put(here, subject), put(here, subject)
    old = answer_of(here.responders["bank-b"], first)
    answering = here.responders["bank-b"]
    moved = own_answer(answering, second, old.ciphertext, old.proof)
    stolen = own_answer(here.responders["bank-c"], first, old.ciphertext, old.proof)
    assert send_answers(here, "bank-b", moved) == ("bad-element",)
    assert send_answers(here, "bank-c", stolen) == ("bad-element",)
    assert send_answers(here, "bank-c", old) == ("bad-signature",)
    assert send_answers(here, "bank-b", old) == ("",)
    assert send_answers(here, "bank-b", old) == ("conflict",)
    twice = encrypt_bounded(second.key.key.public, 1, True, f"{second.digest}/bank-b".encode())
    own = own_answer(answering, second, twice.ciphertext, twice.proof)
    with pytest.raises(Conflict):
        send_answers(here, "bank-b", own, own)


def test_an_answer_outside_of_its_bounds_has_its_bank_s_name_on_it(here: Place, subject: str) -> None:
    """Even past a node that checks no proof (here: the naive build of it) the sum is refused, and each answer can be opened."""
    asked, cheat = put(here, subject), here.responders["bank-d"]
    here.answer("bank-d")
    key = asked.key.key.public
    large = encode_ciphertext(key.encrypt(1 << 90, draw_exponent()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("crypto.paillier.bounded._verify", lambda *_: None)
        honest = answer_of(cheat, asked)
        assert send_answers(here, "bank-d", own_answer(cheat, asked, large, honest.proof)) == ("",)
    with pytest.raises(Damaged, match="not bounded"):
        asked.finish(asked.close())
    before = len(alarms_of(here))
    opened = demand(here, asked, "bank-b")
    assert (opened.state, opened.amount, opened.counted) == ("holds", OWED, True)
    lied = demand(here, asked, "bank-d")
    assert lied.state == "false"
    assert len(alarms_of(here)) == before + 1
    assert alarms_of(here)[0].institution == "bank-d"


def test_an_answer_opens_to_one_amount_only(here: Place, subject: str) -> None:
    asked, bank = put(here, subject), here.responders["bank-b"]
    here.answer()
    asked.finish(asked.close())
    auditor = here.pair.office.client("office/audit")
    body = DemandOpening(question=asked.question.id, bank="bank-b", reason="a complaint")
    auditor.logged("/exposures/demands", body, Empty)
    wrong = OpenAnswer(question=asked.question.id, amount=1, counted=True, exponent=secrets.token_bytes(32), salt=bytes(32))
    bank._bank.office.logged("/exposures/openings", wrong, Empty)
    path = f"/exposures/{asked.question.id}/demands"
    [found] = auditor.logged(path, Empty(), OpeningDemands).answer.demands
    assert (found.state, found.amount) == ("false", 0)


def demand(here: Place, asked: Opened, bank: str) -> OpeningDemand:
    """An auditor demands an answer, the bank's service opens it; what the auditor then reads."""
    auditor = here.pair.office.client("office/audit")
    body = DemandOpening(question=asked.question.id, bank=bank, reason="the sum was out of bounds")
    auditor.logged("/exposures/demands", body, Empty)
    assert here.responders[bank].open_demanded() == 1
    found = auditor.logged(f"/exposures/{asked.question.id}/demands", Empty(), OpeningDemands).answer.demands
    return next(one for one in found if one.bank == bank)


# -------------------------------------------------------------------- the bank that asks


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


# -------------------------------------------------------------------- the node


def _forged(here: Place, tally: Signed, **changes: object) -> Signed:
    said = wire.decode(tally.payload, ExposureTally)
    return here.pair.app.state.node.sign(wire.replace(said, **changes))  # type: ignore[no-any-return]


@pytest.mark.parametrize("what", ["answer", "sum"])
def test_a_swapped_ciphertext_is_found_before_the_sum_goes_out(here: Place, subject: str, what: str) -> None:
    """Naive: without the office's own product, the asker decrypts whatever the node has put there."""
    asked = put(here, subject)
    here.answer()
    key = asked.key.key.public
    swapped = encode_ciphertext(key.encrypt(1 + (1 << 64), draw_exponent()))
    assert asked.key.key.decrypt(swapped) == 1 + (1 << 64)
    with here.pair.engine.begin() as connection:
        if what == "answer":
            mine = (ExposureAnswerRow.question == asked.question.id, ExposureAnswerRow.bank == "bank-b")
            connection.execute(update(ExposureAnswerRow).where(*mine).values(ciphertext=swapped))
    tally = asked.close()
    if what == "sum":
        with here.pair.engine.begin() as connection:
            connection.execute(update(ExposureRow).where(ExposureRow.id == asked.question.id).values(sum=swapped))
        tally = _forged(here, tally, sum=hashlib.sha256(swapped).digest())
    before = len(alarms_of(here))
    with pytest.raises(Damaged):
        asked.released(tally)
    assert len(alarms_of(here)) == before + 1


def test_the_node_cannot_ask_a_question_of_its_own(here: Place, subject: str) -> None:
    """A question that the office has not signed is not answered, nor one whose address the office has not sealed."""
    asked, bank = put(here, subject), here.responders["bank-b"]
    node = here.pair.app.state.node
    assert bank._answer_one(node.sign(asked.question)) is None
    other = put(here, f"s{next(_numbers)}")
    moved = here.pair.office.office.sign(wire.replace(asked.question, address=other.question.address))
    assert bank._answer_one(moved) is None
    assert bank._answer_one(asked.leave.question) is not None
