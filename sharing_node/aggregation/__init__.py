"""Sums over the banks of a project: sessions in the database, any worker takes any step, and only sums are seen.

::

    routes ─> sessions (who may, where a session stands, leaves) ─> steps (one round after its messages) ─> crypto
                       └──────────────> repository, tables (all SQL) <──────────┘
"""
