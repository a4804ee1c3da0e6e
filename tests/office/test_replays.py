"""Proven inputs: a whole training against a running office, honest and tampered with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from audit.service.leaves import LeafDraft, finish
from audit.verifier.checkpoint import Checkpoint, sign_checkpoint
from audit.verifier.merkle import leaf_hash, prove_inclusion, root_of
from audit.verifier.proof import Receipt as Proof
from crypto.xof import session_seed
from models import wire
from models.logged import Empty
from models.privacy import PlannedPrivacy
from models.problems import (
    BadMessage,
    BadSignature,
    Conflict,
    Forbidden,
    InputsRefused,
    NotFound,
    OverBudget,
    Suspended,
    Unavailable,
)
from models.projects import ProjectKind, Target
from models.scorecard import schemes
from models.scorecard.inputs import Opening as BankOpening
from models.training import (
    Column,
    FieldPlan,
    FileInputs,
    GroupTerms,
    JobPlan,
    Opening,
    Receipt,
    Replay,
    ReplayRound,
    RoundInputs,
    RoundTranscript,
    Verdict,
    session_of,
)
from models.wire import Signed, pack
from tests.models.scorecard_job import Cohort, Job, cohort
from tests.office.test_manifests import alarms
from tests.office.world import World

ROWS = 1_500


@pytest.fixture(scope="module")
def lab(world: World) -> World:
    world.project("joint", kind=ProjectKind.JOINT_SCORECARD)
    return world


@pytest.fixture(scope="module")
def made() -> Cohort:
    return cohort(7, ROWS, bank_fields=2)


def to_wire(opening: BankOpening, job: str, round_: int) -> Opening:
    columns = tuple(
        Column(codes=v.codes.tobytes(), levels=tuple(map(int, v.levels)), bound=v.bound, scale=v.scale) for v in opening.vectors
    )
    return Opening(job=job, round=round_, rows=opening.labels.size, columns=columns, seed=opening.seed)


@dataclass
class Run:
    """One training: the bank talks to the office for real; the node is the role itself, signing and logging."""

    world: World
    made: Cohort
    subjects: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    project: str = "joint"
    privacy: PlannedPrivacy | None = None

    def __post_init__(self) -> None:
        self.job = secrets.token_hex(8)
        self.roles = Job.of(self.made, privacy=self.privacy)
        plan = self.roles.plan
        self.plan = self.world.by_node(
            JobPlan(
                job=self.job,
                project=self.project,
                rows=plan.rows,
                cohort_root=self.subjects,
                subjects=self.subjects,
                fields=tuple(FieldPlan(name=f"n{j}", bins=bins) for j, bins in enumerate(plan.bins)),
                bands=20,
                label_aggregates=plan.label_aggregates,
                privacy=self.privacy,
            )
        )
        self.rounds: list[ReplayRound] = []

    def opening(self, round_: int) -> Opening:
        return to_wire(self.roles.bank.opening(round_), self.job, round_)

    def file(self, opening: Opening, **changes: Any) -> Signed:
        message = wire.replace(FileInputs(plan=self.plan, opening=opening), **changes)
        return self.world.modeller.logged("/replays/inputs", message, Signed).answer

    def play(self, attack: Any = None) -> Run:
        """Both rounds; `attack(step, round, message)` may replace "b, p", "w" or "moments" on their way to the node."""
        change = attack or (lambda _step, _round, message: message)
        for round_ in (1, 2):
            inputs = self.file(self.opening(round_))
            said = wire.decode(inputs.payload, RoundInputs)
            nonces = secrets.token_bytes(32), secrets.token_bytes(32)
            seed = session_seed(session_of(self.job, round_), *nonces)
            self.roles.node.open_round(seed, [vector.hmac for vector in said.vectors])
            self.roles.bank.open_round(seed)
            h, c = self.roles.node.respond(*change("b, p", round_, self.roles.bank.encrypt()))
            w, moments = self.roles.bank.answer(h, c)
            digests = self.roles.node.receive(change("w", round_, w), change("moments", round_, moments))
            shape = self.roles.plan.shape(round_)
            transcript = self.world.by_node(
                RoundTranscript(
                    job=self.job,
                    round=round_,
                    inputs=inputs.digest(),
                    nonce_node=nonces[0],
                    nonce_bank=nonces[1],
                    columns=shape.columns,
                    column_scale=shape.column_scale,
                    column_bound=shape.column_bound,
                    rows=shape.rows,
                    product=digests.product,
                    answer=digests.answer,
                    response=digests.response,
                    moments=digests.moments,
                    node_commitments=(),
                )
            )
            self.rounds.append(
                ReplayRound(
                    opening=self.opening(round_),
                    h=pack(h),
                    c=pack(c),
                    transcript=transcript,
                    receipt=self.receipt(transcript),
                )
            )
        return self

    def receipt(self, transcript: Signed, *, cosigned: bool = True) -> Receipt:
        """A receipt of the node's log for a leaf that names the transcript."""
        draft = LeafDraft("round.close", {"job": self.job, "transcript": transcript.digest()})
        entries = [finish(draft, institution="bank-a", at=1, who={}).entry, b"another", b"and another"]
        hashes = [leaf_hash(entry) for entry in entries]

        def node_at(level: int, index: int) -> bytes:
            return root_of(hashes[index << level : (index + 1) << level])

        signer = self.world.node_log
        checkpoint = Checkpoint(signer.key.name, 3, root_of(hashes))
        note = sign_checkpoint(checkpoint, signer)
        if cosigned:
            note += self.world.office.witness_signer().cosign(checkpoint.text, 1)
        proof = Proof(0, tuple(prove_inclusion(0, 3, node_at)), note)
        return Receipt(index=0, entry=entries[0], proof=str(proof))

    def replay(self, *rounds: ReplayRound) -> Verdict:
        message = Replay(plan=self.plan, rounds=rounds or tuple(self.rounds))
        signed = self.world.modeller.logged("/replays", message, Signed).answer
        return wire.open_signed(signed, Verdict, "office", self.world.office.keys.statement.public_key())


