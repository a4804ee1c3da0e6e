"""The builder: from a request to an open epoch, through kills, refusals and nights; what ends and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.database import writing
from models.consents import Objection, Repair
from models.problems import Damaged, NotFound, PeerUnavailable
from models.tables import BuildState
from sharing_node.epochs import sealing
from sharing_node.epochs import watch as watching
from sharing_node.epochs.builder import Builder
from sharing_node.epochs.columns import BoundaryCollision
from sharing_node.epochs.lease import Lease
from sharing_node.epochs.pulse import Pulse
from sharing_node.epochs.schedule import Nightly
from sharing_node.epochs.store import epoch_key
from sharing_node.keys import MissingKey
from sharing_node.state import builds
from tests.node.bureau import DAY, NOW, Bureau, bureau

PEOPLE = [f"opaque:{n:02}" for n in range(20)]


@pytest.fixture
def place(tmp_path: Path, database_url: str) -> Iterator[Bureau]:
    with bureau(tmp_path / "node", database_url) as made:
        made.deliver(PEOPLE)
        made.open_project()
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Bureau]:
    with bureau(tmp_path / "node", f"sqlite:///{tmp_path}/node.db") as made:
        made.deliver(PEOPLE)
        made.open_project()
        yield made


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """The builder ends when it reports this stage."""
    report = Pulse.report

    def dies(self: Pulse, now: str, done: int, total: int) -> None:
        report(self, now, done, total)
        if now == stage:
            raise Killed

    monkeypatch.setattr(Pulse, "report", dies)


def test_from_a_request_to_an_open_epoch(place: Bureau) -> None:
    assert place.build().state == "open"
    manifest = place.current()
    found = place.served(manifest, [*PEOPLE, "opaque:nobody"])
    assert found.keys() == set(PEOPLE)
    assert found[PEOPLE[0]].fields == {"area": 1, "insured": True}
    assert [leaf["action"] for leaf in place.leaves("epoch.build", "epoch.open")] == ["epoch.build", "epoch.open"]
    assert place.leaves("epoch.build")[0]["institution"] == "node"
    assert place.files() == ["1.hint.npy", "1.matrix.npy"]
    with place.engine.connect() as connection:
        assert builds.lease_holder(connection, 0.0) == ""


def test_a_second_request_while_one_waits_is_the_same_build(place: Bureau) -> None:
    assert place.ask() == place.ask() == 1
    Builder(place.node).run_once()
    assert place.ask() == 2


def test_revoked_withheld_and_repaired_are_absent_from_the_next_epoch(place: Bureau) -> None:
    place.build()
    gone, hidden, marked, mended = PEOPLE[:4]
    place.office.collection.remove(gone)
    place.office.objections = [
        Objection(subject=hidden, field="*", open=True, withheld=True),
        Objection(subject=marked, field="area", open=True),
    ]
    place.office.repairs = [Repair(subject=mended, field="area")]
    assert set(place.served(place.current(), PEOPLE)) == set(PEOPLE)
    place.build()
    found = place.served(place.current(), PEOPLE)
    assert set(found) == set(PEOPLE) - {gone, hidden}
    assert found[marked].disputed == ("area",)
    assert found[mended].fields == {"insured": True}


def test_the_old_epoch_answers_during_grace_and_its_key_is_gone_afterwards(place: Bureau) -> None:
    place.build()
    place.now += 100
    place.build()
    assert place.current().epoch == 2
    assert place.answers(1)
    place.keys.oprf(epoch_key(place.table, 1))
    place.now += 15 * 60
    assert not place.answers(1)
    Builder(place.node).run_once()
    with pytest.raises(MissingKey):
        place.keys.oprf(epoch_key(place.table, 1))
    with pytest.raises(NotFound):
        place.store.matrix(place.table, 1)
    assert place.leaves("epoch.close")[0]["facts"] == {"epoch": 1, "table": place.table}
    assert place.answers(2)
    assert place.current().epoch == 2


STAGES = [
    "fetch the office's list", "read and evaluate", "seal cells", "sort cells", "arrange columns", "compute hint",
    "log the manifest", "seal by the office",
]  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_a_builder_that_is_killed_is_followed_by_one_that_goes_on(
    small: Bureau, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, stage)
        with pytest.raises(Killed):
            small.build()
    with pytest.raises(NotFound):
        small.current()
    assert not small.answers(1)
    before = small.key_digests()
    state = small.state(1)
    assert (state.state, state.stage) == ("running", stage)
    Builder(small.node).run_once()
    assert small.state(1).state == "open"
    assert set(small.served(small.current(), PEOPLE)) == set(PEOPLE)
    assert small.files() == ["1.hint.npy", "1.matrix.npy"]
    assert not before or small.key_digests() == before
    assert [leaf["facts"]["epoch"] for leaf in small.leaves("epoch.build", "epoch.open")] == [1, 1]


@pytest.mark.parametrize("stage", ["seal cells", "compute hint"])
@pytest.mark.parametrize("what", ["consent", "delivery", "objection"])
def test_other_inputs_begin_anew_under_a_fresh_key(
    small: Bureau, stage: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, stage)
        with pytest.raises(Killed):
            small.build()
    before = small.key_digests()
    if what == "consent":
        small.office.collection.remove(PEOPLE[3])
    elif what == "delivery":
        small.deliver(PEOPLE[:1], area=7, batch="b2")
    else:
        small.office.objections = [Objection(subject=PEOPLE[3], field="*", open=True, withheld=True)]
    Builder(small.node).run_once()
    assert small.key_digests().keys() == before.keys()
    assert small.key_digests() != before
    found = small.served(small.current(), PEOPLE)
    assert (PEOPLE[3] in found) == (what == "delivery")
    assert found[PEOPLE[0]].fields["area"] == (7 if what == "delivery" else 1)
    assert small.files() == ["1.hint.npy", "1.matrix.npy"]


def test_a_boundary_that_tells_no_tags_apart_begins_anew(small: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange, keys = sealing.merge, []

    def collides(*arguments: object) -> None:
        keys.append(small.key_digests())
        if len(keys) == 1:
            raise BoundaryCollision("two tags agree")
        arrange(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sealing, "merge", collides)
    assert small.build().state == "open"
    assert keys[0] != keys[1]


def test_a_refused_table_fails_and_the_old_epoch_serves_on(place: Bureau) -> None:
    place.build()
    place.office.refusal = Damaged("the hint is wrong")
    state = place.build()
    assert (state.state, state.epoch) == ("failed", 2)
    assert "the hint is wrong" in state.detail
    assert place.current().epoch == 1
    assert place.answers(1)
    assert not place.answers(2)
    assert place.files() == ["1.hint.npy", "1.matrix.npy"]
    assert not place.keys.has_oprf(epoch_key(place.table, 2))
    [leaf] = [leaf for leaf in place.leaves("epoch.build") if leaf["outcome"] == "refused"]
    assert (leaf["problem"], leaf["facts"]["epoch"]) == ("damaged", 2)
    place.office.refusal = None
    assert place.build().state == "open"
    assert place.current().epoch == 3


def test_a_table_of_nobody_fails_with_a_reason(small: Bureau) -> None:
    small.office.collection = []
    state = small.build()
    assert state.state == "failed"
    assert "load data and consents first" in state.detail
    assert small.key_digests() == {}
    assert small.files() == []


def test_an_office_that_does_not_answer_is_waited_for(small: Bureau) -> None:
    small.office.refusal = PeerUnavailable("no answer from the office")
    state = small.build()
    assert state.state == "running"
    assert "no answer from the office" in state.detail
    small.office.refusal = None
    assert Builder(small.node).run_once()
    assert small.state(1).state == "open"
    assert small.state(1).detail == ""


def test_what_breaks_is_said_without_naming_anybody(small: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise KeyError(PEOPLE[0])

    monkeypatch.setattr(sealing, "merge", breaks)
    state = small.build()
    assert state.state == "failed"
    assert "KeyError" in state.detail
    assert PEOPLE[0] not in state.detail
    assert small.key_digests() == {}


def test_an_epoch_that_expired_before_it_was_sealed_is_never_opened(small: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, "seal by the office")
        with pytest.raises(Killed):
            small.build()
    small.now += 2 * DAY
    Builder(small.node).run_once()
    assert small.state(1).state == "failed"
    assert small.key_digests() == {}
    assert small.files() == []


def test_one_builder_at_a_time(place: Bureau) -> None:
    other = Lease(place.engine)
    assert other.take()
    place.ask()
    assert not Builder(place.node).run_once()
    assert place.state(1).state == "queued"
    other.give_back()
    assert Builder(place.node).run_once()


def test_the_lease_of_a_process_that_ended_is_free(place: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(place.engine)
    lease._holder = lease._holder.replace(f" {lease._holder.split()[-2]} ", " 4194303 ")  # above any pid of these machines
    assert lease.take()
    assert Lease(place.engine).take()


def test_a_builder_that_lost_its_lease_commits_nothing(small: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    thief = Lease(small.engine)
    merge = sealing.merge

    def robbed(*arguments: object) -> None:
        merge(*arguments)  # type: ignore[arg-type]
        with writing(small.engine) as connection:
            builds.give_lease(connection, thief._holder, 1e12)

    monkeypatch.setattr(sealing, "merge", robbed)
    small.ask()
    assert not Builder(small.node).run_once()
    assert small.leaves("epoch.build") == []
    assert small.state(1).state == "running"


def test_a_builder_that_is_told_to_stop_leaves_the_build_to_the_next(small: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    merge = sealing.merge

    def told(*arguments: object) -> None:
        stop.set()
        merge(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "merge", told)
        small.ask()
        Builder(small.node).run(stop)
    assert small.state(1).state == "running"
    assert Builder(small.node).run_once()
    assert small.state(1).state == "open"


def test_progress_is_reported_by_stage(small: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    report = Pulse.report

    def note(self: Pulse, stage: str, done: int, total: int) -> None:
        report(self, stage, done, total)
        state = small.state(1)
        seen.append((state.state, state.stage))

    monkeypatch.setattr(Pulse, "report", note)
    small.build()
    assert list(dict.fromkeys(seen)) == [("running", stage) for stage in STAGES]


# ---------------------------------------------------------------- nights


NIGHTS = 20


def test_night_after_night(small: Bureau) -> None:
    """Every night another key; one epoch answers at any time, two during grace, and nothing is left of the rest."""
    small.build()
    keys = set(small.key_digests().values())
    opened = 1
    for night in range(NIGHTS):
        small.now = NOW + night * DAY + 14 * 3600 + 30  # 02:00:30
        Builder(small.node).run_once()
        assert small.current().opened_at == small.now
        small.now += 15 * 60
        Builder(small.node).run_once()
        opened += 1
        assert small.current().epoch == opened
        assert len(small.files()) == 2
        assert len(small.key_digests()) == 1
        keys |= set(small.key_digests().values())
    assert len(keys) == opened
    closed = [leaf["facts"]["epoch"] for leaf in small.leaves("epoch.close")]
    assert closed == list(range(1, opened))


def test_no_night_is_built_twice_and_none_without_use(small: Bureau) -> None:
    Builder(small.node).run_once()
    small.now += DAY
    Builder(small.node).run_once()
    with pytest.raises(NotFound):
        small.current()  # nobody ever asked for this table
    small.build()
    small.now = NOW + DAY + 14 * 3600 + 1
    for _ in range(3):
        Builder(small.node).run_once()
    assert small.current().epoch == 2


@pytest.mark.parametrize("why", ["suspended", "over", "long ago", "switched off"])
def test_tables_that_nobody_may_use_are_not_rebuilt(small: Bureau, why: str) -> None:
    small.build()
    small.now = NOW + 14 * 3600 + 1
    small.office.suspended = why == "suspended"
    if why == "long ago":
        small.now += 10 * DAY
    elif why == "over":
        small.now = NOW + 999 * DAY + 14 * 3600
        small.ask()
        Builder(small.node).run_once()
        small.now = NOW + 1001 * DAY
    elif why == "switched off":
        small.set(nightly_at="")
    before = small.files()
    Builder(small.node).run_once()
    assert [name for name in small.files() if name not in before] == []


def test_a_table_is_built_before_its_last_epoch_would_end_without_a_successor(small: Bureau) -> None:
    small.build()
    small.now += DAY - 10 * 60
    Builder(small.node).run_once()
    assert small.current().epoch == 2
    assert small.answers(1)


def test_a_night_that_failed_is_tried_again_after_an_hour(small: Bureau) -> None:
    small.build()
    small.now = NOW + 14 * 3600 + 1
    small.office.refusal = Damaged("no")
    Builder(small.node).run_once()
    small.office.refusal = None
    small.now += 1800
    Builder(small.node).run_once()
    assert small.current().epoch == 1
    small.now += 1800
    Builder(small.node).run_once()
    assert small.current().epoch == 3


@pytest.mark.parametrize(("at", "zone"), [("25:00", ""), ("2", ""), ("02:00", "Mars/Base")])
def test_an_hour_that_does_not_exist_is_refused(at: str, zone: str) -> None:
    with pytest.raises(ValueError, match="nightly hour"):
        Nightly.parse(at, zone)


def test_the_hour_is_that_of_its_zone() -> None:
    nightly = Nightly.parse("02:00", "Asia/Shanghai")
    assert nightly is not None
    assert nightly.last(NOW) == NOW - 18 * 3600  # noon in London is 20:00 in Shanghai


def test_a_terminal_shows_the_stages_until_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.0)
    seen = [("queued", "", 0, 0), ("running", "seal cells", 1, 4), ("running", "seal cells", 3, 4), ("open", "", 0, 0)]
    states = iter([BuildState(table="t", epoch=1, state=s, stage=g, done=d, total=n, detail="") for s, g, d, n in seen])
    assert watching.watch(lambda: next(states)).state == "open"
    assert "seal cells" in capsys.readouterr().out
