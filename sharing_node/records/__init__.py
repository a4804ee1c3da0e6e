"""Storage of subjects and their records.

``repository`` holds all SQL, ``tables`` the schema, ``marks`` what may not be shown, ``check_records`` what a check shows.
"""

from sharing_node.records.check_records import iterate_check_records
from sharing_node.records.marks import Marks
from sharing_node.records.repository import (
    NewBatch,
    NewSubject,
    StoredRecord,
    add_batch,
    batches,
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
    "Marks",
    "NewBatch",
    "NewSubject",
    "Record",
    "StoredRecord",
    "Subject",
    "add_batch",
    "batches",
    "iterate_check_records",
    "numeric_columns",
    "records_of",
    "subject_types",
    "subjects_newer_than",
    "upsert_records",
    "upsert_subjects",
]
