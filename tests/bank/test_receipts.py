"""Receipts that nobody waits for: completed aside, by the next session, or reported when they do not come."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from unittest.mock import patch

import pytest

from bank_client import Bank, PrivateQuery
from bank_client.receipts import PAUSE, receipt_files
from models.logged import LeafRef
from models.problems import Damaged
from tests.bank.village import CONSENTED, PROJECT, Place


def asked(place: Place, bank: Bank) -> LeafRef:
    """A check whose receipt is owed."""
    result = PrivateQuery(bank, PROJECT, place.table).ask(CONSENTED[7], wait_receipt=False)
    assert (result.receipt, result.record is not None, len(result.ticket)) == (None, True, 64)
    assert result.leaf is not None
    return result.leaf


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what() and time.monotonic() < end:
        time.sleep(PAUSE / 10)
    assert what()


def test_a_receipt_is_completed_aside(place: Place) -> None:
    with place.bank() as bank:
        leaf = asked(place, bank)
        until(lambda: bank.owed.count() == 0)
        proof, entry = receipt_files(bank, leaf.index)
        assert proof.read_text().startswith("c2sp.org/tlog-proof@v1")
        assert {stat.S_IMODE(file.stat().st_mode) for file in (proof, entry)} == {0o600}


def test_what_a_session_leaves_owed_the_next_one_completes(place: Place) -> None:
    with place.bank() as bank, patch.object(Bank, "try_receipt", return_value=None):
        leaf = asked(place, bank)
        assert bank.owed.count() == 1
    with place.bank() as bank:
        PrivateQuery(bank, PROJECT, place.table).ask(CONSENTED[8])
        until(lambda: bank.owed.count() == 0)
        assert all(file.exists() for file in receipt_files(bank, leaf.index))


def test_a_promise_that_is_not_kept_within_a_minute_goes_to_the_office_once(place: Place) -> None:
    alarms = len(place.alarms())
    with place.bank() as bank, patch.object(Bank, "try_receipt", return_value=None):
        with patch.object(bank.owed, "work_aside"):
            leaf = asked(place, bank)
        [owed] = (bank.config.data_dir / "receipts" / "owed").glob("*.leaf")
        assert bank.owed.complete() == 1, "not yet"
        os.utime(owed, (time.time() - 61, time.time() - 61))
        with pytest.raises(Damaged, match="no cosigned receipt"):
            bank.owed.complete()
        assert bank.owed.complete() == 0
    [alarm] = place.alarms()[alarms:]
    assert leaf.promise in alarm.evidence


def test_a_file_that_cannot_be_read_is_dropped(place: Place) -> None:
    with place.bank() as bank:
        folder = bank.config.data_dir / "receipts" / "owed"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "3.leaf").write_bytes(b"half")
        assert bank.owed.complete() == 0
        assert not (folder / "3.leaf").exists()
