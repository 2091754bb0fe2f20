"""Rows whose value does not fit a new type: the server computes the value of each of them, and tells where it fails.

Assignment in PL/pgSQL converts as ALTER COLUMN TYPE does: by a cast that is allowed in assignment, so that a text that
is too long for varchar(5) is refused and not cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from migrator.analysis.data_checks.suspects import Suspect
from migrator.database.door import send
from migrator.database.naming import names_of_target
from migrator.database.session import Connection

_BLOCK = """
#variable_conflict use_column
DECLARE
    migrator_one pg_catalog.record;
    migrator_value {type};
    migrator_rows pg_catalog.int8 := 0;
    migrator_state pg_catalog.text;
    migrator_keys pg_catalog.jsonb := '[]';
BEGIN
    FOR migrator_one IN
        SELECT tableoid AS migrator_table, ctid AS migrator_place, pg_catalog.jsonb_build_array({keys}) AS migrator_key
        FROM {source}
    LOOP
        BEGIN
            SELECT {value} INTO migrator_value
            FROM {source}
            WHERE
                ctid OPERATOR(pg_catalog.=) migrator_one.migrator_place
                AND tableoid OPERATOR(pg_catalog.=) migrator_one.migrator_table;
        EXCEPTION WHEN OTHERS THEN
            IF SQLSTATE OPERATOR(pg_catalog.!~) '^(22|23|P0)' THEN
                RAISE;
            END IF;
            migrator_state := coalesce(migrator_state, SQLSTATE);
            migrator_rows := migrator_rows OPERATOR(pg_catalog.+) 1;
            IF migrator_rows OPERATOR(pg_catalog.<=) {samples} THEN
                migrator_keys := migrator_keys
                    OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_array(migrator_one.migrator_key);
            END IF;
        END;
    END LOOP;
    PERFORM pg_catalog.set_config(
        'migrator.misfits',
        pg_catalog.jsonb_build_object('rows', migrator_rows, 'state', migrator_state, 'keys', migrator_keys)
        ::pg_catalog.text,
        true
    );
END
"""


def misfits(
    conn: Connection, suspect: Suspect, source: str, keys: Sequence[str], samples: int
) -> tuple[int, list[list[Any]], str]:
    """How many rows, the keys of a few of them, and the SQLSTATE of the first.

    :param source: the table, as it stands after FROM. :param keys: SQL expressions, as text in the answer.
    """
    block = _BLOCK.format(
        type=suspect.value_type,
        value=suspect.value,
        source=source,
        keys=", ".join(f"pg_catalog.format('%s', {key})" for key in keys),  # by their output functions, and no cast
        samples=samples,
    )
    tag = "$migrator$"
    while tag in block:
        tag = f"{tag[:-1]}_$"
    with names_of_target(conn):
        send(conn, f"DO {tag}{block}{tag}")
    row = conn.execute("SELECT pg_catalog.current_setting('migrator.misfits')").fetchone()
    found = json.loads(row[0]) if row else {}
    return int(found["rows"]), found["keys"], found["state"] or suspect.sqlstate
