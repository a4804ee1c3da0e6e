"""Attack: bring rows into a cohort that were never evaluated, that nobody consented to, or that single somebody out.

A malicious bank returns tags of its own making, repeats rows, sends the node elements that the office never accepted, and
asks for a cohort that is all but the same as an earlier one. It succeeds with one evaluation or one cohort too many.

The naive build, kept below, is a node that does not compare cohorts: it takes the one that leaves a single person out.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import sharing_node.alignment
import sharing_node.office
from audit.verifier.merkle import leaf_hash, root_of
from bank_client.alignment import _Alignment
from bank_client.job_journal import JobJournal
from bank_client.session import Bank
from crypto import cells
from crypto.voprf import Blinded
from models import wire
from models.alignment import AlignmentEvaluated as Evaluated
from models.alignment import AlignmentFiled, AlignmentStatement, Cohort, EvaluateAlignment, MatchTags
from models.problems import CohortRefused, Problem
from models.wire import Signed
from sharing_node.state import repository as state
from tests.attacks.stage import BOB, JOINT, ROWS, WITHOUT, Stage, in_turn, stage
from tests.office.world import blind_of
from tests.services import MODELLER

pytestmark = pytest.mark.attack

NAME = "alignment"
FULL_COUNT = 1_000


# ---------------------------------------------------------------------- what the bank sends


def attack_alignment(stage: Stage, kind: str, rng: random.Random) -> None:
    before, evaluated = stage.pair.logged(), stage.evaluated["evaluations"]
    reason, send = ALIGNMENTS[kind]
    with stage.pair.bank(MODELLER) as bank, pytest.raises(Problem, match=reason) as caught:
        send(stage, bank, rng)
    assert stage.evaluated["evaluations"] == evaluated, f"{kind}: the node evaluated"
    refused = [leaf for leaf in stage.pair.leaves(before) if leaf["outcome"] == "refused"]
    assert [leaf["problem"] for leaf in refused] == [caught.value.slug()], kind


def evaluate(bank: Bank, statement: Signed, elements: list[bytes], project: str = JOINT) -> Evaluated:
    request = EvaluateAlignment(statement=statement, elements=b"".join(elements))
    return bank.node.logged(f"/projects/{project}/alignment/evaluate", request, Evaluated).answer


def filed(bank: Bank, rng: random.Random, count: int = 5) -> tuple[Signed, list[bytes]]:
    """A few customers as the office accepted them."""
    customers = [f"opaque:c{n:04d}" for n in rng.sample(range(ROWS - WITHOUT), count)]
    answer, accepted = file(bank, customers)
    return answer.statement, [bytes(blinded.element) for _, blinded in accepted]


def file(bank: Bank, subjects: list[str]) -> tuple[AlignmentFiled, list[tuple[str, Blinded]]]:
    """The bank's own first half of a chunk."""
    with JobJournal.of(bank.config.data_dir, "attack").held() as journal:
        done = _Alignment(bank, JOINT, journal).file("chunk", subjects)
        journal.forget()
    return done


