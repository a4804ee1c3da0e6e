"""Exposure check (多头借贷): what one consented applicant owes at all other banks together, and at how many of them.

::

    asking bank            office                       node                        every other bank
                                                                                    once an epoch: B = r·P of each borrower
                           k·B, DLEQ proofs, the address key  <────────────────────
    fresh Paillier key
    ── subject, context, ──> consents, project, budgets,
       key, its proof        the key's proof
    <─ ticket, question ──── the question: key, address (the tag, sealed), no name of who asks
    ── ticket, question ─────────────────────────────> leaf, then open
                                                       ── question ───────────────> whose tag? amount and 1, or 0 and 0
                                                       <── ciphertext, proof that ── (an encryption of zero looks the same)
                                                           it is bounded, signed
                                                       proofs, one answer a bank
    ── close ────────────────────────────────────────> the product of the answers, blinded anew
    <─ tally: the answers' digests, digest of the sum ─
    ── tally ──────────────> signatures, at least three
                             answers; fetches the answers' ciphertexts and multiplies them itself
    <─ release ─────────────
    ── release ──────────────────────────────────────> leaf, cosigned; then
    <─ the sum ───────────────────────────────────────
    decrypts: sum + 2^64 · count

Amounts are whole yuan below 2^32; a bank that answers anything else is refused (`crypto.paillier.bounded`). A ciphertext stands
for one amount only and is committed to under signature, so that the office can have it opened later and a false one is its
bank's. What each side learns stands in `LEAKAGE`, which node and office sign with every sum.
"""

from __future__ import annotations

import hashlib

from models.tickets import TicketContext
from models.wire import Message, Signed

TABLE = "exposure"
"""What stands for a table in the contexts of these questions, and for a field set in consents."""
FEWEST_ANSWERS = 3
MOST_AT_ONCE = 64
"""Questions that one look gives, and answers that one request takes."""
TAG_BYTES = 32
SALT_BYTES = 32
EXPONENT_BYTES = 64
"""Of a blinding exponent, big-endian."""
_TAG_LABEL = b"xinqiao/exposure/tag/v1/"
_ANSWER_LABEL = b"xinqiao/exposure/answer/v1/"

LEAKAGE = (
    "The asking bank learns the sum, the number of banks where the applicant owes, and which banks answered and which did not; "
    "not which bank owes what. Together with all but one of those that answered it learns that one's amount; two banks that "
    "ask about one applicant and put their sums together may learn it of a bank that answered only one of them.",
    "A bank that is asked learns that somebody asks about one of its own borrowers, or that the question is about nobody it "
    "knows; not who asks, as far as the order of leaves in the public logs does not tell.",
    "The data node learns that a bank asked, for what purpose and when, and which banks answered; not about whom, and no "
    "amount.",
    "The credit office learns who asks about whom and why, and how many borrowers each bank tags; no amount, unless it has an "
    "answer opened, which is logged. Together with the asking bank it could open the answers it adds up.",
)


def tag_of(output: bytes, epoch: int) -> bytes:
    """The tag (32 bytes) of a subject: of its OPRF output (64 bytes) under the office's key of the epoch."""
    return hashlib.sha256(_TAG_LABEL + epoch.to_bytes(8) + output).digest()


class ExposureEpoch(Message):
    """The office's word on the present tags: their OPRF key, and until when questions carry them (POSIX seconds)."""

    epoch: int
    opened_at: int
    expires_at: int
    public_key: bytes


class TagBorrowers(Message):
    """A bank has blinded ids of its borrowers evaluated: 32 bytes each."""

    epoch: int
    elements: bytes


class BorrowerTags(Message):
    """k·B (32 bytes each) and DLEQ proofs (64 bytes each) in the order of the request, and the key that opens addresses."""

    epoch: int
    evaluated: bytes
    proofs: bytes
    address_key: bytes


class AskExposure(Message):
    """A loan officer's question: the subject, the context, a fresh Paillier key (9,600 bytes) and the proof of its form."""

    subject: str
    context: TicketContext
    key: bytes
    key_proof: bytes
    approval: Signed | None = None


class ExposureQuestion(Message):
    """What every other bank is shown, signed by the office: nothing in it says who asks. `address` seals the subject's tag."""

    id: str
    epoch: int
    key: bytes
    address: bytes
    expires: int


