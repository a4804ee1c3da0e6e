"""Every endpoint against every role: who is not named for it gets 403 and a leaf, before the body is even read."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from models import wire
from models.http_signatures import Request, sign_request
from models.parties import Role
from models.problems import URN
from tests.office.world import PATIENT, PEOPLE, World

SERVICES = {"node/service": Role.NODE, "office/service": Role.OFFICE, "office/window": Role.WINDOW}
ONE_OF_EACH = {role: person for person, role in {**PEOPLE, **SERVICES}.items()}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(**PATIENT) as client:
        yield client


def send(http: httpx2.Client, world: World, method: str, path: str, person: str) -> httpx2.Response:
    request = Request(method, world.url + path, {"content-type": wire.CONTENT_TYPE}, b"")
    sign_request(request, person, world.keys[person])
    return http.request(method, request.url, headers=request.headers)


def test_there_is_a_person_for_every_role() -> None:
    assert set(ONE_OF_EACH) == set(Role)


def test_only_the_named_roles_get_through(world: World, http: httpx2.Client) -> None:
    before = len(world.leaves())
    refused = 0
    endpoints = [endpoint for endpoint in world.app.state.gate.endpoints if endpoint.kind != "public"]
    assert len(endpoints) >= 87
    for endpoint in endpoints:
        assert endpoint.roles, endpoint.path
        assert endpoint.kind == "logged" or endpoint.why
        for role in set(Role) - endpoint.roles:
            response = send(http, world, endpoint.method, endpoint.path.replace("{id}", "x"), ONE_OF_EACH[role])
            assert response.status_code == 403, (endpoint.path, role)
            assert response.json()["type"] == f"{URN}wrong-role"
            refused += 1
    leaves = world.leaves()[before:]
    assert len(leaves) == refused
    assert {leaf["problem"] for leaf in leaves} == {"wrong-role"}


def test_public_endpoints_say_why(world: World) -> None:
    public = {endpoint.path: endpoint.why for endpoint in world.app.state.gate.endpoints if endpoint.kind == "public"}
    assert set(public) == {"/directory", "/keys", "/healthz"}
    assert all(public.values())


def test_a_role_never_enrolled_or_a_wrong_key_is_nobody(world: World, http: httpx2.Client) -> None:
    world.keys["bank-a/ghost"] = world.keys["bank-a/li"]
    world.keys["bank-a/fake"] = world.keys["bank-b/li"]
    try:
        for person in ("bank-a/ghost", "bank-a/fake"):
            assert send(http, world, "POST", "/projects", person).status_code == 401
    finally:
        del world.keys["bank-a/ghost"], world.keys["bank-a/fake"]


@pytest.mark.attack
def test_a_signed_request_is_taken_once(world: World) -> None:
    request = Request("GET", f"{world.url}/eligibility", {"content-type": wire.CONTENT_TYPE}, b"")
    sign_request(request, "node/service", world.keys["node/service"])
    statuses = [httpx2.get(request.url, headers=request.headers, **PATIENT).status_code for _ in range(2)]
    assert statuses == [200, 401]
    # signed for one address, sent to another
    assert httpx2.get(f"{world.url}/projects/x", headers=request.headers, **PATIENT).status_code == 401
