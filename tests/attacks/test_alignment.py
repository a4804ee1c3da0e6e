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
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import sharing_node.alignment
import sharing_node.office
from audit.verifier.merkle import leaf_hash, root_of
from bank_client.alignment import _Alignment
from bank_client.session import Bank
from crypto import cells
from models import wire
from models.alignment import AlignmentEvaluated as Evaluated
from models.alignment import AlignmentStatement, Cohort, EvaluateAlignment, MatchTags
from models.problems import CohortRefused, Problem
from models.wire import Signed
from tests.attacks.stage import BOB, JOINT, ROWS, WITHOUT, Stage, in_turn, stage
from tests.office.world import blind_of
from tests.services import MODELLER

pytestmark = pytest.mark.attack

NAME = "alignment"
FULL_COUNT = 1_000


# ---------------------------------------------------------------------- what the bank sends


def attack_alignment(stage: Stage, kind: str, rng: random.Random) -> None:
    before, evaluated = stage.pair.logged(), stage.evaluated["evaluations"]
    with stage.pair.bank(MODELLER) as bank, pytest.raises(Problem) as caught:
        ALIGNMENTS[kind](stage, bank, rng)
    assert caught.value.status in {400, 401, 403, 422}, kind
    assert stage.evaluated["evaluations"] == evaluated, f"{kind}: the node evaluated"
    refused = [leaf for leaf in stage.pair.leaves(before) if leaf["outcome"] == "refused"]
    assert [leaf["problem"] for leaf in refused] == [caught.value.slug()], kind


def evaluate(bank: Bank, statement: Signed, elements: list[bytes], project: str = JOINT) -> Evaluated:
    request = EvaluateAlignment(statement=statement, elements=b"".join(elements))
    return bank.node.logged(f"/projects/{project}/alignment/evaluate", request, Evaluated).answer


def filed(bank: Bank, rng: random.Random, count: int = 5) -> tuple[Signed, list[bytes]]:
    """A few customers as the office accepted them."""
    customers = [f"opaque:c{n:04d}" for n in rng.sample(range(ROWS - WITHOUT), count)]
    statement, accepted = _Alignment(bank, JOINT).file(customers)
    return statement, [bytes(blinded.element) for _, blinded in accepted]


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
    run = _Alignment(bank, JOINT)
    statement, accepted = run.file([willing, unwilling])
    assert [subject for subject, _ in accepted] == [willing]
    assert run.refused == {"no-consent": 1}
    evaluate(bank, statement, [bytes(accepted[0][1].element), bytes(blind_of(unwilling)[1])])


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
    return [stage.tags[subject] for subject in stage.cohort.subjects]


def never_evaluated(stage: Stage, bank: Bank, rng: random.Random) -> None:
    tags = rows_of(stage)
    tags[rng.randrange(len(tags))] = rng.randbytes(32)
    match(bank, tags)


def published_as_tag(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The hash that the node published in the place of the tag behind it."""
    tags = rows_of(stage)
    place = rng.randrange(len(tags))
    tags[place] = cells.published(tags[place])
    match(bank, tags)


def row_twice(stage: Stage, bank: Bank, rng: random.Random) -> None:
    tags = rows_of(stage)
    one, other = rng.sample(range(len(tags)), 2)
    tags[one] = tags[other]
    match(bank, tags)


def nearly_the_same(stage: Stage, bank: Bank, rng: random.Random) -> None:
    """The cohort without 1 to 49 of its rows."""
    tags = rows_of(stage)
    match(bank, rng.sample(tags, len(tags) - rng.randint(1, 49)))


def too_few(stage: Stage, bank: Bank, rng: random.Random) -> None:
    match(bank, rng.sample(rows_of(stage), rng.randint(0, 999)))


ALIGNMENTS: dict[str, Callable[[Stage, Bank, random.Random], None]] = {
    "one element more": one_more,
    "one element for another": one_for_another,
    "an id without modelling consent": without_a_consent,
    "a statement of its own": own_statement,
    "a statement past its time": over,
    "an element twice": element_twice,
    "a tag never evaluated": never_evaluated,
    "a published hash as tag": published_as_tag,
    "a row twice": row_twice,
    "a cohort that differs in 1 to 49 rows": nearly_the_same,
    "a cohort that is too small": too_few,
}


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
        for kind in in_turn(ALIGNMENTS, count, rng):
            attack_alignment(made, kind, rng)
            refused[kind] += 1
        with made.pair.bank(MODELLER) as bank:
            assert match(bank, rows_of(made)).id == made.cohort.id, "the same rows again are the same cohort"
            with pytest.raises(CohortRefused):
                match(bank, rows_of(made)[:-49])
            assert match(bank, rows_of(made)[:-50]).rows == made.cohort.rows - 50
        assert naive_node_lets_one_row_out(made), "the naive build must take a cohort without one row"
    return {"refused": dict(refused), "refused_total": refused.total(), "naive_takes_one_row_less": True}


def test_no_row_that_was_not_evaluated_and_consented() -> None:
    assert len(campaign(2 * len(ALIGNMENTS), 20_250_101)["refused"]) == len(ALIGNMENTS)
