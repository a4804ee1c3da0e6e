"""Department data in over HTTP: one CSV file of one field set, checked row by row, stored whole or not at all."""

from __future__ import annotations

import hashlib
import io
from datetime import date

from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from models.catalogue import CatalogueError
from models.loads import LoadReport, QuarantinedRow
from models.problems import BadFile, BadRequest, NotFound
from sharing_node.ingest.load import IngestReport, read_delivery, store_delivery
from sharing_node.ingest.reading import IngestError
from sharing_node.node import Node

MOST_REASONS_SHOWN = 20


class Loads:
    """Handlers about deliveries."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def load(self, call: Call) -> Within:
        """POST /loads?field_set=…&as_of=YYYY-MM-DD&name=…: a CSV file; bad rows go to quarantine with reasons."""
        field_set, name = call.query.get("field_set", ""), call.query.get("name", "upload.csv")
        try:
            as_of = date.fromisoformat(call.query.get("as_of", ""))
        except ValueError:
            raise BadRequest("as_of is the day that the data describe, as YYYY-MM-DD") from None
        if field_set not in self._node.catalogue.categories:
            raise NotFound("the catalogue has no such field set")
        folder = self._node.folder / "quarantine"
        folder.mkdir(mode=0o700, exist_ok=True)
        stream = io.BytesIO(call.body)
        try:
            # Read and checked before the transaction: while it is open, nobody else can write.
            delivery = read_delivery(self._node.catalogue, field_set, stream, identity_column=call.query.get("identity_column"))
        except (IngestError, CatalogueError) as error:
            raise BadFile(str(error)) from None

        def within(connection: Connection) -> Outcome:
            report = store_delivery(connection, delivery, stream, as_of=as_of, file_name=name, quarantine_folder=folder)
            facts = {
                "field_set": field_set,
                "batch": report.batch,
                "loaded": report.rows_loaded,
                "quarantined": len(report.quarantined),
            }
            # A digest of a file of few rows could be guessed open, so it stands under the opening's salt.
            opening = {"file": hashlib.sha256(call.body).hexdigest()}
            return Outcome(_answer(report), [LeafDraft("load", facts, opening)])

        return within


def _answer(report: IngestReport) -> LoadReport:
    shown = list(report.quarantined.items())[:MOST_REASONS_SHOWN]
    return LoadReport(
        batch=report.batch,
        field_set=report.field_set,
        encoding=report.encoding,
        rows_read=report.rows_read,
        rows_loaded=report.rows_loaded,
        rows_repeated=report.rows_repeated,
        rows_outdated=report.rows_outdated,
        rows_quarantined=len(report.quarantined),
        quarantined=tuple(QuarantinedRow(line=line, reasons=reasons) for line, reasons in shown),
        quarantine_file=report.quarantine_file.name if report.quarantine_file else "",
    )
