"""Attacks on exposure checks by a bank that answers and by the node that adds; those of the bank that asks stand beside.

Criterion: each is refused where it would do harm, or names who did it; and on the naive build of the same step, kept beside
each test, it succeeds: `phe` as it comes, answers without a bound or without blinding, a sum that nobody multiplies anew.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterator

import pytest
from phe import paillier as naive
from sqlalchemy import update

from crypto.errors import InvalidCiphertext
from crypto.paillier import CIPHERTEXT_BYTES, PublicKey
from crypto.paillier.arithmetic import draw_exponent, encode_ciphertext
from crypto.paillier.bounded import encrypt_bounded
from models import wire
from models.exposure import (
    EXPONENT_BYTES,
    SALT_BYTES,
    DemandOpening,
    OpenAnswer,
    OpeningDemands,
)
from models.logged import Empty
from models.problems import (
    Conflict,
    Damaged,
)
from models.wire import Signed
from sharing_node.exposure.tables import ExposureAnswerRow, ExposureRow
from tests.attacks.exposure import OWED, alarms_of, demand, forged, own_answer, town
from tests.exposure.banks import Place, answer_of, put, send_answers

pytestmark = pytest.mark.attack


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with town(tmp_path_factory.mktemp("exposure")) as made:
        yield made


@pytest.fixture
def subject() -> str:
    return f"s{next(_numbers)}"


_numbers = iter(range(1, 40))


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
    served = forged(here, tally, sum=hashlib.sha256(zero).digest())
    with pytest.raises(Damaged):
        asked.released(served)


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
    with pytest.raises(Damaged, match="add up"):
        asked.finish(asked.close())
    before = len(alarms_of(here))
    opened = demand(here, asked, "bank-b")
    assert (opened.state, opened.amount, opened.counted) == ("holds", OWED, True)
    lied = demand(here, asked, "bank-d")
    assert lied.state == "false"
    assert len(alarms_of(here)) == before + 1
    assert alarms_of(here)[0].institution == "bank-d"


def test_an_amount_that_is_not_counted_is_found_when_it_is_opened(here: Place, subject: str) -> None:
    """Each part keeps its bound, yet a debt that is not counted spoils the sum of who owes nobody else."""
    asked, cheat = put(here, subject), here.responders["bank-d"]
    made = encrypt_bounded(asked.key.key.public, 5, False, f"{asked.digest}/bank-d".encode())
    assert send_answers(here, "bank-d", own_answer(cheat, asked, made.ciphertext, made.proof)) == ("",)
    here.answer()
    assert asked.finish(asked.close()).amount == OWED + 5
    auditor = here.pair.office.client("office/audit")
    body = DemandOpening(question=asked.question.id, bank="bank-d", reason="a complaint")
    auditor.logged("/exposures/demands", body, Empty)
    opening = OpenAnswer(
        question=asked.question.id,
        amount=5,
        counted=False,
        exponent=made.exponent.to_bytes(EXPONENT_BYTES),
        salt=bytes(SALT_BYTES),
    )
    cheat._bank.office.logged("/exposures/openings", opening, Empty)
    [found] = auditor.logged(f"/exposures/{asked.question.id}/demands", Empty(), OpeningDemands).answer.demands
    assert (found.state, found.amount) == ("false", 0)


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


# -------------------------------------------------------------------- the node


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
        tally = forged(here, tally, sum=hashlib.sha256(swapped).digest())
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
