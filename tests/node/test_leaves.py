"""What leaves say: a request that breaks a handler leaves one like any other, and none holds what could be guessed open."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
import pytest

from audit.service import gate
from models import wire
from models.consents import ConsentKind, FileConsents
from models.loads import LoadReport
from models.tables import BuildTable
from tests.services import FIELDS, Services, send, services


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("leaves")) as made:
        yield made


def test_a_number_that_no_database_holds_is_refused_with_a_leaf(pair: Services) -> None:
    office = pair.office.office
    before = office.log.size
    consent = pair.office.consent("opaque:1", ConsentKind.COLLECTION, valid_to=(1 << 64) - 1)
    response = send(pair.signed("office", "office/wang", "POST", "/consents", wire.encode(FileConsents(consents=(consent,)))))
    assert response.status_code == 400, response.text
    with office.engine.connect() as connection:
        [leaf] = [msgspec.json.decode(entry) for entry in office.log.store.entries(connection, before, 10)]
    assert (leaf["action"], leaf["outcome"], leaf["problem"]) == ("consent.file", "refused", "bad-request")


def test_a_handler_that_breaks_leaves_a_leaf(pair: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> object:
        raise KeyError("a fault of our own")

    monkeypatch.setattr(gate, "Call", breaks)
    before = len(pair.leaves())
    response = send(pair.signed("node", "node/op", "POST", "/tables/t/epochs", wire.encode(BuildTable(table="t"))))
    assert response.status_code == 500
    assert "fault of our own" not in response.text
    [leaf] = pair.leaves()[before:]
    assert (leaf["action"], leaf["outcome"]) == ("epoch.request", "refused")


def test_a_delivery_of_one_row_cannot_be_guessed_from_its_leaf(pair: Services) -> None:
    """Whoever knows the subject and all values but one would try them until a digest fits."""
    text = "id," + ",".join(FIELDS) + "\nrow-1," + ",".join("1.5" for _ in FIELDS)
    query = "field_set=data&as_of=2026-06-30&name=data.csv&identity_column=id"
    pair.client("node/steward").logged_raw(f"/loads?{query}", text.encode(), "text/csv", LoadReport)
    leaf = next(leaf for leaf in pair.leaves() if leaf["action"] == "load")
    assert hashlib.sha256(text.encode()).hexdigest() not in str(leaf)
    assert leaf["facts"].keys() == {"field_set", "batch", "loaded", "quarantined"}