def test_an_honest_training_is_usable_and_nothing_of_it_is_kept(lab: World, made: Cohort) -> None:
    run = Run(lab, made).play()
    verdict = run.replay()
    assert (verdict.usable, verdict.reason) == (True, "")
    assert verdict.transcripts == tuple(round_.transcript.digest() for round_ in run.rounds)
    with pytest.raises(Conflict):
        run.replay()
    labels, codes = made.labels.tobytes(), run.rounds[1].opening.columns[1].codes
    stored = b"".join(file.read_bytes() for file in lab.office.settings.data_dir.glob("office.sqlite*"))
    assert labels not in stored
    assert codes not in stored
    assert run.rounds[0].opening.seed not in stored


def flip_word(message: Any) -> Any:
    arrays = message if isinstance(message, tuple) else (message,)
    changed = [array.copy() for array in arrays]
    changed[0].flat[0] += 1
    return tuple(changed) if isinstance(message, tuple) else changed[0]


@pytest.mark.attack
@pytest.mark.parametrize(("step", "round_"), [("b, p", 1), ("w", 1), ("b, p", 2), ("w", 2), ("moments", 2)])
def test_a_message_that_was_not_made_from_the_filed_inputs(lab: World, made: Cohort, step: str, round_: int) -> None:
    run = Run(lab, made)
    run.play(lambda at, number, message: flip_word(message) if (at, number) == (step, round_) else message)
    verdict = run.replay()
    assert not verdict.usable
    assert f"ound {round_}" in verdict.reason
    assert alarms(lab)[0].about == run.job
    assert lab.leaves()[-2]["facts"]["usable"] is False


@pytest.mark.attack
def test_vectors_opened_afterwards_must_be_those_filed_before(lab: World, made: Cohort) -> None:
    run = Run(lab, made).play()
    first = run.rounds[0]
    labels = bytearray(first.opening.columns[0].codes)
    labels[0] ^= 1
    columns = (wire.replace(first.opening.columns[0], codes=bytes(labels)),)
    lied = wire.replace(first, opening=wire.replace(first.opening, columns=columns))
    verdict = run.replay(lied, run.rounds[1])
    assert not verdict.usable
    assert "filed before" in verdict.reason


@pytest.mark.attack
def test_evidence_that_is_none_is_no_replay(lab: World, made: Cohort) -> None:
    run = Run(lab, made).play()
    one, two = run.rounds
    forged = wire.sign(wire.decode(one.transcript.payload, RoundTranscript), "node", lab.keys["bank-a/mo"])
    unlogged = wire.replace(one.receipt, entry=one.receipt.entry + b" ")
    other = Run(lab, made).play()
    cases = [
        (BadSignature, (wire.replace(one, transcript=forged), two)),
        (BadSignature, (wire.replace(one, receipt=unlogged), two)),
        (BadSignature, (wire.replace(one, receipt=run.receipt(one.transcript, cosigned=False)), two)),
        (BadMessage, (wire.replace(one, receipt=two.receipt), two)),
        (BadMessage, (wire.replace(one, transcript=other.rounds[0].transcript), two)),
        (BadMessage, (wire.replace(one, h=one.h[:-8]), two)),
        (BadMessage, (two, one)),
        (BadMessage, (one,)),
    ]
    for problem, rounds in cases:
        with pytest.raises(problem):
            run.replay(*rounds)
    assert run.replay().usable


def recode(opening: Opening, place: int, **changes: Any) -> Opening:
    columns = list(opening.columns)
    columns[place] = wire.replace(columns[place], **changes)
    return wire.replace(opening, columns=tuple(columns))


