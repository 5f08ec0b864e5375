"""Tables that only grow: the database itself refuses UPDATE, DELETE and TRUNCATE."""

from __future__ import annotations

from django.db import migrations

_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""


def append_only(table: str) -> migrations.RunSQL:
    """Return the reversible migration operation that makes `table` append-only."""
    trigger = f"{table}_append_only"
    return migrations.RunSQL(
        sql=f"""{_FUNCTION}
            CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();""",
        reverse_sql=f"DROP TRIGGER {trigger} ON {table};",
    )
