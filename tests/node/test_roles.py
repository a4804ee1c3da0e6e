"""Every endpoint of the node against every role, and no address that the gate does not guard."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import httpx2
import pytest
from fastapi.routing import APIRoute, APIRouter
from starlette.routing import BaseRoute, Route

from audit.service.gate import Endpoint
from models.parties import Role
from models.problems import URN
from tests.office.world import PEOPLE
from tests.services import Services, send, services

SERVICES = {"node/service": Role.NODE, "office/service": Role.OFFICE, "office/window": Role.WINDOW}
ONE_OF_EACH = {role: person for person, role in {**PEOPLE, **SERVICES}.items()}
KINDS = {"logged", "unlogged", "public"}
# Files of the log, and the witness's addresses: tlog-tiles and tlog-witness, unauthenticated by design.
OF_THE_LOG = {
    ("GET", "/log/checkpoint"),
    ("GET", "/log/tile/{path:path}"),
    ("POST", "/witness/add-checkpoint"),
    ("GET", "/witness/{origin_hash}/checkpoint"),
    ("GET", "/witness/{origin_hash}/forks"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("services")) as made:
        yield made


def endpoints(pair: Services) -> list[Endpoint]:
    found: list[Endpoint] = pair.app.state.gate.endpoints
    return found


def request(pair: Services, endpoint: Endpoint, role: Role) -> httpx2.Response:
    path = re.sub(r"\{\w+\}", "x", endpoint.path)
    return send(pair.signed("node", ONE_OF_EACH[role], endpoint.method, path))


def test_there_is_a_person_for_every_role() -> None:
    assert set(ONE_OF_EACH) == set(Role)


def test_every_other_role_is_refused_with_a_leaf(pair: Services) -> None:
    before, refused = pair.logged(), []
    for endpoint in endpoints(pair):
        for role in sorted(set(Role) - endpoint.roles) if endpoint.kind != "public" else []:
            response = request(pair, endpoint, role)
            assert response.status_code == 403, (endpoint.path, role)
            document = response.json()
            assert document["type"] == f"{URN}wrong-role"
            assert all(allowed in document["detail"] for allowed in endpoint.roles)
            refused.append(endpoint.action or endpoint.path)
    leaves = pair.leaves(before)
    assert [leaf["action"] for leaf in leaves] == refused
    assert {(leaf["outcome"], leaf["problem"]) for leaf in leaves} == {("refused", "wrong-role")}


def test_a_named_role_gets_past_the_gate(pair: Services) -> None:
    for endpoint in endpoints(pair):
        for role in sorted(endpoint.roles):
            response = request(pair, endpoint, role)
            assert response.status_code not in {401, 403}, (endpoint.path, role)
            assert response.status_code < 500, (endpoint.path, role, response.text)


def test_who_builds_tables_cannot_ask_and_who_asks_cannot_build(pair: Services) -> None:
    """No role of the bureau evaluates, and no role of a bank loads or builds."""
    bureau, banks = {Role.STEWARD, Role.NODE_OPERATOR, Role.NODE}, {Role.MODELLER, Role.LOAN_OFFICER, Role.APPROVER}
    for endpoint in endpoints(pair):
        if endpoint.action in {"load", "epoch.request", "statement.coverage"}:
            assert not endpoint.roles & banks
        elif endpoint.kind == "logged":
            assert not endpoint.roles & bureau


def test_each_endpoint_leaves_a_leaf_or_says_why_not(pair: Services) -> None:
    actions = [endpoint.action for endpoint in endpoints(pair) if endpoint.kind == "logged"]
    assert len(set(actions)) == len(actions), "a leaf's action tells which endpoint it is"
    for endpoint in endpoints(pair):
        assert endpoint.kind in KINDS
        assert bool(endpoint.action) == (endpoint.kind == "logged")
        assert bool(endpoint.roles) == (endpoint.kind != "public")
        assert endpoint.kind == "logged" or len(endpoint.why) > 20, endpoint.path


def test_no_address_goes_past_the_gate(pair: Services) -> None:
    declared = {(endpoint.method, endpoint.path) for endpoint in endpoints(pair)}
    assert set(addresses(pair.app.routes)) == declared | OF_THE_LOG


def addresses(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Every method and path that an app answers; whatever else it would answer (a mount, a socket) is an error."""
    for route in routes:
        included: APIRouter | None = getattr(route, "original_router", None)
        if included is not None:
            yield from addresses(included.routes)
            continue
        assert isinstance(route, Route | APIRoute), f"{route!r} is no declared address"
        yield from ((method, route.path) for method in route.methods or ())
