"""What is not well formed is refused with a sentence that helps, changes nothing, and shows nothing of a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
import numpy as np
import pandas as pd
import pytest

from bank_client import AlignedCohort, Bank, JointScorecard, align
from bank_client.demo.job import new_consent
from bank_client.joint_training import wire_opening
from models import wire
from models.alignment import EvaluateAlignment, MatchTags, Published
from models.consents import ConsentKind, FileConsents
from models.logged import Empty
from models.problems import URN, BadMessage, BadSignature, CohortRefused, InputsRefused, TrainingRefused
from models.scorecard.bank import BankTraining, bank_columns
from models.scorecard.inputs import BankVector, Opening
from models.scorecard.limits import Limits
from models.scorecard.rounds import Plan
from models.tables import BuildTable, QueryColumns
from models.tickets import AccessQuery, EvaluateTickets, RequestTickets
from models.training import FileInputs, JobPlan, OpenJob, OpenRound, ProductRequest, RoundAnswer
from models.wire import Signed
from tests.e2e.village import Village

pytestmark = pytest.mark.e2e
MARK = "330106199001011234"  # stands for what must never be shown again
MODELLER = "bank-b/modeller"


# ---------------------------------------------------------------------- on the wire

SIGNED = Signed(kind=MARK, signer=MARK, payload=MARK.encode(), signature=bytes(64))
WIRES: dict[str, tuple[str, str, str, wire.Message]] = {
    "office projects": ("office", MODELLER, "/projects", SIGNED),
    "office tickets": ("office", "bank-b/officer", "/tickets", RequestTickets(requests=())),
    "office consents": ("office", "office/zhang.mingli", "/consents", FileConsents(consents=())),
    "office accesses": ("office", "office/audit", "/accesses", AccessQuery(subject=MARK)),
    "node projects": ("node", MODELLER, "/projects", SIGNED),
    "node alignment": ("node", MODELLER, "/projects/x/alignment/match", MatchTags(tags=MARK.encode())),
    "node job": ("node", MODELLER, "/jobs", OpenJob(project=MARK, cohort=MARK, bank_columns=3)),
    "node product": ("node", MODELLER, "/jobs/x/rounds/1/product", ProductRequest(b=b"1", p=b"2")),
    "node tickets": ("node", "bank-b/officer", "/tables/x/evaluate", EvaluateTickets(tickets=(SIGNED,))),
    "node columns": ("node", "bank-b/officer", "/tables/x/columns", QueryColumns(epoch=1, count=1, queries=b"")),
    "node build": ("node", "node/operator", "/tables/x/epochs", BuildTable(table=MARK)),
}


def without_its_end(message: wire.Message) -> bytes:
    return wire.encode(message)[:-1]


def with_an_unknown_field(message: wire.Message) -> bytes:
    return msgspec.msgpack.encode({**msgspec.to_builtins(message, builtin_types=(bytes,)), MARK: 1})


def with_a_wrong_type(message: wire.Message) -> bytes:
    return msgspec.msgpack.encode({key: {MARK: [MARK]} for key in wire.fields_of(message)})


def with_something_after_it(message: wire.Message) -> bytes:
    return wire.encode(message) + MARK.encode()


SPOILT: dict[str, Callable[[wire.Message], bytes]] = {
    "no MessagePack": lambda _: b"\xc1" + MARK.encode(),
    "JSON": lambda message: b'{"subject": "%s"}' % MARK.encode(),
    "empty": lambda _: b"",
    "truncated": without_its_end,
    "unknown field": with_an_unknown_field,
    "wrong type": with_a_wrong_type,
    "trailing bytes": with_something_after_it,
    "nested too deep": lambda _: b"\x91" * 100_000,
}


@pytest.mark.parametrize("address", WIRES)
def test_a_spoilt_message_is_refused_and_changes_nothing(place: Village, address: str) -> None:
    service, person, path, message = WIRES[address]
    before, leaves = place.state(service), len(place.leaves(service))
    for what, spoil in SPOILT.items():
        refused(place.send(service, person, "POST", path, spoil(message)), 400, "bad-message", what)
    for content_type in ("application/json", "text/csv", "application/octet-stream", ""):
        response = place.send(service, person, "POST", path, wire.encode(message), content_type=content_type)
        refused(response, 415, "bad-content-type", content_type)
    assert place.state(service) == before
    count = len(SPOILT) + 4
    logged = 0 if path.endswith("/columns") else count
    assert logged <= len(place.leaves(service)) - leaves <= count


@pytest.mark.parametrize("address", ["office projects", "node projects", "node job", "node build"])
def test_an_oversized_message_is_refused_and_changes_nothing(place: Village, address: str) -> None:
    service, person, path, message = WIRES[address]
    before = place.state(service)
    response = place.send(service, person, "POST", path, wire.encode(message) + bytes(1 << 20))
    refused(response, 413, "too-large", "1 MiB and more")
    assert "1048576" in response.json()["detail"]
    assert place.state(service) == before


def test_a_body_where_none_belongs_is_refused(place: Village) -> None:
    refused(place.send("node", MODELLER, "GET", "/receipts/0", b"body"), 400, "bad-request", "a body")


def refused(response: httpx2.Response, status: int, slug: str, what: str) -> None:
    assert response.status_code == status, (what, response.text)
    assert response.headers["content-type"] == "application/problem+json", what
    document = response.json()
    assert set(document) == {"type", "title", "status", "detail", "advice"}, what
    assert (document["type"], document["status"]) == (URN + slug, status), (what, document)
    assert len(document["detail"]) > 10, what
    assert len(document["advice"]) > 10, what
    assert MARK not in response.text, what


# ---------------------------------------------------------------------- alignment


@pytest.fixture(scope="module")
def bank(place: Village) -> Iterator[Bank]:
    with place.bank(MODELLER) as made:
        yield made


@pytest.fixture(scope="module")
def cohort(place: Village, bank: Bank) -> AlignedCohort:
    return align(bank, place.joint_project("bank-b"), place.others)


def test_lists_that_make_no_cohort(place: Village, bank: Bank, cohort: AlignedCohort) -> None:
    path = f"/projects/{cohort.project}/alignment"
    before = place.state("node")
    for tags, problem in (
        (b"", CohortRefused),
        (bytes(33), BadMessage),
        (bytes(32 * 1_000), CohortRefused),
        (np.random.default_rng(0).bytes(32 * 1_000), CohortRefused),
        (np.random.default_rng(0).bytes(32 * 999), CohortRefused),
    ):
        with pytest.raises(problem):
            bank.node.logged(f"{path}/match", MatchTags(tags=tags), Empty)
    unsigned = EvaluateAlignment(statement=SIGNED, elements=bytes(32))
    with pytest.raises(BadSignature):
        bank.node.logged(f"{path}/evaluate", unsigned, Empty)
    assert place.state("node") == before
    assert bank.node.logged(f"{path}/published", Empty(), Published).answer.hashes, "and what is well formed still works"


def test_ids_that_make_no_cohort(place: Village, bank: Bank, cohort: AlignedCohort) -> None:
    with pytest.raises(ValueError, match="no ids"):
        align(bank, cohort.project, [])
    with pytest.raises(ValueError, match="more than once"):
        align(bank, cohort.project, [*place.others[:5], place.others[0]])
    with pytest.raises(CohortRefused, match="at least 1000"):
        align(bank, cohort.project, place.others[:200])


# ---------------------------------------------------------------------- frames


def spoilt_frames(place: Village) -> dict[str, tuple[pd.DataFrame, Any, str]]:
    X, y = place.rows(place.others)
    constant, infinite, empty = (X.assign(b0=value) for value in (1.0, np.inf, np.nan))
    gaps = y.astype(float).where(y.index != y.index[3])
    return {
        "one class only": (X, y * 0, "needs both good and bad"),
        "a constant column": (constant, y, "one value in all rows"),
        "infinite values": (infinite, y, "infinite"),
        "an empty column": (empty, y, "is empty"),
        "a gap in y": (X, gaps, "without gaps"),
        "other labels": (X, y + 1, "must be 0"),
        "duplicate ids": (pd.concat([X, X.iloc[:1]]), np.append(y, 0), "each subject once"),
        "too few labels": (X, y.to_numpy()[:-1], "labels for"),
        "no rows": (X.iloc[:0], y.iloc[:0], "no rows"),
        "no frame": (X.to_numpy(), y, "DataFrame"),  # type: ignore[dict-item]
        "rows of the cohort missing": (X.iloc[:-1], y.iloc[:-1], "have no row in X"),
    }


def test_frames_that_cannot_be_trained_on(place: Village, bank: Bank, cohort: AlignedCohort) -> None:
    before = place.state("node"), place.state("office")
    for what, (X, y, says) in spoilt_frames(place).items():
        with pytest.raises(ValueError, match=says) as caught:
            JointScorecard(cohort.project, bank, cohort).fit(X, y)
        assert not re.search(r"s0\d{4}", str(caught.value)), what
    assert (place.state("node"), place.state("office")) == before, "nothing was sent"


def test_too_few_rows_of_a_class_are_refused_before_anything_is_computed(
    place: Village, bank: Bank, cohort: AlignedCohort
) -> None:
    X, y = place.rows(place.others)
    rare = pd.Series(0, index=y.index).where(np.arange(len(y)) >= 60, 1)
    with pytest.raises((TrainingRefused, ValueError), match="fewer than 110 rows"):
        JointScorecard(cohort.project, bank, cohort, max_bins=2).fit(X, rare)


# ---------------------------------------------------------------------- the inputs of a training, past the client's own checks


@dataclass
class Trial:
    """A training that was opened, and honest inputs for its first and second round."""

    signed: Signed
    plan: JobPlan
    training: BankTraining

    def file(self, bank: Bank, opening: Opening, round_: int) -> None:
        request = FileInputs(plan=self.signed, opening=wire_opening(self.plan.job, round_, self.plan.rows, opening))
        bank.office.logged("/replays/inputs", request, Signed)


@pytest.fixture(scope="module")
def trial(place: Village, bank: Bank, cohort: AlignedCohort) -> Trial:
    X, y = place.rows([subject.removeprefix("opaque:") for subject in cohort.subjects])
    labels = y.to_numpy(np.uint8)
    own = bank_columns({str(n): X[n].to_numpy() for n in X}, labels, Limits())
    request = OpenJob(project=cohort.project, cohort=cohort.id, bank_columns=len(own), max_bins=4)
    signed = bank.node.logged("/jobs", request, Signed).answer
    plan = bank.from_node(signed, JobPlan)
    shape = Plan(plan.rows, tuple(f.bins for f in plan.fields), len(own))
    return Trial(signed, plan, BankTraining(shape, labels, own, Limits()))


def test_inputs_that_are_not_well_formed(place: Village, bank: Bank, trial: Trial) -> None:
    opening = trial.training.opening(2)
    labels, column, *rest = opening.vectors
    rows = labels.codes.size
    one_class = BankVector.of_labels(np.zeros(rows, np.uint8))
    rare = np.zeros(rows, np.uint8)
    rare[:60] = 1
    one_row = np.zeros(rows, np.uint8)
    one_row[7] = 1
    spoilt: dict[str, tuple[Any, ...]] = {
        "one class only": (one_class, column, *rest),
        "too few of a class": (BankVector.of_labels(rare), column, *rest),
        "a row singled out": (labels, BankVector.of_column(one_row, np.array([0, 1024])), *rest),
        "a level out of bounds": (labels, BankVector.of_column(column.codes, column.levels * 1000 + 9), *rest),
        "labels that are not binary": (BankVector(labels.codes, np.array([0, 2]), 1, 1), column, *rest),
    }
    before = place.state("office")
    for what, vectors in spoilt.items():
        with pytest.raises(InputsRefused) as caught:
            trial.file(bank, Opening(vectors, opening.seed), 2)
        assert caught.value.detail, what
    with pytest.raises(BadMessage):
        trial.file(bank, Opening((labels,), bytes(31)), 1)
    with pytest.raises(BadMessage):
        trial.file(bank, Opening((BankVector.of_labels(labels.codes[:-1]),), opening.seed), 1)
    assert place.state("office") == before


def test_arrays_of_another_length(place: Village, bank: Bank, trial: Trial) -> None:
    path, node = f"/jobs/{trial.plan.job}/rounds/1", bank.node
    rows, n = trial.plan.rows, 2048
    before = place.state("node")
    for message in (
        ProductRequest(b=b"", p=b""),
        ProductRequest(b=bytes(8 * rows - 8), p=bytes(8 * n)),
        ProductRequest(b=bytes(8 * rows), p=bytes(8 * n + 8)),
    ):
        with pytest.raises(BadMessage, match="bytes where"):
            node.logged(f"{path}/product", message, Empty)
    for answer in (RoundAnswer(w=b"", moments=b""), RoundAnswer(w=bytes(7), moments=b"")):
        with pytest.raises(BadMessage):
            node.logged(f"{path}/answer", answer, Empty)
    with pytest.raises(BadMessage):
        node.logged("/jobs", OpenJob(project=trial.plan.project, cohort="x", bank_columns=65), Empty)
    assert place.state("node") == before


def test_after_all_this_the_training_goes_on(place: Village, bank: Bank, cohort: AlignedCohort, trial: Trial) -> None:
    """The state is what it was: the honest inputs of the opened training are taken, and a whole fit works."""
    opening = trial.training.opening(1)
    request = FileInputs(plan=trial.signed, opening=wire_opening(trial.plan.job, 1, trial.plan.rows, opening))
    inputs = bank.office.logged("/replays/inputs", request, Signed).answer
    with pytest.raises(BadMessage, match="32 bytes"):
        bank.node.logged(f"/jobs/{trial.plan.job}/rounds/1/open", OpenRound(inputs=inputs, nonce=bytes(31)), Empty)
    X, y = place.rows(place.others)
    model = JointScorecard(cohort.project, bank, cohort, max_bins=4).fit(X, y)
    assert model.figures_.usable


# ---------------------------------------------------------------------- deliveries and consents


def test_a_file_that_is_no_delivery(place: Village) -> None:
    before, path = place.state("node"), "/loads?field_set=farm&as_of=2026-01-01&name=x.csv&identity_column=id"
    for body in (b"", b"\xff\xfe\x00", f"id,{MARK}\na,1\n".encode(), b"land\n1\n"):
        response = place.send("node", "node/steward", "POST", path, body, content_type="text/csv")
        assert response.status_code == 400, response.text
    for query in ("field_set=none&as_of=2026-01-01", f"field_set=farm&as_of={MARK}"):
        response = place.send("node", "node/steward", "POST", f"/loads?{query}", b"id\n", content_type="text/csv")
        assert response.status_code in {400, 404}
        assert MARK not in response.text
    assert place.state("node") == before


def test_consents_are_stored_all_or_none(place: Village) -> None:
    good = new_consent("opaque:new", ConsentKind.QUERY)
    before = place.state("office")
    for bad in (
        wire.replace(good, subject=f"citizen:{MARK}"),
        wire.replace(good, valid_to=0),
        wire.replace(good, evidence_digest=MARK),
    ):
        body = wire.encode(FileConsents(consents=(good, bad)))
        response = place.send("office", "office/zhang.mingli", "POST", "/consents", body)
        assert 400 <= response.status_code < 500, response.text
        assert MARK not in response.text
    assert place.state("office") == before


# ---------------------------------------------------------------------- nothing shown


def test_nothing_of_a_person_was_logged_or_printed(place: Village) -> None:
    """Runs last in this module: what was sent above stands in no leaf and on no service's output."""
    for service in ("office", "node"):
        assert MARK not in place.printed(service)
        assert not re.search(r"\bs0\d{4}\b", place.printed(service))
        assert "Traceback" not in place.printed(service), place.printed(service)[-2000:]
        assert all(MARK.encode() not in entry for entry in place.entries(service))
