"""Exposure checks at the node: a question is opened, answered, closed, and its sum handed out. Messages: `models.exposure`.

What goes into a sum was signed by the bank's enrolled service, is a ciphertext in range, and is proven to hold a bounded amount
(`crypto.paillier.bounded`): no answer can be negative or wrap, whoever sent it. A question ends at its deadline: a bank that is
down is missing in the tally, and the sum is that of the others. No leaf names a question together with who asks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from crypto.errors import CryptoError
from models.exposure import (
    EXPONENT_BYTES,
    FEWEST_ANSWERS,
    MOST_AT_ONCE,
    SALT_BYTES,
    AnswersTaken,
    ExposureAnswer,
    ExposureParts,
    ExposureQuestion,
    ExposureRelease,
    ExposureState,
    ExposureSum,
    ExposureTally,
    ExposureTicket,
    FileAnswer,
    FileAnswers,
    OpenExposure,
    OpenQuestions,
    QuestionsSoFar,
    committed,
)
from models.parties import Role
from models.problems import (
    BadElement,
    BadMessage,
    BadTicket,
    Conflict,
    Forbidden,
    NotApproved,
    NotFound,
    Problem,
    Suspended,
    TooFewBanks,
)
from models.wire import open_signed
from sharing_node.exposure import repository
from sharing_node.exposure.repository import Answer, Asked, State
from sharing_node.node import Node

if TYPE_CHECKING:
    from crypto.paillier.arithmetic import PublicKey

KEPT_SECONDS = 24 * 3600
"""Answers to a question that was over and whose sum nobody came for."""


@dataclass(frozen=True, repr=False)
class _Judged:
    """One answer that was looked at: what it is to be stored as, or the problem that refused it."""

    digest: str
    question_id: str = ""
    answer: Answer | None = None
    problem: Problem | None = None


class ExposureChecks:
    """The handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node

    # ---------------------------------------------------------------- the asking bank

    def open(self, call: Call) -> Outcome:
        """POST /exposures: a ticket is spent, and its question is put to every other bank that answers."""
        body: OpenExposure = call.body
        ticket = self._node.office.statement(body.ticket, ExposureTicket)
        question = self._node.office.statement(body.question, ExposureQuestion)
        context = ticket.context
        if (context.bank, context.officer) != (call.institution.id, call.person.id):
            raise BadTicket("this ticket was given to another bank or person")
        if ticket.question != body.question.digest():
            raise BadTicket("this ticket is for another question")
        if context.expires <= call.now:
            raise BadTicket("this ticket has expired")
        if self._node.office.project_suspended(context.project):
            raise Suspended("the project of this ticket is suspended by the credit office")
        asked = self._node.office.banks_with(Role.RESPONDER) - {context.bank}
        if len(asked) < FEWEST_ANSWERS:
            raise TooFewBanks(f"only {len(asked)} other banks answer exposure checks, and {FEWEST_ANSWERS} are needed")
        deadline = call.now + self._node.settings.exposure_seconds

        def record(connection: Connection) -> None:
            try:
                repository.find(connection, question.id)
            except NotFound:
                pass
            else:
                raise BadTicket("this ticket was spent before")
            repository.erase_old(connection, call.now - KEPT_SECONDS)
            facts = {"ticket": body.ticket.digest(), "project": context.project, "bank": context.bank}
            repository.add(connection, body.question, question, asked, **facts, deadline=deadline, opened_at=call.now)

        public = {"table": context.table, "epoch": context.epoch, "purpose": context.purpose, "project": context.project}
        leaf = LeafDraft("exposure.ask", {**public, "ticket": body.ticket.digest()}, {"question": question.id})
        state = ExposureState(id=question.id, asked=len(asked), answered=0, deadline=deadline, complete=False)
        return Outcome(state, [leaf], record)

    def state(self, call: Call) -> ExposureState:
        """GET /exposures/{id}: how many banks have answered so far."""
        with call.engine.connect() as connection:
            asked = self._own(connection, call)
            answered = repository.count(connection, asked.question.id)
        complete = answered >= len(asked.asked) or call.now >= asked.deadline
        return ExposureState(
            id=asked.question.id, asked=len(asked.asked), answered=answered, deadline=asked.deadline, complete=complete
        )

    def close(self, call: Call) -> Callable[[Connection], Outcome]:
        """POST /exposures/{id}/close: the answers are added up and blinded anew; answers with the signed `ExposureTally`."""
        from crypto.paillier.arithmetic import draw_exponent, encode_ciphertext

        exponent = draw_exponent()

        def within(connection: Connection) -> Outcome:
            asked = self._own(connection, call)
            key = _key(asked.question.key)
            repository.move(connection, asked.question.id, State.OPEN, state=State.CLOSED)
            answers = repository.answers(connection, asked.question.id)
            if len(answers) < len(asked.asked) and call.now < asked.deadline:
                raise Conflict("banks may still answer; close the question when all have, or at its deadline")
            if len(answers) < FEWEST_ANSWERS:
                raise TooFewBanks(
                    f"{len(answers)} of {len(asked.asked)} banks have answered; fewer than {FEWEST_ANSWERS} are not added up"
                )
            total = key.add(key.ciphertext(answer.ciphertext) for answer in answers)
            blinded = encode_ciphertext(key.rerandomise(total, exponent))
            stored = {"exponent": exponent.to_bytes(EXPONENT_BYTES), "sum": blinded}
            repository.move(connection, asked.question.id, State.CLOSED, **stored)
            digest = hashlib.sha256(blinded).digest()
            tally = ExposureTally(question=asked.digest, answers=tuple(answer.signed for answer in answers), sum=digest)
            facts = {"ticket": asked.ticket, "asked": len(asked.asked), "answered": len(answers), "sum": digest.hex()}
            return Outcome(self._node.sign(tally), [LeafDraft("exposure.close", facts)])

        return within

    def release(self, call: Call) -> Outcome:
        """POST /exposures/{id}/release: the sum, on the office's word, under a cosigned checkpoint."""
        release = self._node.office.statement(call.body, ExposureRelease)
        with call.engine.connect() as connection:
            asked = self._own(connection, call)
        if asked.sum is None or (release.id, release.question) != (asked.question.id, asked.digest):
            raise NotApproved("the office has released another sum than this one")
        if release.sum != hashlib.sha256(asked.sum).digest():
            raise NotApproved("the office has released another sum than this one")

        def record(connection: Connection) -> None:
            if asked.state is not State.RELEASED:
                repository.move(connection, asked.question.id, State.CLOSED, state=State.RELEASED)
            repository.erase(connection, asked.question.id)

        leaf = LeafDraft("exposure.release", {"ticket": asked.ticket, "release": call.body.digest()})
        return Outcome(ExposureSum(sum=asked.sum), [leaf], record, cosigned=True)

    # ---------------------------------------------------------------- the banks that answer

    def so_far(self, _path: dict[str, str]) -> QuestionsSoFar:
        """GET /exposures/count: a look that costs little, before the signed one."""
        with self._node.engine.connect() as connection:
            return QuestionsSoFar(count=repository.so_far(connection))

    def waiting(self, call: Call) -> OpenQuestions:
        """GET /exposures: what waits for an answer of this bank."""
        with call.engine.connect() as connection:
            return OpenQuestions(questions=tuple(repository.waiting_for(connection, call.institution.id, call.now)))

    def answer(self, call: Call) -> Outcome:
        """POST /exposures/answers: each good one is stored, with a leaf of its own; a bad one is refused without the others."""
        body: FileAnswers = call.body
        if not 1 <= len(body.answers) <= MOST_AT_ONCE:
            raise BadMessage(f"1 to {MOST_AT_ONCE} answers are taken at once")
        with call.engine.connect() as connection:
            judged = [self._judge(connection, call, filed) for filed in body.answers]
        good = [one for one in judged if one.answer is not None]
        if len({one.question_id for one in good}) != len(good):
            raise Conflict("a bank answers a question once")

        def record(connection: Connection) -> None:
            for one in good:
                assert one.answer is not None
                # Whoever closes the question waits for this, or has been before.
                repository.move(connection, one.question_id, State.OPEN, state=State.OPEN)
                if repository.has_answered(connection, one.question_id, one.answer.bank):
                    raise Conflict("a bank answers a question once")
                repository.put(connection, one.question_id, one.answer, call.now)

        problems = tuple("" if one.problem is None else one.problem.slug() for one in judged)
        return Outcome(AnswersTaken(problems=problems), [_leaf(one) for one in judged], record, brief=True)

    def _judge(self, connection: Connection, call: Call, filed: FileAnswer) -> _Judged:
        from crypto.paillier.bounded import verify_bounded

        digest, bank = filed.answer.digest(), call.institution.id
        try:
            answer = open_signed(filed.answer, ExposureAnswer, call.person.id, call.person.public_key())
            asked = repository.by_digest(connection, answer.question)
            if answer.bank != bank or bank not in asked.asked:
                raise Forbidden("this question was not put to this bank")
            if asked.state is not State.OPEN or call.now >= asked.deadline:
                raise Conflict("this question is closed")
            if repository.has_answered(connection, asked.question.id, bank):
                raise Conflict("a bank answers a question once")
            if len(filed.salt) != SALT_BYTES or committed(filed.salt, filed.ciphertext) != answer.commitment:
                raise BadMessage("the ciphertext is not the one that was signed")
            context = f"{answer.question}/{bank}".encode()
            verify_bounded(_key(asked.question.key), filed.ciphertext, filed.proof, context)
        except CryptoError as error:
            return _Judged(digest, problem=BadElement(str(error)))
        except Problem as problem:
            return _Judged(digest, problem=problem)
        return _Judged(digest, asked.question.id, Answer(bank, filed.answer, filed.salt, filed.ciphertext))

    # ---------------------------------------------------------------- the office

    def parts(self, call: Call) -> ExposureParts:
        """GET /exposures/{id}/parts: what the office multiplies itself, before it lets the sum go out."""
        with call.engine.connect() as connection:
            asked = repository.find(connection, call.path["id"])
            answers = repository.answers(connection, asked.question.id)
        if asked.state is not State.CLOSED or asked.exponent is None or not answers:
            raise Conflict("this question is not closed, its sum was released, or nobody came for it in time")
        return ExposureParts(
            salts=b"".join(answer.salt for answer in answers),
            ciphertexts=b"".join(answer.ciphertext for answer in answers),
            exponent=asked.exponent,
        )

    @staticmethod
    def _own(connection: Connection, call: Call) -> Asked:
        asked = repository.find(connection, call.path["id"])
        if asked.bank != call.institution.id:
            raise NotFound("there is no such question")
        return asked


@lru_cache(maxsize=64)
def _key(encoded: bytes) -> PublicKey:
    """All answers to a question are under one key, whose powers are worth keeping while they come in."""
    from crypto.paillier.arithmetic import PublicKey

    return PublicKey.decode(encoded)


def _leaf(judged: _Judged) -> LeafDraft:
    if judged.problem is None:
        return LeafDraft("exposure.answer", {"answer": judged.digest})
    problem = judged.problem
    opening = {"answer": judged.digest, "detail": problem.detail}
    return LeafDraft("exposure.answer", {}, opening, outcome="refused", problem=problem.slug())
