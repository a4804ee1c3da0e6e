"""The data catalogue that node, office and banks share: fields, grades, sharing modes, and the rule on who sees what."""

from models.catalogue.catalogue import (
    IDENTITY_COLUMNS,
    SUBJECT_TYPE_COLUMN,
    Catalogue,
    FieldSet,
    Identity,
    default_catalogue,
)
from models.catalogue.field import (
    SUBJECT_TYPES,
    CatalogueError,
    Field,
    Grade,
    Mode,
    Use,
    ValueKind,
    effective_mode,
    shareable,
)
from models.catalogue.statement import CatalogueStatement

__all__ = [
    "IDENTITY_COLUMNS",
    "SUBJECT_TYPES",
    "SUBJECT_TYPE_COLUMN",
    "Catalogue",
    "CatalogueError",
    "CatalogueStatement",
    "Field",
    "FieldSet",
    "Grade",
    "Identity",
    "Mode",
    "Use",
    "ValueKind",
    "default_catalogue",
    "effective_mode",
    "shareable",
]
