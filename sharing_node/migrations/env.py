"""Alembic's entry: runs the revisions on the engine that `sharing_node.migrate` hands over."""

from __future__ import annotations

from alembic import context

import sharing_node.app  # noqa: F401 - declares every table
from sharing_node.database import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
