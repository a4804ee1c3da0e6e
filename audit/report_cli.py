"""`xinqiao verify-report`: check an official yearly report: the office's signature, the files, the figures against the log."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated

import typer

from audit.offline import fail, statement_key
from audit.verifier.errors import LogError
from audit.verifier.log_check import Fetch, check_log, directory_fetch, http_fetch
from audit.verifier.merkle import leaf_hash, root_of
from audit.verifier.note import VerifierKey
from models.problems import Problem
from models.supervision.messages import YearlyReport
from models.supervision.recount import WrongFigure, recount
from models.wire import Signed, decode, open_signed

Word = Annotated[Path, typer.Argument(metavar="FILE", help="The office's signed word on the report (.signed).")]
Files = Annotated[list[Path] | None, typer.Option("--file", help="A file of the report: the table or a page; repeat it.")]
OfficeKey = Annotated[str, typer.Option("--office-key", help="The office's statement key, as `GET /keys` shows it (base64).")]
LogPlace = Annotated[
    str, typer.Option("--log", help="The office's log (an address or a mirror): count the table's figures again.")
]
LogKeys = Annotated[list[str] | None, typer.Option("--log-key", help="With --log: verifier key of the office's log.")]


def verify_report(file: Word, office_key: OfficeKey, files: Files = None, log: LogPlace = "", log_key: LogKeys = None) -> None:
    """Check an official yearly report. Ends with 1, and says why, if anything is wrong."""
    try:
        report = open_signed(decode(file.read_bytes(), Signed), YearlyReport, "office", statement_key(office_key))
        table = _check_files(report, files or [])
        typer.echo(
            f"The office signed report {report.number} of {report.year}; {len(files or [])} file(s) are as it signed them."
        )
        if log:
            if table is None or not log_key:
                raise ValueError("to count again, give the table with --file and the log's key with --log-key")
            right = recount(report, table, _entries(report, log, [VerifierKey.parse(key) for key in log_key]))
            typer.echo(f"{right} figures were counted again from the log, and are right.")
    except Problem as problem:
        fail(problem.detail)
    except (LogError, WrongFigure, ValueError, OSError) as error:
        fail(str(error))


def _check_files(report: YearlyReport, files: list[Path]) -> bytes | None:
    """The table, where it is among the files; raises ValueError for one that was not signed."""
    table = None
    for path in files:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in (report.csv, report.page_zh, report.page_en):
            raise ValueError(f"{path.name} is not a file of this report, or was changed")
        table = content if digest == report.csv else table
    return table


def _entries(report: YearlyReport, place: str, keys: list[VerifierKey]) -> list[bytes]:
    """The entries that the report was counted from, checked under the log's own signature and the report's root."""
    fetch: Fetch = http_fetch(place) if re.match(r"https?://", place) else directory_fetch(Path(place))
    entries: list[bytes] = []
    check_log(fetch, keys, on_entry=lambda _, entry: entries.append(entry))
    last = max(report.bases, key=lambda basis: basis.size)
    if len(entries) < last.size:
        raise ValueError("this copy of the log is older than the report; bring it up to date")
    for basis in report.bases:
        if root_of(map(leaf_hash, entries[: basis.size])) != basis.root:
            raise ValueError(f"the log is not the one that {basis.period} was counted from: its root is another")
    return entries[: last.size]
