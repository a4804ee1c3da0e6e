"""What a batch found, for people: one CSV line for each line of the list that was given, in its order.

Columns: `subject` as given; `status`; `reason` of a refusal or damage; one for each field; for each category the department
and the day its data speak of; `disputed` (names of fields, separated by semicolons); `epoch` and `leaf`, by which the
question is found in the node's log. Statuses:

=============  ==========================================================================================
record         the record stands in the fields; where `disputed` names one, what it says may be wrong
no-record      the table has no record of this subject
no-consent     a consent is missing, expired or revoked; nothing was asked
refused        refused for another reason; nothing was asked
damaged        what came does not match what was signed; the office has been told, and decides what comes next
not-asked      not yet, or its result was lost: run the batch again
=============  ==========================================================================================

The file is UTF-8 with a byte order mark, so that spreadsheets show Chinese; a text that they would take for a formula gets
an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bank_client.batch_journal import FINAL, REFUSED, Journal
from models.durable import draft_of
from models.problems import BadMessage
from models.records import CheckRecord, RecordForm
from models.spreadsheets import safe_cell
from models.tables import Manifest, ScoreRecord

NOT_ASKED = "not-asked"
_BEFORE, _AFTER = ("subject", "status", "reason"), ("disputed", "epoch", "leaf")
_SCORE = RecordForm(("band", "reasons"), ())


def form_of(manifest: Manifest) -> RecordForm:
    """Fields and categories of a table's records; those of a score table are its band and reasons."""
    return _SCORE if manifest.kind == "score" else RecordForm.of(manifest)


def read_record(manifest: Manifest, record: bytes) -> CheckRecord:
    """A cell's record, whatever kind of table it is from; raises `BadMessage`."""
    if manifest.kind != "score":
        return form_of(manifest).decode(record)
    try:
        score = msgspec.json.decode(record, type=ScoreRecord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadMessage("this is not the record of a score table") from None
    return CheckRecord(fields={"band": score.band, "reasons": "; ".join(score.reasons)}, sources={})


def to_json(manifest: Manifest, record: bytes) -> bytes:
    """What `read_record` gives, as JSON."""
    return msgspec.json.encode(read_record(manifest, record))


def is_disputed(record: bytes) -> bool:
    """Whether a record that `to_json` gave has a disputed field."""
    return bool(msgspec.json.decode(record, type=CheckRecord).disputed)


def write_results(journal: Journal, path: Path) -> None:
    """Write the CSV file, mode 0600, whole or not at all."""
    with draft_of(path.absolute()) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        csv.writer(text).writerows(_rows(journal))
        text.detach()


def _rows(journal: Journal) -> Iterator[list[object]]:
    fields, categories = journal.form
    taken = {*_BEFORE, *_AFTER}
    named = [f"field:{name}" if name in taken else name for name in fields]
    sources = [f"{category}:{what}" for category in categories for what in ("department", "as_of")]
    yield [*_BEFORE, *named, *sources, *_AFTER]
    for given, settled, _ in journal.results():
        if settled is None:
            yield [safe_cell(given.text), REFUSED, given.reason, *[""] * (len(fields) + len(sources) + len(_AFTER))]
            continue
        record = CheckRecord(fields={}, sources={})
        if settled.record is not None:
            record = msgspec.json.decode(settled.record, type=CheckRecord)
        found = [record.sources.get(category) for category in categories]
        yield [
            safe_cell(given.text),
            settled.state if settled.state in FINAL else NOT_ASKED,
            settled.reason,
            *(_cell(record.fields.get(name, "")) for name in fields),
            *(value for source in found for value in (("", "") if source is None else (source.department, source.as_of))),
            ";".join(record.disputed),
            "" if settled.epoch is None else settled.epoch,
            "" if settled.leaf is None else settled.leaf,
        ]


def _cell(value: object) -> object:
    return safe_cell(value) if isinstance(value, str) else value
