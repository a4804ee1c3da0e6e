"""What a session believes: promises and receipts under the log's key, statements under their signer's, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier.checkpoint import Checkpoint
from audit.verifier.errors import LogError, SignatureError
from audit.verifier.merkle import leaf_hash, node_hash
from audit.verifier.note import CosignatureSigner, NoteSigner
from audit.verifier.promise import Promise, sign_promise
from audit.verifier.proof import Receipt as LogReceipt
from bank_client.config import make_key
from bank_client.session import Bank, Peer
from models import wire
from models.http_client import SignedClient
from models.logged import LeafRef
from models.problems import BadSignature, Damaged
from models.tables import Evidence
from models.tickets import Ticket, TicketContext
from models.training import Receipt
from tests.bank.test_config import SEED, SETTINGS, load

LOG = NoteSigner.from_seed("some.example/log", SEED)
OTHER_LOG = NoteSigner.from_seed("some.example/log", bytes(32))
WITNESS = CosignatureSigner.from_seed("some.example/witness", bytes(32))
ENTRIES = (b"first", b"second")


def peer() -> Peer:
    client = SignedClient("http://127.0.0.1:9", "bank-a/liu", Ed25519PrivateKey.generate())
    return Peer("node", client, LOG.key, (WITNESS.key,))


def leaf(index: int = 1, entry: bytes = ENTRIES[1], signer: NoteSigner = LOG, said: int | None = None) -> LeafRef:
    promise = sign_promise(Promise("some.example/log", index if said is None else said, leaf_hash(entry), 1), signer)
    return LeafRef(index=index, leaf_hash=leaf_hash(entry), promise=promise)


def receipt(entry: bytes = ENTRIES[1], *, cosigned: bool = True, signer: NoteSigner = LOG, index: int = 1) -> Receipt:
    root = node_hash(*map(leaf_hash, ENTRIES))
    text = Checkpoint("some.example/log", 2, root, ()).text
    note = f"{text}\n{signer.sign(text)}" + (WITNESS.cosign(text, 5) if cosigned else "")
    proof = LogReceipt(index, (leaf_hash(ENTRIES[0]),), note)
    return Receipt(index=index, entry=entry, proof=str(proof))


def test_a_promise_must_be_the_logs_own_and_for_this_leaf() -> None:
    peer().verify_promise(leaf())
    for wrong in (
        leaf(signer=OTHER_LOG),
        leaf(said=2),
        wire.replace(leaf(), leaf_hash=bytes(32)),
        wire.replace(leaf(), promise=b""),
    ):
        with pytest.raises(Damaged):
            peer().verify_promise(wrong)


def test_a_receipt_must_be_cosigned_and_for_the_promised_leaf() -> None:
    peer().verify_receipt(leaf(), receipt())
    with pytest.raises(SignatureError, match="witnesses must have cosigned"):
        peer().verify_receipt(leaf(), receipt(cosigned=False))
    for wrong in (receipt(b"other"), receipt(signer=OTHER_LOG), receipt(index=0)):
        with pytest.raises(LogError):
            peer().verify_receipt(leaf(), wrong)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    settings = SETTINGS.replace(":8700", ":9").replace(":8701", ":9")
    config = load(tmp_path, settings)
    make_key(config.key_file)
    return Bank(config)


def test_only_the_offices_key_speaks_for_the_office(bank: Bank) -> None:
    context = TicketContext(
        bank="bank-a", officer="bank-a/liu", purpose="p", project="p1", table="t", epoch=1, expires=1, nonce=bytes(16)
    )
    ticket = Ticket(element=bytes(32), context=context, consent=bytes(32))
    office = Ed25519PrivateKey.from_private_bytes(SEED)
    assert bank.from_office(wire.sign(ticket, "office", office), Ticket) == ticket
    for wrong in (
        wire.sign(ticket, "node", office),
        wire.sign(ticket, "office", Ed25519PrivateKey.generate()),
        bank.sign(ticket),
    ):
        with pytest.raises(BadSignature):
            bank.from_office(wrong, Ticket)


def test_damage_is_kept_even_when_the_office_cannot_be_told(bank: Bank) -> None:
    with pytest.raises(Damaged, match=r"The office could not be told") as raised:
        bank.damaged("column", "one answer does not match", table="check-1", epoch=3, artefacts=(b"bytes",))
    [kept] = (bank.config.data_dir / "evidence").iterdir()
    assert str(kept) in raised.value.next_step
    evidence = wire.decode(kept.read_bytes(), Evidence)
    assert (evidence.what, evidence.table, evidence.epoch, evidence.artefacts) == ("column", "check-1", 3, (b"bytes",))


def test_phases_add_up_and_count_both_services(bank: Bank) -> None:
    for _ in range(2):
        with bank.phase("align"):
            bank.node.client.traffic.up += 5
            bank.office.client.traffic.down += 7
    phase = bank.phases["align"]
    assert (phase.bytes_up, phase.bytes_down) == (10, 14)
    assert phase.seconds >= 0


def test_no_secret_is_shown(bank: Bank) -> None:
    for shown in (repr(bank), repr(bank.node), repr(bank.config)):
        assert bank._key.private_bytes_raw().hex() not in shown
