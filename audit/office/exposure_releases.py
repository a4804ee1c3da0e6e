"""The office's word on a sum of exposures, and answers that it has opened. Messages and leakage: `models.exposure`.

Before a sum goes out the office has seen for itself that

(1) each answer is signed by a bank's own enrolled answering service, one a bank, none by the bank that asks;
(2) at least three banks have answered;
(3) the sum is the product of just those ciphertexts that the banks have signed, blinded anew: it fetches them from the node,
    holds their digests against the signatures and multiplies them itself;
(4) no sums and differences of this one and earlier ones about this subject for this bank leave one or two banks: they would be
    those banks' answers;
(5) the subject's consents and the project stand as they did when leave was given.

A ciphertext stands for one amount only (`crypto.paillier.key_proof`), so that what is signed of it is a commitment. The office
may demand that a bank open it; what does not open to it is a lie with its bank's name on it, and raises an alarm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from sqlalchemy import Connection

from audit.office.office import OFFICE_KEY_ID, Office
from audit.office.store import alarms, consents, exposures, parties, projects
from audit.office.store.exposures import OPEN, Stored
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from crypto.errors import CryptoError
from models.exposure import (
    EXPONENT_BYTES,
    FEWEST_ANSWERS,
    SALT_BYTES,
    DemandOpening,
    ExposureAnswer,
    ExposureParts,
    ExposureRelease,
    ExposureTally,
    OpenAnswer,
    OpeningDemands,
    ReleaseExposure,
    committed,
)
from models.http_client import SignedClient
from models.logged import Empty
from models.parties import InstitutionKind, Person, Role
from models.problems import (
    BadMessage,
    BadSignature,
    Conflict,
    Damaged,
    Forbidden,
    NoConsent,
    NotFound,
    PeerUnavailable,
    ReleaseRefused,
    Suspended,
    TooFewBanks,
    Unusable,
)
from models.wire import Signed, decode, encode, open_signed, split

DAY = 24 * 3600
MOST_REASON = 400
CIPHERTEXT_BYTES = 768


class ExposureReleases:
    """Handlers of releases and demands."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def release(self, call: Call) -> Outcome:
        """POST /exposures/releases: leave for the asking bank to have a sum; answers with the signed `ExposureRelease`."""
        body: ReleaseExposure = call.body
        with call.engine.connect() as connection:
            stored = self._find(connection, body.id)
            if stored.bank != call.institution.id:
                raise Forbidden("this question is another bank's")
            responders = _responders(connection, stored.bank)
        tally = self._office.node_statement(body.tally, ExposureTally)
        if tally.question != stored.digest:
            raise BadMessage("this tally is of another question")
        if stored.tally not in {None, tally}:
            raise Conflict("another sum of this question was released before")
        answers = self._answers(tally, stored, responders)
        if len(answers) < FEWEST_ANSWERS:
            raise TooFewBanks(f"{len(answers)} banks have answered; a sum of fewer than {FEWEST_ANSWERS} is not released")
        banks = frozenset(answers)
        with call.engine.connect() as connection:
            self._check_standing(connection, stored, banks, call.now)
        if stored.tally is None:
            self._check_sum(call, body.tally, tally, stored, list(answers.values()))
        release = ExposureRelease(
            id=stored.id,
            question=stored.digest,
            sum=tally.sum,
            answered=tuple(sorted(banks)),
            missing=tuple(sorted(set(responders) - banks)),
        )

        def record(connection: Connection) -> None:
            # Once more, since another sum, or a revocation, may have come in between.
            exposures.one_at_a_time(connection, stored.subject, stored.bank)
            self._check_standing(connection, stored, banks, call.now)
            if stored.tally is None and not exposures.release(connection, stored.id, body.tally, release.answered, call.now):
                raise Conflict("the sum of this question was released at this moment; ask again for the office's word on it")

        signed = self._office.sign(release)
        facts = {"answered": len(banks), "missing": len(release.missing), "release": signed.digest()}
        return Outcome(signed, [LeafDraft("exposure.release", facts, {"question": stored.id})], record)

    def demand(self, call: Call) -> Outcome:
        """POST /exposures/demands: an auditor has a bank's answer opened."""
        body: DemandOpening = call.body
        if not 1 <= len(body.reason.strip()) <= MOST_REASON:
            raise Unusable(f"a demand has a reason of at most {MOST_REASON} characters")
        with call.engine.connect() as connection:
            stored = self._find(connection, body.question)
        if body.bank not in stored.answered:
            raise NotFound("no released sum of this question has an answer of this bank")

        def record(connection: Connection) -> None:
            exposures.demand(connection, stored.id, body.bank, body.reason, call.person.id, call.now)

        opening = {"question": stored.id, "bank": body.bank, "reason": body.reason}
        return Outcome(Empty(), [LeafDraft("exposure.demand", {}, opening)], record)

    def pending(self, call: Call) -> OpeningDemands:
        """GET /exposures/demands: what this bank's answering service shall open."""
        with call.engine.connect() as connection:
            return OpeningDemands(demands=exposures.demands(connection, bank=call.institution.id, state=OPEN))

    def demanded(self, call: Call) -> Outcome:
        """POST /exposures/{id}/demands: an auditor reads what was opened; logged, since amounts are in it."""
        with call.engine.connect() as connection:
            found = exposures.demands(connection, question=self._find(connection, call.path["id"]).id)
        leaf = LeafDraft("exposure.opened", {"count": len(found)}, {"question": call.path["id"]})
        return Outcome(OpeningDemands(demands=found), [leaf])

    def open(self, call: Call) -> Outcome:
        """POST /exposures/openings: a bank opens its answer; one that does not fit what it signed raises an alarm."""
        body: OpenAnswer = call.body
        bank = call.institution.id
        with call.engine.connect() as connection:
            stored = self._find(connection, body.question)
            if not any(one.state == OPEN for one in exposures.demands(connection, question=stored.id, bank=bank)):
                raise NotFound("the office has not demanded this answer, or it was opened before")
        assert stored.tally is not None, "only answers of released sums are demanded"
        signed = next(one for one in stored.tally.answers if _bank_of(one) == bank)
        holds = _holds(stored, decode(signed.payload, ExposureAnswer), body)
        amount, counted = (body.amount, body.counted) if holds else (0, False)

        def record(connection: Connection) -> None:
            if not exposures.settle(connection, stored.id, bank, holds=holds, amount=amount, counted=counted):
                raise Conflict("this answer was opened before")
            if not holds:
                detail = "an opened answer to an exposure check is not what the bank had signed"
                _alarm(connection, call.now, bank, stored.id, detail, encode(signed) + encode(body))

        opening = {"question": stored.id, "holds": holds}
        return Outcome(Empty(), [LeafDraft("exposure.open", {"holds": holds}, opening)], record)

    # ---------------------------------------------------------------- what is checked

    @staticmethod
    def _find(connection: Connection, question_id: str) -> Stored:
        stored = exposures.find(connection, question_id)
        if stored is None:
            raise NotFound("there is no such question")
        return stored

    @staticmethod
    def _answers(tally: ExposureTally, stored: Stored, responders: dict[str, list[Person]]) -> dict[str, ExposureAnswer]:
        """(1) The answers by bank, in the tally's order; raises `BadMessage` or `BadSignature`."""
        answers: dict[str, ExposureAnswer] = {}
        for signed in tally.answers:
            bank = _bank_of(signed)
            person = next((one for one in responders.get(bank, ()) if one.id == signed.signer), None)
            if person is None or bank in answers:
                raise BadMessage("an answer is by no bank that was asked, or a second one of the same bank")
            answer = open_signed(signed, ExposureAnswer, person.id, person.public_key())
            if (answer.bank, answer.question) != (bank, stored.digest):
                raise BadSignature("an answer is to another question, or speaks for another bank")
            answers[bank] = answer
        return answers

    def _check_standing(self, connection: Connection, stored: Stored, banks: frozenset[str], now: int) -> None:
        """(4) and (5); raises `ReleaseRefused`, `NoConsent` or `Suspended`."""
        days = self._office.settings.exposure_memory_days
        earlier = exposures.released_since(connection, stored.subject, stored.bank, now - days * DAY)
        if singles_out([*earlier, banks]):
            raise ReleaseRefused(
                "with earlier sums about this subject this one would show the answers of one or two banks",
                advice=f"Ask when the same banks answer, or after {days} days.",
            )
        if consents.count_unrevoked(connection, stored.consents) != len(stored.consents):
            raise NoConsent("a consent that this question was asked on has been revoked since")
        project = projects.get_project(connection, stored.project)
        if project is None or project.suspended:
            raise Suspended("this project is suspended by the credit office")

    def _check_sum(self, call: Call, said: Signed, tally: ExposureTally, stored: Stored, answers: list[ExposureAnswer]) -> None:
        """(3) Fetch the ciphertexts and multiply them; a mismatch leaves an alarm and the node's word as evidence."""
        from crypto.paillier.arithmetic import EXPONENT_BITS, PublicKey, encode_ciphertext

        settings = self._office.settings
        if not settings.node_url:
            raise PeerUnavailable("the office does not know where the node is", advice="Set XINQIAO_OFFICE_NODE_URL.")
        with SignedClient(settings.node_url, OFFICE_KEY_ID, self._office.keys.service) as client:
            parts = client.get(f"/exposures/{stored.id}/parts", ExposureParts)
        try:
            ciphertexts = split(parts.ciphertexts, CIPHERTEXT_BYTES, "ciphertexts")
            salts = split(parts.salts, SALT_BYTES, "salts")
            made = [committed(*one) for one in zip(salts, ciphertexts, strict=False)]
            if len(ciphertexts) != len(answers) or made != [answer.commitment for answer in answers]:
                raise Damaged("the node added other ciphertexts than the banks have signed")
            key = PublicKey.decode(stored.question.key)
            total = key.add(key.ciphertext(one) for one in ciphertexts)
            exponent = int.from_bytes(parts.exponent)
            if len(parts.exponent) != EXPONENT_BYTES or exponent.bit_length() != EXPONENT_BITS + 1:
                raise Damaged("the node's blinding exponent is not of the length that blinds a sum")
            blinded = encode_ciphertext(key.rerandomise(total, exponent))
            if hashlib.sha256(blinded).digest() != tally.sum:
                raise Damaged("the node's sum is not that of the banks' answers")
        except (Damaged, CryptoError) as error:
            detail = str(error)

            def attach(connection: Connection, _queue_id: int) -> None:
                _alarm(connection, call.now, "node", stored.id, detail, encode(said) + encode(parts))

            raise Refused(Damaged(f"this sum is not released: {detail}"), attach=attach) from None


