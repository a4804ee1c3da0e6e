"""How department files get in: read, checked row by row, stored whole or not at all, faults sent back."""

from sharing_node.ingest.load import IngestReport, ingest_csv
from sharing_node.ingest.reading import IngestError
from sharing_node.ingest.template import description, template, templates

__all__ = ["IngestError", "IngestReport", "description", "ingest_csv", "template", "templates"]