@pytest.mark.attack
def test_inputs_that_are_refused_before_the_round(lab: World, made: Cohort) -> None:
    run = Run(lab, made)
    one, two = run.opening(1), run.opening(2)
    codes = np.frombuffer(two.columns[1].codes, np.uint8).copy()
    rare = codes.copy()
    rare[:10] = codes.max() + 1
    few_bad = np.zeros(ROWS, np.uint8)
    few_bad[:60] = 1
    levels = two.columns[1].levels
    almost = np.frombuffer(two.columns[0].codes, np.uint8).copy()
    almost[:7] ^= 1
    cases: list[tuple[type[Exception], Opening]] = [
        (InputsRefused, recode(one, 0, levels=(0, 2))),
        (InputsRefused, recode(one, 0, bound=8)),
        (InputsRefused, recode(one, 0, codes=few_bad.tobytes())),
        (InputsRefused, recode(one, 0, codes=bytes([2]) * ROWS)),
        (InputsRefused, recode(two, 1, codes=rare.tobytes(), levels=(*levels, 77))),
        (InputsRefused, recode(two, 1, levels=(9 * 1024, *levels[1:]))),
        (InputsRefused, recode(two, 1, bound=-1)),
        (InputsRefused, recode(two, 1, codes=almost.tobytes(), levels=(-100, 100))),
        (BadMessage, recode(two, 1, levels=(1 << 63, *levels[1:]))),
        (BadMessage, recode(two, 1, codes=codes[:-1].tobytes())),
        (BadMessage, recode(two, 1, levels=())),
        (BadMessage, wire.replace(one, seed=bytes(31))),
        (BadMessage, wire.replace(one, round=3)),
        (BadMessage, wire.replace(one, job="another")),
        (BadMessage, wire.replace(one, columns=two.columns)),
    ]
    for problem, opening in cases:
        with pytest.raises(problem):
            run.file(opening)


def test_a_scheme_that_cannot_be_replayed_is_told_before_a_round(
    lab: World, made: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(lab, made)
    plan = wire.replace(wire.decode(run.plan.payload, JobPlan), scheme="paillier")
    several = wire.replace(plan, group=GroupTerms(group="g", banks=("bank-a", "bank-b"), columns=(), largest_rows=ROWS))
    with pytest.raises(InputsRefused, match="only LWE adds"):
        run.file(run.opening(1), plan=lab.by_node(several))
    with monkeypatch.context() as without:
        without.setattr(schemes, "find_spec", lambda _name: None)
        with pytest.raises(Unavailable, match="under Paillier") as refused:
            run.file(run.opening(1), plan=lab.by_node(plan))
    assert "xinqiao[paillier]" in refused.value.next_step
    run.file(run.opening(1), plan=lab.by_node(plan))


@pytest.mark.attack
def test_labels_stay_the_same_and_are_few(lab: World, made: Cohort) -> None:
    run = Run(lab, made)
    first = run.file(run.opening(1))
    assert run.file(run.opening(1)) == first
    with pytest.raises(Conflict):
        run.file(wire.replace(run.opening(1), seed=bytes(32)))
    labels = np.frombuffer(run.opening(2).columns[0].codes, np.uint8).copy()
    labels[:100] ^= 1
    with pytest.raises(InputsRefused):
        run.file(recode(run.opening(2), 0, codes=labels.tobytes()))
    one, two = (wire.decode(run.file(run.opening(n)).payload, RoundInputs) for n in (1, 2))
    assert one.vectors[0].hmac == two.vectors[0].hmac
    assert one.vectors[0].commitment != two.vectors[0].commitment
    for number in range(1, 6):
        again = Run(lab, made, run.subjects)
        again.file(again.opening(1))  # the same labels are no new ones
        labels = made.labels.copy()
        labels[: 100 * number] ^= 1
        if number < 5:
            other = Run(lab, made, run.subjects)
            other.file(recode(other.opening(1), 0, codes=labels.tobytes()))
    sixth = Run(lab, made, run.subjects)
    with pytest.raises(OverBudget):
        sixth.file(recode(sixth.opening(1), 0, codes=labels.tobytes()))


def test_a_training_is_its_banks_own(lab: World, made: Cohort) -> None:
    run = Run(lab, made)
    with pytest.raises(NotFound):
        run.replay()  # nothing was filed
    with pytest.raises(Forbidden):
        lab.client("bank-b/mo").logged("/replays/inputs", FileInputs(plan=run.plan, opening=run.opening(1)), Signed)
    forged = wire.sign(wire.decode(run.plan.payload, JobPlan), "node", lab.keys["bank-a/mo"])
    with pytest.raises(BadSignature):
        run.file(run.opening(1), plan=forged)


def test_a_suspended_project_trains_no_further(lab: World, made: Cohort) -> None:
    run = Run(lab, made)
    suspend = Target(kind="project", id="joint", suspended=True, reason="complaint")
    lab.clerk.logged("/suspensions", suspend, Empty)
    try:
        with pytest.raises(Suspended):
            run.file(run.opening(1))
    finally:
        lab.clerk.logged("/suspensions", wire.replace(suspend, suspended=False), Empty)
    run.file(run.opening(1))