def singles_out(sums: Sequence[frozenset[str]]) -> bool:
    """Whether a combination of sums, each over the banks of a set, is one of fewer than three banks' answers alone."""
    if len(set(sums)) == 1:
        return False
    banks = sorted(frozenset().union(*sums))
    members = np.array([[bank in one for bank in banks] for one in sums], dtype=np.float64)
    rank = np.linalg.matrix_rank(members)
    fewest = min(FEWEST_ANSWERS - 1, len(banks))
    return any(np.linalg.matrix_rank(np.delete(members, few, axis=1)) < rank for few in combinations(range(len(banks)), fewest))


def _responders(connection: Connection, but: str) -> dict[str, list[Person]]:
    """The answering services of all other banks that take part, by bank."""
    standing = {bank.id for bank in parties.institutions(connection, InstitutionKind.BANK) if not bank.suspended} - {but}
    found: dict[str, list[Person]] = {}
    for person in parties.people(connection, Role.RESPONDER):
        if person.institution in standing and not person.suspended:
            found.setdefault(person.institution, []).append(person)
    return found


def _bank_of(signed: Signed) -> str:
    return signed.signer.split("/", maxsplit=1)[0]


def _holds(stored: Stored, answer: ExposureAnswer, opened: OpenAnswer) -> bool:
    from crypto.paillier.arithmetic import PublicKey
    from crypto.paillier.bounded import MOST_AMOUNT, ciphertext_of

    exponent = int.from_bytes(opened.exponent)
    if not 0 <= opened.amount <= MOST_AMOUNT or opened.counted != (opened.amount > 0) or not 0 < exponent < 1 << 512:
        return False
    made = ciphertext_of(PublicKey.decode(stored.question.key), opened.amount, opened.counted, exponent)
    return committed(opened.salt, made) == answer.commitment


def _alarm(connection: Connection, now: int, institution: str, question: str, detail: str, evidence: bytes) -> None:
    alarms.raise_alarm(
        connection,
        at=now,
        kind="exposure",
        institution=institution,
        about=f"exposure check {question}",
        detail=detail,
        evidence=evidence,
    )
