"""Storage of subjects and their records; ``repository`` holds all SQL, ``tables`` the schema."""

from sharing_node.records.repository import (
    NewBatch,
    NewSubject,
    StoredRecord,
    add_batch,
    batches,
    iterate_record_bytes,
    numeric_columns,
    records_of,
    subject_types,
    subjects_newer_than,
    upsert_records,
    upsert_subjects,
)
from sharing_node.records.tables import LoadBatch, Record, Subject

__all__ = [
    "LoadBatch",
    "NewBatch",
    "NewSubject",
    "Record",
    "StoredRecord",
    "Subject",
    "add_batch",
    "batches",
    "iterate_record_bytes",
    "numeric_columns",
    "records_of",
    "subject_types",
    "subjects_newer_than",
    "upsert_records",
    "upsert_subjects",
]
