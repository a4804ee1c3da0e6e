"""A bank's book for exposure checks: what each borrower owes, found by the tags of the office's present epoch.

The book is a CSV file of the bank's own: a column of ids, one of amounts owed (yuan, rounded to whole ones), and perhaps one
named ``consented``, where 0 keeps a borrower out. Lines of one borrower add up. Tags are asked of the office once an epoch,
with the ids blinded, and kept in the data folder (mode 0600), so that a restart asks for none twice.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bank_client.session import Bank
from crypto.errors import CryptoError
from crypto.paillier.bounded import MOST_AMOUNT
from crypto.voprf import VoprfClient
from models.durable import write_private
from models.exposure import BorrowerTags, ExposureEpoch, ExposureQuestion, TagBorrowers, tag_of
from models.spreadsheets import csv_text
from models.wire import Signed, split

BORROWERS_A_REQUEST = 10_000
AMOUNT, CONSENTED = "amount", "consented"
_NONCE_BYTES = 12


class BookError(ValueError):
    """A book that cannot be read; the message names line and column, never an id or an amount."""


def read_book(file: Path, canonical: Callable[[str], str], id_column: str, amount_column: str = AMOUNT) -> dict[str, int]:
    """What each borrower owes, whole yuan above 0, by canonical id, from a CSV file; raises `BookError`."""
    owed: dict[str, Decimal] = {}
    try:
        text = csv_text(file.read_bytes(), file.name)
    except ValueError as error:
        raise BookError(str(error)) from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for name in (id_column, amount_column):
        if name not in (reader.fieldnames or ()):
            raise BookError(f"{file.name} has no column {name}; there are {', '.join(reader.fieldnames or ())}")
    for number, row in enumerate(reader, 2):
        try:
            amount = Decimal((row[amount_column] or "").strip())
            subject = canonical(row[id_column] or "")
        except InvalidOperation:
            raise BookError(f"{file.name}, line {number}: {amount_column} is no number") from None
        except ValueError as error:
            raise BookError(f"{file.name}, line {number}: {error}") from None
        if not amount.is_finite() or amount < 0:
            raise BookError(f"{file.name}, line {number}: {amount_column} is negative or no number")
        if (row.get(CONSENTED) or "1").strip() != "0":
            owed[subject] = owed.get(subject, Decimal(0)) + amount
    whole = {subject: int(amount.quantize(Decimal(1), ROUND_HALF_UP)) for subject, amount in owed.items()}
    if any(amount > MOST_AMOUNT for amount in whole.values()):
        raise BookError(f"{file.name}: a borrower owes more than {MOST_AMOUNT:,} yuan, which is more than a check carries")
    return {subject: amount for subject, amount in whole.items() if amount}


class _Kept(msgspec.Struct):
    """What is kept of an epoch: the key that opens addresses, and tags by id."""

    address_key: bytes
    tags: dict[str, bytes]


@dataclass(frozen=True)
class Book:
    """What this bank answers in one epoch. `found` opens a question's address and looks the tag up."""

    epoch: ExposureEpoch
    owed: dict[bytes, int] = field(repr=False)
    address_key: bytes = field(repr=False)

    def found(self, question: ExposureQuestion) -> int:
        """What whom the question is about owes here, in yuan; 0 where that is nobody in the book.

        Raises:
            BookError: the address is of another epoch, or was not sealed by the office.
        """
        nonce, sealed = question.address[:_NONCE_BYTES], question.address[_NONCE_BYTES:]
        try:
            if question.epoch != self.epoch.epoch:
                raise InvalidTag
            return self.owed.get(AESGCM(self.address_key).decrypt(nonce, sealed, question.id.encode()), 0)
        except (InvalidTag, ValueError):
            raise BookError("a question's address does not open under this epoch's key") from None


def present_epoch(bank: Bank) -> ExposureEpoch:
    """The office's word on the present epoch."""
    return bank.from_office(bank.office.get("/exposures/epoch", Signed), ExposureEpoch)


def tag_book(bank: Bank, owed: dict[str, int]) -> Book:
    """The book under the present epoch's tags; those that are not kept from before are asked of the office.

    Raises:
        Problem: the office refused, e.g. `OverBudget`.
        Damaged: the office did not evaluate under the epoch's key.
    """
    epoch = present_epoch(bank)
    folder = bank.config.data_dir / "exposure"
    file = folder / f"tags-{epoch.epoch}.msgpack"
    kept = msgspec.msgpack.decode(file.read_bytes(), type=_Kept) if file.exists() else _Kept(b"", {})
    new = sorted(owed.keys() - kept.tags.keys())
    # Where nobody is owed by anybody, one made-up id brings the key that opens addresses.
    batches = [new[start : start + BORROWERS_A_REQUEST] for start in range(0, len(new), BORROWERS_A_REQUEST)]
    for batch in batches or ([] if kept.address_key else [["nobody"]]):
        answer, tags = _evaluated(bank, epoch, batch)
        kept = _Kept(answer.address_key, kept.tags | tags)
        write_private(file, msgspec.msgpack.encode(kept))
    for old in folder.glob("tags-*.msgpack"):
        if old != file:
            old.unlink()
    return Book(epoch, {kept.tags[subject]: amount for subject, amount in owed.items()}, kept.address_key)


def ends_in(book: Book) -> float:
    """Seconds until the tags of a book are over."""
    return book.epoch.expires_at - time.time()


def _evaluated(bank: Bank, epoch: ExposureEpoch, subjects: Iterable[str]) -> tuple[BorrowerTags, dict[str, bytes]]:
    inputs = [subject.encode() for subject in subjects]
    client = VoprfClient(epoch.public_key)
    blinded = client.blind_many(inputs)
    request = TagBorrowers(epoch=epoch.epoch, elements=b"".join(one.element for one in blinded))
    answer = bank.office.logged("/exposures/tags", request, BorrowerTags).answer
    evaluated = list(zip(split(answer.evaluated, 32, "evaluated"), split(answer.proofs, 64, "proofs"), strict=False))
    try:
        outputs = client.finalize_many(inputs, blinded, evaluated)
    except CryptoError as error:
        bank.damaged("exposure", f"the office did not evaluate under the epoch's key: {error}", epoch=epoch.epoch)
    return answer, {one.decode(): tag_of(y, epoch.epoch) for one, y in zip(inputs, outputs, strict=True)}
