"""What records were made from, for a model's card: the deliveries of each field set up to a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from sqlalchemy import Connection

from models.scorecard.card import DataSource
from sharing_node.records.repository import batches


def data_sources(connection: Connection, field_sets: Collection[str], until: int) -> tuple[DataSource, ...]:
    """One entry for each of these field sets that had a delivery in or before the second `until`, sorted by field set."""
    found = []
    for field_set in sorted(field_sets):
        delivered = [batch for batch in batches(connection, field_set) if batch.loaded_at.timestamp() < until + 1]
        if delivered:
            digests = b"".join(sorted(batch.file_digest for batch in delivered))
            found.append(
                DataSource(
                    field_set=field_set,
                    departments=tuple(sorted({batch.source_department for batch in delivered})),
                    as_of=max(batch.as_of for batch in delivered).isoformat(),
                    deliveries=len(delivered),
                    digest=hashlib.sha256(digests).hexdigest(),
                )
            )
    return tuple(found)
