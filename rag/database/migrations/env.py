"""Runs migrations on the connection that `rag.database.schema` hands over, inside its transaction."""

from alembic import context

from rag.database import user_tables as app_tables  # noqa: F401 - adds its tables to the schema
from rag.database.schema import metadata

if hasattr(context, "config"):  # not where pytest imports every module, to look for examples in it
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
        version_table="alembic_version",
    )
    with context.begin_transaction():
        context.run_migrations()