def one_more(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """An element that the office never saw, of a person without a modelling consent, after the accepted ones."""
    statement, elements = filed(bank, rng)
    evaluate(bank, statement, [*elements, bytes(blind_of(BOB)[1])])


def one_for_another(stage: Stage, bank: Bank, rng: random.Random) -> None:
    statement, elements = filed(bank, rng)
    evaluate(bank, statement, [*elements[:-1], bytes(blind_of(BOB)[1])])


def without_a_consent(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The office leaves out who gave no modelling consent; the bank sends that element nevertheless."""
    willing, unwilling = "opaque:c0001", f"opaque:c{ROWS - 1 - rng.randrange(WITHOUT):04d}"
    answer, accepted = file(bank, [willing, unwilling])
    assert [subject for subject, _ in accepted] == [willing]
    assert answer.refused == {"no-consent": 1}
    evaluate(bank, answer.statement, [bytes(accepted[0][1].element), bytes(blind_of(unwilling)[1])])


def own_statement(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The bank states for itself what the office accepted."""
    elements = [bytes(blind_of(BOB)[1])]
    stated = AlignmentStatement(
        project=JOINT, bank="bank-a", root=root_of(map(leaf_hash, elements)), count=1, expires=stage.world.now + 600
    )
    evaluate(bank, wire.sign(stated, "office", stage.world.keys[MODELLER]), elements)


def over(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The office's word, but past its time."""
    elements = [bytes(blind_of(BOB)[1])]
    stated = AlignmentStatement(
        project=JOINT, bank="bank-a", root=root_of(map(leaf_hash, elements)), count=1, expires=stage.world.now - 1
    )
    evaluate(bank, wire.sign(stated, "office", stage.world.office.keys.statement), elements)


def element_twice(stage: Stage, bank: Bank, rng: random.Random) -> None:
    elements = [bytes(blind_of(BOB)[1])] * 2
    stated = AlignmentStatement(
        project=JOINT, bank="bank-a", root=root_of(map(leaf_hash, elements)), count=2, expires=stage.world.now + 600
    )
    evaluate(bank, wire.sign(stated, "office", stage.world.office.keys.statement), elements)


def match(bank: Bank, tags: list[bytes]) -> Cohort:
    return bank.node.logged(f"/projects/{JOINT}/alignment/match", MatchTags(tags=b"".join(tags)), Cohort).answer


def rows_of(stage: Stage) -> list[bytes]:
    """The honest cohort's tags in their one order."""
    return sorted(stage.tags[subject] for subject in stage.cohort.subjects)


def never_evaluated(stage: Stage, bank: Bank, rng: random.Random) -> None:
    tags = rows_of(stage)
    tags[rng.randrange(len(tags))] = rng.randbytes(32)
    match(bank, sorted(tags))


def published_as_tag(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The hash that the node published in the place of the tag behind it."""
    tags = rows_of(stage)
    place = rng.randrange(len(tags))
    tags[place] = cells.published(tags[place])
    match(bank, sorted(tags))


def row_twice(stage: Stage, bank: Bank, rng: random.Random) -> None:
    tags = rows_of(stage)
    one, other = rng.sample(range(len(tags)), 2)
    tags[one] = tags[other]
    match(bank, sorted(tags))


def in_another_order(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The same rows under another root would draw the noise of every answer anew."""
    tags = rows_of(stage)
    match(bank, rng.sample(tags, len(tags)))


def too_few(stage: Stage, bank: Bank, rng: random.Random) -> None:
    match(bank, sorted(rng.sample(rows_of(stage), rng.randint(0, 999))))


DIFFERENCE = "a cohort that differs in 1 to 49 rows"
NOT_ACCEPTED = "not the elements that the office accepted"
ALIGNMENTS: dict[str, tuple[str, Callable[[Stage, Bank, random.Random], None]]] = {
    "one element more": (NOT_ACCEPTED, one_more),
    "one element for another": (NOT_ACCEPTED, one_for_another),
    "an id without modelling consent": (NOT_ACCEPTED, without_a_consent),
    "a statement of its own": ("does not verify", own_statement),
    "a statement past its time": ("has expired", over),
    "an element twice": ("an element stands twice", element_twice),
    "a tag never evaluated": ("belongs to no eligible subject", never_evaluated),
    "a published hash as tag": ("belongs to no eligible subject", published_as_tag),
    "a row twice": ("a row stands twice", row_twice),
    "rows in another order": ("ascending", in_another_order),
    "a cohort that is too small": ("at least 1000 are needed", too_few),
}


def cohorts(stage: Stage) -> list[set[str]]:
    with stage.pair.engine.connect() as connection:
        return [set(cohort.subjects) for cohort in state.all_cohorts(connection)]


def attack_by_difference(stage: Stage, rng: random.Random) -> None:
    """The cohort without 1 to 49 rows of the bank's choice: refused, or apart from every earlier one by the node's choice."""
    earlier, before, tags = cohorts(stage), stage.pair.logged(), rows_of(stage)
    with stage.pair.bank(MODELLER) as bank, suppress(CohortRefused):
        match(bank, sorted(rng.sample(tags, len(tags) - rng.randint(1, 49))))
    for made in cohorts(stage)[len(earlier) :]:
        assert all(len(made ^ other) >= 50 for other in earlier), "two cohorts tell a few people apart"
    assert [leaf["action"] for leaf in stage.pair.leaves(before)] == ["align.match"]


# ---------------------------------------------------------------------- the naive build


def naive_node_lets_one_row_out(stage: Stage) -> bool:
    """A node that does not compare cohorts: the one without Alice's neighbour tells what that row adds."""
    with patch.object(sharing_node.alignment, "SMALLEST_DIFFERENCE", 0), stage.pair.bank(MODELLER) as bank:
        return match(bank, rows_of(stage)[:-1]).rows == stage.cohort.rows - 1


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Mount `count` attacks, spread over all kinds; AssertionError if one succeeds, or if the naive build withstands."""
    rng, refused = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="xinqiao-alignment-") as folder, stage(Path(folder) / "stage") as made:
        for kind in in_turn([*ALIGNMENTS, DIFFERENCE], count, rng):
            if kind == DIFFERENCE:
                attack_by_difference(made, rng)
            else:
                attack_alignment(made, kind, rng)
            refused[kind] += 1
        with made.pair.bank(MODELLER) as bank:
            assert match(bank, rows_of(made)).id == made.cohort.id, "the same rows again are the same cohort"
        assert naive_node_lets_one_row_out(made), "the naive build must take a cohort without one row"
    return {"refused": dict(refused), "refused_total": refused.total(), "naive_takes_one_row_less": True}


def test_no_row_that_was_not_evaluated_and_consented() -> None:
    assert len(campaign(2 * len(ALIGNMENTS) + 2, 20_250_101)["refused"]) == len(ALIGNMENTS) + 1
