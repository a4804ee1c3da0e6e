"""What goes into an epoch: whom the office lists, what the records say of them, and the fingerprint of all of it."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TextIO

import msgspec
from sqlalchemy import Connection

from models.consents import Eligibility, Objection, Repair, SensitiveCollection
from sharing_node.epochs.work import Work
from sharing_node.node import Node
from sharing_node.records.check_records import iterate_check_records
from sharing_node.records.marks import Marks
from sharing_node.records.repository import batches
from sharing_node.scores import score_records
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable

ELIGIBLE = "eligible"
_LINES = 20_000


@dataclass(frozen=True)
class Inputs:
    """What a build is made from, as it stood when the build was begun or taken up again."""

    table: StoredTable
    marks: Marks = field(repr=False)
    on: date
    eligible: Path
    fingerprint: bytes
    listed_at: int


def gather(node: Node, connection: Connection, table: StoredTable, work: Work) -> Inputs:
    """Fetch the office's list, a page at a time, into a sorted file, and take the fingerprint of everything."""
    sensitive = node.sensitive if table.model else node.sensitive.intersection(table.fields)
    marks, listed, listed_at = _fetch(node.office.eligibility(), work, sensitive)
    on = node.today()
    facts = {
        "table": [table.id, table.kind, table.fields, table.model],
        "on": on.isoformat(),
        "catalogue": node.catalogue.digest().hex(),
        "deliveries": [batch.batch for batch in batches(connection)],
        "models": sorted(state.models_released(connection)) if table.kind == "score" else [],
        "absent": {subject: sorted(names) for subject, names in sorted(marks.absent.items())},
        "disputed": {subject: sorted(names) for subject, names in sorted(marks.disputed.items())},
        "collected": {subject: sorted(names) for subject, names in sorted(marks.collected.items())},
        "listed": listed.hex(),
    }
    fingerprint = hashlib.sha256(msgspec.json.encode(facts)).digest()
    return Inputs(table, marks, on, work.path(ELIGIBLE), fingerprint, listed_at)


def _fetch(pages: Iterable[Eligibility], work: Work, sensitive: frozenset[str]) -> tuple[Marks, bytes, int]:
    """Write everybody with a collection consent into a sorted file; the few marks, the file's digest, and the list's time.

    The office's database may order ids in another way than by their bytes: then there are several sorted runs to merge.
    """
    objections: list[Objection] = []
    repairs: list[Repair] = []
    collections: list[SensitiveCollection] = []
    runs: list[Path] = []
    last = ""
    issued: list[int] = []
    with ExitStack() as files:
        file: TextIO | None = None
        for page in pages:
            objections += page.objections
            repairs += page.repairs
            collections += page.sensitive if sensitive else ()
            issued.append(page.issued_at)
            lines = sorted(f"{subject}\n" for subject in page.collection)
            if lines and (file is None or lines[0] <= last):
                runs.append(work.draft(ELIGIBLE))
                file = files.enter_context(runs[-1].open("w", encoding="utf-8"))
            if file is not None and lines:
                file.writelines(lines)
                last = lines[-1]
    with ExitStack() as files:
        merged = heapq.merge(*(files.enter_context(run.open(encoding="utf-8")) for run in runs))
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            while lines := list(islice(merged, _LINES)):
                piece = "".join(lines).encode()
                digest.update(piece)
                yield piece

        work.write(ELIGIBLE, pieces())
    work.tidy()
    return Marks.of(objections, repairs, sensitive, collections), digest.digest(), min(issued, default=0)


def plain_records(node: Node, inputs: Inputs) -> Iterator[tuple[str, bytes]]:
    """(id, plain record) of everybody whom the table serves, in strict order of ids."""
    with node.engine.connect() as connection:
        if inputs.table.kind == "score":
            yield from zip(*score_records(node, connection, state.model(connection, inputs.table.model)), strict=True)
            return
        fields = node.catalogue.select(inputs.table.fields)
        with inputs.eligible.open(encoding="utf-8") as listed:
            found = iterate_check_records(connection, fields, inputs.marks, inputs.on)
            yield from _joined(found, (line.rstrip("\n") for line in listed))


def _joined(found: Iterable[tuple[str, bytes]], listed: Iterator[str]) -> Iterator[tuple[str, bytes]]:
    """Those pairs whose id is listed; both come in order."""
    current = next(listed, None)
    for subject, record in found:
        while current is not None and current < subject:
            current = next(listed, None)
        if current is None:
            return
        if current == subject:
            yield subject, record
