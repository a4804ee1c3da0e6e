"""The witness: status codes of tlog-witness, persistence, rollback, forks; and the log that gets itself cosigned."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Sequence

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import MetaData

from audit.database import open_engine
from audit.log import Cosigner, Log
from audit.log.cosign import WitnessElsewhere, WitnessRefusal
from audit.log.http import log_router, witness_router
from audit.verifier.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.verifier.errors import LogUnavailable, ProofError, SignatureError
from audit.verifier.log_check import check_log
from audit.verifier.note import CosignatureSigner, NoteSigner, open_note
from audit.verifier.proof import verify_receipt
from audit.witness import Witness
from audit.witness.store import SqlWitnessStore, witness_tables
from tests.audit import reference
from tests.audit.logs import BANK, OFFICE, ORIGIN, SIGNER, TIMEOUT, cosigner, entries_of, make_log, put, running

KEYS = [SIGNER.key]


def make_witness(url: str, signer: CosignatureSigner = OFFICE, now: float = 1_700_000_000.0) -> Witness:
    return Witness(signer, {ORIGIN: KEYS}, make_store(url), clock=lambda: now)


def make_store(url: str) -> SqlWitnessStore:
    metadata = MetaData()
    tables = witness_tables(metadata)
    engine = open_engine(url)
    metadata.create_all(engine)
    return SqlWitnessStore(engine, tables)


@pytest.fixture
def witness(database_url: str) -> Witness:
    return make_witness(database_url)


def body(old: int, entries: Sequence[bytes], proof: Sequence[bytes] | None = None, note: str | None = None) -> bytes:
    hashes = proof if proof is not None else reference.proof(old, entries) if 0 < old < len(entries) else []
    lines = "".join(f"{base64.b64encode(value).decode()}\n" for value in hashes)
    return f"old {old}\n{lines}\n{note or reference.checkpoint_note(entries, SIGNER)}".encode()


def test_the_example_request_is_read() -> None:
    """tlog-witness, "add-checkpoint": the example body parses; its log is unknown, so 404."""
    example = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""
    witness = Witness(OFFICE, {ORIGIN: KEYS}, store=None)  # type: ignore[arg-type]
    assert witness.add_checkpoint(example.encode()).status == 404


def test_a_growing_log_is_cosigned(witness: Witness) -> None:
    assert witness.checkpoint(ORIGIN) is None
    for old, new in [(0, 0), (0, 1), (1, 5), (5, 5), (5, 300)]:
        reply = witness.add_checkpoint(body(old, entries_of(new)))
        assert reply.status == 200
        note = reference.checkpoint_note(entries_of(new), SIGNER) + reply.body
        signed = open_checkpoint(note, KEYS, [OFFICE.key], 1)
        assert signed.checkpoint.size == new
        assert signed.cosignatures[0].timestamp == 1_700_000_000
        assert witness.checkpoint(ORIGIN) == note
    assert witness.checkpoint("another") is None


def test_status_codes(witness: Witness) -> None:
    five, six = entries_of(5), entries_of(6)
    assert witness.add_checkpoint(body(0, five)).status == 200
    assert witness.add_checkpoint(b"").status == 400
    assert witness.add_checkpoint(b"\xff").status == 400
    assert witness.add_checkpoint(body(0, five).replace(b"old 0", b"old 00")).status == 400
    assert witness.add_checkpoint(body(5, six, [b"\0" * 32] * 64)).status == 400
    assert witness.add_checkpoint(body(6, five, [])).status == 400, "old size above the new one"
    stranger = NoteSigner.from_seed("log.example/stranger", b"?" * 32)
    assert witness.add_checkpoint(body(0, five, note=reference.checkpoint_note(five, stranger))).status == 404
    impostor = NoteSigner.from_seed(ORIGIN, b"?" * 32)
    assert witness.add_checkpoint(body(5, six, note=reference.checkpoint_note(six, impostor))).status == 403
    genuine = reference.checkpoint_note(six, SIGNER)
    forged = genuine.replace("\n6\n", "\n7\n")
    assert witness.add_checkpoint(body(5, six, note=forged)).status == 403
    conflict = witness.add_checkpoint(body(0, six))
    assert (conflict.status, conflict.body, conflict.content_type) == (409, "5\n", "text/x.tlog.size")
    assert witness.add_checkpoint(body(4, six)).status == 409
    assert witness.add_checkpoint(body(5, six, [])).status == 422
    assert witness.add_checkpoint(body(5, six, [b"\0" * 32] * 3)).status == 422
    assert witness.add_checkpoint(body(5, [b"other", *six[1:]])).status == 422, "a fork"
    assert witness.add_checkpoint(body(5, six)).status == 200, "none of this has moved it"


def test_the_empty_log(witness: Witness) -> None:
    wrong = sign_checkpoint(Checkpoint(ORIGIN, 0, b"\1" * 32), SIGNER)
    assert witness.add_checkpoint(body(0, [], note=wrong)).status == 422
    assert witness.add_checkpoint(body(0, entries_of(3), [b"\0" * 32])).status == 422, "no proof from nothing"
    assert witness.add_checkpoint(body(0, [])).status == 200


def test_rollback_is_refused_after_restart(database_url: str) -> None:
    first = make_witness(database_url, now=2000.0)
    assert first.add_checkpoint(body(0, entries_of(9))).status == 200
    again = make_witness(database_url, now=1000.0)
    rolled_back = again.add_checkpoint(body(0, entries_of(4)))
    assert (rolled_back.status, rolled_back.body) == (409, "9\n")
    assert again.add_checkpoint(body(9, entries_of(4), [])).status == 400
    reply = again.add_checkpoint(body(9, entries_of(12)))
    _, [cosignature] = open_note(reference.checkpoint_note(entries_of(12), SIGNER) + reply.body, [OFFICE.key])
    assert cosignature.timestamp == 2000, "a witness's time does not run back either"


def test_it_persists_before_it_cosigns(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A witness that dies while it cosigns remembers; the log asks again and gets the line."""
    witness = make_witness(database_url)

    def die(_seen: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(witness, "_cosignature", die)
    with pytest.raises(KeyboardInterrupt):
        witness.add_checkpoint(body(0, entries_of(7)))
    again = make_witness(database_url)
    assert again.add_checkpoint(body(0, [b"fork", *entries_of(6)])).body == "7\n"
    assert again.add_checkpoint(body(7, entries_of(7))).status == 200


def test_a_fork_is_kept_as_evidence(database_url: str) -> None:
    store = make_store(database_url)
    witness = Witness(OFFICE, {ORIGIN: KEYS}, store)
    assert witness.add_checkpoint(body(0, entries_of(5))).status == 200
    forked = reference.checkpoint_note([b"other", *entries_of(4)], SIGNER)
    for old, status in [(5, 422), (5, 422), (0, 409)]:
        reply = witness.add_checkpoint(body(old, entries_of(5), [], note=forked))
        assert reply.status == status
        assert reply.fork is not None
    [(seen, offered)] = store.forks(ORIGIN)
    heads = [open_checkpoint(note, KEYS).checkpoint for note in (seen, offered)]
    assert heads[0].size == heads[1].size
    assert heads[0].root != heads[1].root


def test_racing_requests_cannot_roll_back(database_url: str) -> None:
    """tlog-witness, at the end of "add-checkpoint": the race of A and B."""
    witness = make_witness(database_url)
    witness.add_checkpoint(body(0, entries_of(4)))
    statuses: list[tuple[int, int]] = []

    def ask(size: int) -> None:
        statuses.append((size, witness.add_checkpoint(body(4, entries_of(size))).status))

    threads = [threading.Thread(target=ask, args=(size,)) for size in range(5, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [size for size, status in statuses if status == 200]
    assert sorted(status for _, status in statuses) == [200, *[409] * 7]
    assert witness.add_checkpoint(body(0, entries_of(20))).body == f"{winner}\n"


def test_a_witness_has_a_key_of_its_own() -> None:
    own = CosignatureSigner("log.example/w", SIGNER._private_key)
    with pytest.raises(ValueError, match="own key"):
        Witness(own, {ORIGIN: KEYS}, store=None)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- the log's side


def test_the_log_is_cosigned_by_both(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("witnesses")
    office = make_witness(f"sqlite:///{folder}/office.db")
    bank = make_witness(f"sqlite:///{folder}/bank.db", BANK)
    log = make_log(database_url, witnesses=[OFFICE.key, BANK.key], quorum=2, required=[OFFICE.key])
    with running(log, cosigners=[cosigner(office), cosigner(bank)]):
        for number in range(3):
            [index] = put(log, [b"entry %d" % number])
            log.wait_cosigned(index, TIMEOUT)
            verify_receipt(log.receipt(index), b"entry %d" % number, KEYS, [OFFICE.key, BANK.key], 2)
        assert open_checkpoint(log.published(), KEYS, [OFFICE.key, BANK.key], 2).checkpoint.size == 3
    with running(log, cosigners=[cosigner(office), cosigner(bank)]):
        [index] = put(log, [b"after restart: the witnesses say where they are"])
        log.wait_cosigned(index, TIMEOUT)


def test_batches_share_a_round_unless_somebody_waits(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    office = cosigner(make_witness(f"sqlite:///{tmp_path_factory.mktemp('witness')}/office.db"))
    asked: list[bytes] = []

    def post(request: bytes) -> tuple[int, bytes]:
        asked.append(request)
        return office.post(request)

    log = make_log(database_url, witnesses=[OFFICE.key])
    with running(log, cosigners=[Cosigner(OFFICE.key, post)], cosign_seconds=600.0):
        for number in range(5):
            put(log, [b"entry %d" % number])
        assert not asked
        verify_receipt(log.receipt(4, TIMEOUT), b"entry 4", KEYS, [OFFICE.key], 1)
        assert len(asked) == 1
        verify_receipt(log.receipt(0, TIMEOUT), b"entry 0", KEYS, [OFFICE.key], 1)
        [index] = put(log, [b"a release"])
        log.wait_cosigned(index, TIMEOUT)
        assert len(asked) == 2
        with pytest.raises(ProofError):
            log.receipt(index + 1, TIMEOUT)


def test_the_office_must_cosign(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """While the office does not answer, nothing counts as cosigned; the last cosigned checkpoint stays published."""
    folder = tmp_path_factory.mktemp("witnesses")
    office = cosigner(make_witness(f"sqlite:///{folder}/office.db"))
    bank = cosigner(make_witness(f"sqlite:///{folder}/bank.db", BANK))
    reachable = True

    def post(request: bytes) -> tuple[int, bytes]:
        if not reachable:
            raise OSError("connection refused")
        return office.post(request)

    log = make_log(database_url, witnesses=[OFFICE.key, BANK.key], required=[OFFICE.key])
    with running(log, cosigners=[Cosigner(OFFICE.key, post), bank]):
        [first] = put(log, [b"first"])
        log.wait_cosigned(first, TIMEOUT)
        reachable = False
        [second] = put(log, [b"second"])
        with pytest.raises(LogUnavailable, match="witnesses"):
            log.wait_cosigned(second, 0.3)
        assert open_checkpoint(log.published(), KEYS).checkpoint.size == 1
        with pytest.raises(SignatureError):
            verify_receipt(log.receipt(second), b"second", KEYS, [OFFICE.key], 1)
        reachable = True
        log.wait_cosigned(second, TIMEOUT)
    verify_receipt(log.receipt(second), b"second", KEYS, [OFFICE.key], 1)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (409, b"7\n", WitnessElsewhere),
        (422, b"no\n", WitnessRefusal),
        (200, OFFICE.cosign("another text\n", 5).encode(), SignatureError),
        (200, BANK.cosign("text\n", 5).encode(), SignatureError),
    ],
)
def test_answers_of_a_witness_are_not_believed(status: int, answer: bytes, error: type[Exception]) -> None:
    ask = Cosigner(OFFICE.key, lambda _: (status, answer))
    with pytest.raises(error):
        ask(0, [], reference.checkpoint_note(entries_of(3), SIGNER))


def test_without_witnesses_nothing_is_ever_cosigned(database_url: str) -> None:
    log = make_log(database_url)
    with running(log):
        put(log, [b"entry"])
        with pytest.raises(LogUnavailable, match="no witness is configured"):
            log.wait_cosigned(0, 0.1)


# ---------------------------------------------------------------------- over HTTP


@pytest.fixture
def served(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, TestClient]:
    log = make_log(database_url)
    app = FastAPI()
    app.include_router(log_router(log))
    app.include_router(witness_router(make_witness(f"sqlite:///{tmp_path_factory.mktemp('w')}/w.db")))
    return log, TestClient(app)


def test_a_log_is_checked_over_http(served: tuple[Log, TestClient]) -> None:
    log, client = served
    assert client.get("/log/checkpoint").status_code == 503
    with running(log):
        put(log, entries_of(300))

    def fetch(path: str) -> bytes:
        answer = client.get(f"/log/{path}")
        if answer.status_code == 404:
            raise FileNotFoundError(path)
        assert answer.status_code == 200
        kind = "text/plain; charset=utf-8" if path == "checkpoint" else "application/octet-stream"
        assert answer.headers["content-type"] == kind
        assert ("immutable" in answer.headers["cache-control"]) == (path != "checkpoint")
        return answer.content

    assert check_log(fetch, KEYS).size == 300
    assert client.get("/log/tile/0/001.p/45").status_code == 404
    assert client.get("/log/tile/0/x000/001").status_code == 400
    assert client.get("/log/tile/entries/x999/x999/x999/x999/999").status_code == 404
    assert client.get("/log/tile/../checkpoint").status_code in {200, 400, 404}


def test_a_log_is_cosigned_over_http(served: tuple[Log, TestClient]) -> None:
    _, client = served
    log_entries = entries_of(5)
    reply = client.post("/witness/add-checkpoint", content=body(0, log_entries))
    assert reply.status_code == 200
    conflict = client.post("/witness/add-checkpoint", content=body(0, log_entries))
    assert (conflict.status_code, conflict.text) == (409, "5\n")
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    assert client.post("/witness/add-checkpoint", content=b"x" * (1 << 20) + b"x").status_code == 413
    origin = hashlib.sha256(ORIGIN.encode()).hexdigest()
    assert open_checkpoint(client.get(f"/witness/{origin}/checkpoint").text, KEYS, [OFFICE.key], 1)
    assert client.get(f"/witness/{'0' * 64}/checkpoint").status_code == 404
