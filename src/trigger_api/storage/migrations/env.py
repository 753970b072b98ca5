"""Alembic's entry point: runs over the connection that ``storage.migration`` passes in."""

from __future__ import annotations

from alembic import context

from trigger_api.storage.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