class ExposureTicket(Message):
    """What the node is shown, signed by the office: who may ask the question of this digest, and why."""

    context: TicketContext
    question: str
    consent: bytes


class ExposureLeave(Message):
    """The office's answer: ticket and question, each signed."""

    ticket: Signed
    question: Signed


class OpenExposure(Message):
    """A ticket (kind `ExposureTicket`) to be spent at the node, and its question."""

    ticket: Signed
    question: Signed


class ExposureState(Message):
    """How far a question is: how many banks were asked, and how many have answered. It may be closed when `complete`."""

    id: str
    asked: int
    answered: int
    deadline: int
    complete: bool


class QuestionsSoFar(Message):
    """How many questions the node has ever relayed: a bank that saw as many before need not ask for what waits."""

    count: int


class OpenQuestions(Message):
    """Questions (kind `ExposureQuestion`) that wait for an answer of this bank."""

    questions: tuple[Signed, ...]


def committed(salt: bytes, ciphertext: bytes) -> bytes:
    """What a bank signs of a ciphertext, 32 bytes; `salt` are 32 random bytes that the asking bank is never shown.

    Without it the tally would give the asker digests of ciphertexts under a key of its own making, whose blinding factors it
    may have chosen to be few: it could guess each of them open.
    """
    return hashlib.sha256(_ANSWER_LABEL + salt + ciphertext).digest()


class ExposureAnswer(Message):
    """What a bank signs: the question's digest, and of its ciphertext `committed`, by which it can be held to it."""

    question: str
    bank: str
    commitment: bytes


class FileAnswer(Message):
    """One answer: the signed statement, salt (32 bytes) and ciphertext (768), and the proof that it is bounded."""

    answer: Signed
    salt: bytes
    ciphertext: bytes
    proof: bytes


class FileAnswers(Message):
    """The answers of a bank to several questions."""

    answers: tuple[FileAnswer, ...]


class AnswersTaken(Message):
    """In the order of the answers: empty where one was taken, else the problem's short name."""

    problems: tuple[str, ...]


class ExposureTally(Message):
    """The node's word on a closed question: each answer as it was signed, the digest of their sum, what each side learns."""

    question: str
    answers: tuple[Signed, ...]
    sum: bytes
    leakage: tuple[str, ...] = LEAKAGE


class ExposureParts(Message):
    """What the office multiplies itself: salts and ciphertexts in the order of the answers, and what blinds the sum."""

    salts: bytes
    ciphertexts: bytes
    exponent: bytes


class ReleaseExposure(Message):
    """The asking bank asks for the office's leave to have the sum: the tally, as the node signed it."""

    id: str
    tally: Signed


class ExposureRelease(Message):
    """The office's word that a sum may go out: of which banks it is, which banks are missing, and what each side learns."""

    id: str
    question: str
    sum: bytes
    answered: tuple[str, ...]
    missing: tuple[str, ...]
    leakage: tuple[str, ...] = LEAKAGE


class ExposureSum(Message):
    """The sum of the answers, 768 bytes under the asking bank's key."""

    sum: bytes


class DemandOpening(Message):
    """The office wants an answer opened: the question's id, the bank that gave it, and why."""

    question: str
    bank: str
    reason: str


class AskExposureAsked(Message):
    """The exposure check behind an access, by the access's number."""

    access: int


class OpeningDemand(Message):
    """A demand as it stands: ``open``, ``holds`` or ``false``. Of one that holds, the amount (yuan) that was answered."""

    question: str
    bank: str
    at: int
    reason: str
    state: str
    amount: int = 0
    counted: bool = False


class OpeningDemands(Message):
    """Demands, oldest first."""

    demands: tuple[OpeningDemand, ...]


class ExposureAsked(Message):
    """A question as the office keeps it: which banks' answers are in the released sum (none before), and what was demanded."""

    question: str
    bank: str
    asked_at: int
    released_at: int
    answered: tuple[str, ...]
    demands: tuple[OpeningDemand, ...]


class OpenAnswer(Message):
    """What a bank's answer was made of: amount, whether it was counted, the blinding exponent (big-endian) and the salt."""

    question: str
    amount: int
    counted: bool
    exponent: bytes
    salt: bytes
