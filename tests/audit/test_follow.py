"""Following a log: any split into stretches verifies, and what was cut, changed or forked in between is named."""

from __future__ import annotations

import pytest

from audit.verifier.errors import DamagedLog
from audit.verifier.follow import follow_log
from audit.verifier.merkle import CompactRange
from tests.audit import reference
from tests.audit.logs import OFFICE, SIGNER, entries_of
from tests.audit.test_tiles import fetch_of

KEYS = [SIGNER.key]


def test_in_stretches() -> None:
    tree = CompactRange()
    for size in (0, 1, 255, 256, 300, 300, 700):
        seen: list[tuple[int, int]] = []
        new = size - tree.size
        files = reference.log_files(entries_of(size), SIGNER)
        followed = follow_log(fetch_of(files), tree, KEYS, progress=lambda done, all_: seen.append((done, all_)))  # noqa: B023
        assert followed.tree.root() == followed.signed.checkpoint.root == reference.mth(entries_of(size))
        assert seen[-1:] == ([(new, new)] if new else [])
        tree = followed.tree


@pytest.mark.attack
def test_what_changed_in_between() -> None:
    known = follow_log(fetch_of(reference.log_files(entries_of(300), SIGNER)), CompactRange(), KEYS).tree
    forked = reference.log_files([b"other", *entries_of(700)[1:]], SIGNER)
    with pytest.raises(DamagedLog, match="changed or forked"):
        follow_log(fetch_of(forked), known, KEYS)
    with pytest.raises(DamagedLog, match="cut or set back"):
        follow_log(fetch_of(reference.log_files(entries_of(299), SIGNER)), known, KEYS)
    files = reference.log_files(entries_of(700), SIGNER)
    for path, changed, where in (
        ("tile/entries/002.p/188", files["tile/entries/002.p/188"][:-1], "entry 699"),
        ("tile/entries/001", reference.log_files(entries_of(300), SIGNER)["tile/entries/001.p/44"], "entry 300"),
        ("checkpoint", files["checkpoint"].replace(b"\n700\n", b"\n701\n"), "checkpoint"),
    ):
        with pytest.raises(DamagedLog) as caught:
            follow_log(fetch_of(files | {path: changed}), known, KEYS)
        assert caught.value.where == where
    with pytest.raises(DamagedLog, match="witnesses"):
        follow_log(fetch_of(files), known, KEYS, [OFFICE.key], 1)
    with pytest.raises(DamagedLog, match="no checkpoint"):
        follow_log(fetch_of({}), known, KEYS)
    assert known.size == 300, "what was verified before is left as it was"
