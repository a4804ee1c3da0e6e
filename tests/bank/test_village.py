"""Whole-village checks: everyone of the list has a line, nobody is asked twice, and nothing but a reason stops it."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from typer.testing import CliRunner

from bank_client import Bank, batch_run
from bank_client.batch import BatchSummary, VillageBatch
from bank_client.batch_results import write_results
from bank_client.cli import app
from bank_client.questions import Questions
from models import wire
from models.consents import ConsentKind, RevokeConsent
from models.logged import Empty
from models.problems import Busy, Conflict, NotApproved, NotFound, OverBudget, Suspended
from models.tables import ColumnAnswers
from models.tickets import Evaluations
from tests.bank.village import (
    ABSENT,
    CAREFUL,
    CONSENTED,
    DISPUTED,
    LIST,
    NOT_VALID,
    PROJECT,
    UNWILLING,
    Place,
    small_chunks,
)
from tests.conftest import ROOT
from tests.services import FIELDS

ASKED = len(CONSENTED) + 1  # the absent one too


@pytest.fixture(autouse=True)
def chunks() -> Iterator[None]:
    with small_chunks():
        yield


@pytest.fixture
def bank(place: Place) -> Iterator[Bank]:
    with place.bank() as bank:
        yield bank


def lines(batch: VillageBatch, folder: Path) -> list[dict[str, str]]:
    batch.write(folder / "village.csv")
    assert stat.S_IMODE((folder / "village.csv").stat().st_mode) == 0o600
    with (folder / "village.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def whole(place: Place, batch: VillageBatch, since: int, *, twice: int = 0) -> None:
    """Everybody was asked about once, but for so many whose results were lost."""
    assert batch.summary().counts == {"record": len(CONSENTED), "no-record": 1, "no-consent": len(UNWILLING)}
    assert (batch.summary().left, batch.summary().lost) == (0, twice)
    assert place.evaluated(since) == ASKED + twice


def test_everyone_of_the_list_has_a_line(place: Place, bank: Bank, tmp_path: Path) -> None:
    since, seen = place.pair.logged(), list[tuple[str, int, int]]()
    with place.file(bank, "everyone") as batch:
        summary = batch.run(progress=lambda *step: seen.append(step))
        whole(place, batch, since)
        found = lines(batch, tmp_path)
    assert (summary.lines, summary.not_valid, summary.subjects) == (len(LIST), 1, len({*LIST}) - 1)
    assert (summary.disputed, summary.place) == (1, "东村")
    assert seen[-1] == ("village", summary.subjects, summary.subjects)
    assert [line["subject"] for line in found] == list(LIST), "as given, in the order given"
    assert found[0] == found[-1], "who stands twice has two lines"
    by_subject = {line["subject"]: line for line in found}
    for subject in CONSENTED:
        line = by_subject[subject]
        assert (line["status"], line["data:as_of"]) == ("record", "2026-06-30")
        assert {f: float(line[f]) for f in FIELDS} == place.values[subject]
        assert line["disputed"] == (FIELDS[1] if subject == DISPUTED else "")
        assert line["leaf"].isdecimal()
    assert by_subject[ABSENT]["status"] == "no-record"
    assert [by_subject[s]["status"] for s in (*UNWILLING, NOT_VALID)] == ["no-consent", "no-consent", "refused"]
    assert by_subject[NOT_VALID]["reason"].startswith("bad-identity")
    assert place.granted("everyone") == ASKED
    assert bank.owed.count() == 0
    assert len(list((bank.config.data_dir / "receipts").glob("*.receipt"))) >= 1


def test_a_second_run_asks_nobody(place: Place, bank: Bank) -> None:
    with place.file(bank, "once") as batch:
        batch.run()
        since = place.pair.logged()
        batch.run()
        assert place.evaluated(since) == 0


def test_who_was_refused_is_asked_once_more_when_one_says_so(place: Place, bank: Bank) -> None:
    office = place.pair.office
    with place.file(bank, "again") as batch:
        batch.run()
        consent = office.consent(f"opaque:{UNWILLING[0]}", ConsentKind.QUERY)
        office.file(consent)
        try:
            assert batch.run().counts["no-consent"] == 2
            assert batch.run(again=True).counts == {"record": len(CONSENTED) + 1, "no-record": 1, "no-consent": 1}
        finally:
            office.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id), Empty)
        assert place.granted("again") == ASKED + 1


# ---------------------------------------------------------------------- what stands before it


def test_nobody_is_asked_about_before_the_office_has_approved(place: Place, bank: Bank) -> None:
    with place.file(bank, "early", approve=False) as batch:
        for word, approve in (("filed", None), ("refused", False)):
            if approve is not None:
                place.decide("early", approve)
            with pytest.raises(NotApproved, match=word):
                batch.run()
        assert batch.summary().left == batch.summary().subjects


def test_a_batch_that_the_office_does_not_take_leaves_nothing(place: Place, bank: Bank) -> None:
    with pytest.raises(NotApproved):
        VillageBatch.file(bank, "no-such-project", LIST, place="东村", batch="nowhere")
    assert not (bank.config.data_dir / "batches" / "nowhere.sqlite").exists()
    with pytest.raises(ValueError, match="not one id"):
        VillageBatch.file(bank, PROJECT, [NOT_VALID], place="东村")
    with pytest.raises(ValueError, match="lower-case"):
        VillageBatch.file(bank, PROJECT, LIST, place="东村", batch="../../etc")
    with place.file(bank, "taken"), pytest.raises(Conflict):
        place.file(bank, "taken")


def test_a_batch_whose_filing_was_cut_off_is_filed_when_one_goes_on(place: Place, bank: Bank) -> None:
    with patch.object(bank.office, "logged", side_effect=Busy("full")), pytest.raises(Busy):
        place.file(bank, "cut", approve=False)
    with VillageBatch.resume(bank, "cut") as batch:
        assert batch.status().state == "filed"
        place.decide("cut")
        assert batch.run().left == 0


def test_where_the_bank_wants_it_an_approver_signs_the_batch_once(place: Place) -> None:
    with place.bank("bank-c/li") as bank, place.bank("bank-c/ap") as approver:
        with pytest.raises(NotApproved, match="second approval"):
            VillageBatch.file(bank, CAREFUL, LIST, place="东村", batch="alone")
        with VillageBatch.file(bank, CAREFUL, LIST, place="东村", batch="in-pairs", approver=approver) as batch:
            place.decide("in-pairs")
            assert batch.run().left == 0


# ---------------------------------------------------------------------- what comes in between


@contextmanager
def before(step: str, number: int, act: Callable[[], Any]) -> Iterator[None]:
    """Do something before the n-th time of a step."""
    real, calls = getattr(Questions, step), Counter[str]()

    def stepped(self: Questions, *rest: Any) -> Any:
        calls[step] += 1
        if calls[step] == number:
            act()
        return real(self, *rest)

    with patch.object(Questions, step, stepped):
        yield


def test_a_batch_suspended_midway_stops_and_goes_on_when_it_is_lifted(place: Place, bank: Bank) -> None:
    since = place.pair.logged()
    with place.file(bank, "halted") as batch:
        with before("take_tickets", 3, lambda: place.suspend("halted")), pytest.raises(Suspended):
            batch.run()
        summary = batch.summary()
        assert 0 < summary.left < summary.subjects
        assert summary.lost == 0, "what was on its way was brought home"
        with pytest.raises(Suspended):
            batch.run()
        place.suspend("halted", False)
        batch.run()
        whole(place, batch, since)
    assert place.granted("halted") == ASKED


def test_a_budget_that_ends_midway_leaves_the_rest_open(place: Place, bank: Bank) -> None:
    def out_of_budget(questions: Any) -> None:
        for question in questions[2:]:
            question.ticket, question.refused = None, OverBudget("the project has used up its checks")

    real = Questions.take_tickets

    def take(self: Questions, questions: Any) -> None:
        real(self, questions)
        out_of_budget(questions)

    with place.file(bank, "spent") as batch:
        with patch.object(Questions, "take_tickets", take), pytest.raises(OverBudget):
            batch.run()
        assert sum(batch.summary().counts.values()) == 2
        assert batch.run().left == 0


def test_a_consent_revoked_midway_counts_from_the_next_ticket(place: Place, bank: Bank) -> None:
    with place.file(bank, "revoked") as batch, before("take_tickets", 1, place.revoke):
        summary = batch.run()
    assert summary.counts == {"record": len(CONSENTED) - 1, "no-record": 1, "no-consent": len(UNWILLING) + 1}
    place.consent_again()


def test_a_rotation_midway_loses_nobody(place: Place, bank: Bank, tmp_path: Path) -> None:
    since = place.pair.logged()
    with place.file(bank, "rotated") as batch, before("evaluate", 2, lambda: place.pair.build(place.table)):
        batch.run()
        whole(place, batch, since)
        epochs = {line["epoch"] for line in lines(batch, tmp_path) if line["status"] == "record"}
    assert len(epochs) == 2


def test_an_epoch_closed_before_the_answer_is_a_loss_that_is_counted(place: Place, bank: Bank) -> None:
    def closed() -> None:
        raise NotFound("this epoch is closed")

    since = place.pair.logged()
    with place.file(bank, "closed") as batch, before("fetch", 2, closed):
        batch.run()
        whole(place, batch, since, twice=4)


def test_a_busy_node_is_waited_for(place: Place, bank: Bank) -> None:
    pauses, real, calls = list[float](), bank.node.logged, Counter[str]()

    def busy(path: str, *rest: Any, **named: Any) -> Any:
        calls[path] += 1
        if path.endswith("/evaluate") and calls[path] % 2:
            raise Busy("full", retry_after=7)
        return real(path, *rest, **named)

    since = place.pair.logged()
    with (
        place.file(bank, "patient") as batch,
        patch.object(bank.node, "logged", busy),
        patch.object(batch_run, "sleep", pauses.append),
    ):
        batch.run()
        whole(place, batch, since)
    assert pauses
    assert set(pauses) == {7}


def test_damage_is_reported_and_stops_nothing(place: Place, bank: Bank, tmp_path: Path) -> None:
    """One answer of the second request is another column's; the calls to the node are those of a batch without damage."""

    def calls_of(name: str, lie: bool) -> list[tuple[str, int]]:
        calls, real = list[tuple[str, int]](), bank.node.post

        def post(path: str, message: Any, answer: Any) -> Any:
            calls.append((path, len(wire.encode(message))))
            given = real(path, message, answer)
            if lie and len(calls) == 2 and isinstance(given, ColumnAnswers):
                words = np.frombuffer(given.answers, "<u4").copy()
                words[: len(words) // message.count] += np.uint32(1 << 24)
                return ColumnAnswers(answers=words.tobytes())
            return given

        with place.file(bank, name) as batch, patch.object(bank.node, "post", post):
            summary = batch.run()
            statuses = Counter(line["status"] for line in lines(batch, tmp_path) if line["subject"] != NOT_VALID)
        assert summary.counts.get("damaged", 0) == statuses["damaged"] == int(lie)
        assert summary.left == 0
        return calls

    alarms = len(place.alarms())
    assert calls_of("honest", lie=False) == calls_of("lied-to", lie=True)
    [alarm] = place.alarms()[alarms:]
    assert (alarm.kind, alarm.institution) == ("evidence", "bank-a")
    kept = sorted((bank.config.data_dir / "evidence").glob("*-column.msgpack"))[-1]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_an_evaluation_with_another_key_goes_no_further_and_the_others_do(place: Place, bank: Bank) -> None:
    real = bank.node.logged

    def logged(path: str, *rest: Any, **named: Any) -> Any:
        reply = real(path, *rest, **named)
        if not isinstance(reply.answer, Evaluations):
            return reply
        first, *others = reply.answer.results
        bad = wire.replace(first, evaluated=others[0].evaluated) if others else first
        return type(reply)(Evaluations(results=(bad, *others)), reply.leaves)

    alarms = len(place.alarms())
    with place.file(bank, "other-key") as batch, patch.object(bank.node, "logged", logged):
        summary = batch.run()
    damaged = summary.counts["damaged"]
    assert damaged == len(place.alarms()) - alarms > 3, "one of each chunk, each reported"
    assert summary.counts["record"] + summary.counts.get("no-record", 0) == ASKED - damaged


# ---------------------------------------------------------------------- a process that is killed

KILLED = """
import os, signal, sys
from bank_client import batch_run
from bank_client.cli import app
owner, step, number = {owner}, {step!r}, {number}
real, calls = getattr(owner, step), []
def stepped(*rest, **named):
    calls.append(step)
    if len(calls) == number and {early}:
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(*rest, **named)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(owner, step, stepped)
batch_run.CHUNK = 4
app(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("owner", "step", "early", "lost"),
    [
        ("batch_run.Questions", "evaluate", True, True),
        ("batch_run.Journal", "settle", False, False),
    ],
)
def test_a_killed_batch_goes_on_and_asks_nobody_twice(
    place: Place, bank: Bank, tmp_path: Path, owner: str, step: str, early: bool, lost: bool
) -> None:
    name = f"killed-{step.replace('_', '-')}-{int(early)}"
    since = place.pair.logged()
    place.file(bank, name).close()
    settings, out = place.toml(), tmp_path / "out.csv"
    command = ("village", "run", name, "--out", str(out), "--config", str(settings))
    code = KILLED.format(owner=owner, step=step, number=3, early=early)
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists(), "no half result"
    with VillageBatch.resume(bank, name) as batch:
        summary = batch.run()
        assert summary.counts == {"record": len(CONSENTED), "no-record": 1, "no-consent": len(UNWILLING)}
    assert (1 if lost else 0) <= summary.lost <= 3 * 4
    # A chunk that was about to be evaluated counts as lost too: nobody can tell.
    assert ASKED <= place.evaluated(since) <= ASKED + summary.lost


def test_the_commands_file_a_list_and_run_it(place: Place, tmp_path: Path) -> None:
    def invoke(*arguments: str) -> tuple[int, dict[str, Any], str]:
        result = CliRunner().invoke(app, ["village", *arguments, "--json", "--config", str(place.toml())])
        return result.exit_code, json.loads(result.stdout or "{}"), result.stderr

    people, out = tmp_path / "people.csv", tmp_path / "out.csv"
    people.write_text("姓名,编号\n" + "".join(f"某,{subject}\n" for subject in LIST), encoding="gb18030")
    filing = ("file", str(people), "--project", PROJECT, "--place", "东村", "--batch", "by-command")
    code, _, errors = invoke(*filing)
    assert (code, errors) == (1, "people.csv has no column id; its columns are 姓名, 编号\n")
    code, facts, _ = invoke(*filing, "--id", "编号")
    assert (code, facts["state"], facts["subjects"], facts["not_valid"]) == (0, "filed", len({*LIST}) - 1, 1)
    code, _, errors = invoke("run", "by-command", "--out", str(out))
    assert code == 1
    assert "is filed at the credit office" in errors
    assert not out.exists()
    place.decide("by-command")
    code, facts, _ = invoke("run", "by-command", "--out", str(out))
    assert (code, facts["left"], facts["counts"]["record"]) == (0, 0, len(CONSENTED))
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == len(LIST) + 1
    code, facts, _ = invoke("status", "by-command")
    assert (code, facts["state"], facts["tickets"], facts["disputed"]) == (0, "approved", ASKED, 1)
    assert invoke("forget", "by-command")[0] == 0
    assert invoke("status", "by-command")[0] == 1


# ---------------------------------------------------------------------- the journal


def test_one_process_at_a_time(place: Place, bank: Bank) -> None:
    with place.file(bank, "locked"), pytest.raises(Conflict, match="another process"):
        VillageBatch.resume(bank, "locked")
    with pytest.raises(NotFound):
        VillageBatch.resume(bank, "unknown")


def test_the_journal_is_private_and_holds_no_secret_of_a_question(place: Place, bank: Bank) -> None:
    path = bank.config.data_dir / "batches" / "secrets.sqlite"
    secrets: list[bytes] = []
    real = Questions.fetch

    def fetch(self: Questions, epoch: Any, questions: Any, *rest: Any) -> None:
        secrets.extend(part for q in questions if q.tag for part in (q.blinded.blind, q.key, q.tag))
        real(self, epoch, questions, *rest)

    with place.file(bank, "secrets") as batch, patch.object(Questions, "fetch", fetch):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        batch.run()
    data = path.read_bytes()
    assert len(secrets) == 3 * ASKED
    assert not any(secret in data for secret in secrets)
    VillageBatch.forget(bank, "secrets")
    assert not path.exists()


def test_three_tickets_without_an_answer_are_enough(place: Place, bank: Bank) -> None:
    def closed(*_: Any) -> None:
        raise NotFound("this epoch is closed")

    with place.file(bank, "hopeless") as batch:
        with patch.object(Questions, "fetch", closed):
            summary = batch.run()
        assert summary.counts == {"refused": ASKED, "no-consent": len(UNWILLING)}
        assert summary.lost == 3 * ASKED
    assert place.granted("hopeless") == 3 * ASKED


def test_a_text_that_a_spreadsheet_would_run_is_only_shown(place: Place, bank: Bank, tmp_path: Path) -> None:
    with place.file(bank, "formula") as batch:
        batch.run()
        path = bank.config.data_dir / "batches" / "formula.sqlite"
        batch.close()
        with sqlite3.connect(path) as db:
            db.execute(
                """UPDATE subjects SET record = '{"fields":{"f0":"=cmd()","f1":-1.5},"sources":{}}' WHERE record IS NOT NULL"""
            )
        db.close()
    with VillageBatch.resume(bank, "formula") as batch:
        line = lines(batch, tmp_path)[0]
    assert (line["f0"], line["f1"]) == ("'=cmd()", "-1.5")


def test_a_summary_counts_what_is_left() -> None:
    summary = BatchSummary("b", "东村", 5, 1, 4, {"record": 1, "damaged": 1}, 0, 0)
    assert summary.left == 2


def test_writing_the_result_leaves_no_draft(place: Place, bank: Bank, tmp_path: Path) -> None:
    with place.file(bank, "draft") as batch:
        out = tmp_path / "out.csv"
        with patch("bank_client.batch_results._rows", side_effect=OSError("full")), pytest.raises(OSError, match="full"):
            write_results(batch._journal, out)
        assert os.listdir(tmp_path) == []
        batch.write(out)
        assert os.listdir(tmp_path) == ["out.csv"]
        assert {line.split(",")[1] for line in out.read_text(encoding="utf-8-sig").splitlines()[1:]} == {"not-asked", "refused"}
