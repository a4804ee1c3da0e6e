"""Words that a bank chooses: they must not stand in a leaf as it wrote them, nor break whoever uses them as a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.logged import Empty
from models.problems import BadMessage, Unusable
from models.tables import Evidence
from tests.office.world import World, running

PERSON = "11010519491231002X"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("office")) as made:
        yield made


def test_what_a_bank_reports_stands_in_the_opening_only(world: World) -> None:
    for what, table in ((PERSON, "t"), ("column", PERSON)):
        world.officer.logged("/evidence", Evidence(what=what, table=table, epoch=1, detail=PERSON, artefacts=()), Empty)
    assert [leaf["action"] for leaf in world.leaves()].count("evidence") == 2
    assert PERSON not in str(world.leaves())
    with pytest.raises(BadMessage):
        world.officer.logged("/evidence", Evidence(what="x", table="t" * 129, epoch=1, detail="", artefacts=()), Empty)


@pytest.mark.parametrize("name", ["", "a b", "../p", ".p", "p/q", "项目", "p" * 65, "p\n"])
def test_a_project_has_a_plain_name(world: World, name: str) -> None:
    """At the node it becomes the name of a key: what is none there would fail only after the approval."""
    with pytest.raises(Unusable, match="id"):
        world.project(name)
