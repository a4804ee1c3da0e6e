"""Alembic's entry: runs the revisions on the engine that `audit.office.migrate` hands over."""

from __future__ import annotations

from alembic import context

from audit.office import approval_tables as _approval_tables  # noqa: F401 - adds to the metadata
from audit.office import audit_tables as _audit_tables  # noqa: F401 - adds to the metadata
from audit.office import exposure_tables as _exposure_tables  # noqa: F401 - adds to the metadata
from audit.office import private_tables as _private_tables  # noqa: F401 - adds to the metadata
from audit.office import retention_tables as _retention_tables  # noqa: F401 - adds to the metadata
from audit.office import rights_tables as _rights_tables  # noqa: F401 - adds to the metadata
from audit.office import supervision_tables as _supervision_tables  # noqa: F401 - adds to the metadata
from audit.office.tables import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
