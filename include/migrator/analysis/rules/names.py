"""The names that PostgreSQL itself would choose, so that an alternative ends in the very schema of the statement.

makeObjectName and ChooseRelationName in src/backend/commands/indexcmds.c.
"""

from __future__ import annotations

from collections.abc import Collection

MAX_BYTES = 63
"""NAMEDATALEN - 1."""


def object_name(table: str, columns: str, label: str, *, taken: Collection[str] = ()) -> str:
    """ "messages_tenant_id_key": the table's name and the columns', shortened in turn until the label fits.

    :param columns: column names joined by "_"; "" for a primary key. :param taken: names that exist in the schema.
    """
    for number in range(len(taken) + 1):
        name = _fitting(table, columns, f"{label}{number or ''}")
        if name not in taken:
            return name
    raise AssertionError("one more candidate than names taken")


def _fitting(table: str, columns: str, label: str) -> str:
    first, second = table.encode(), columns.encode()
    room = MAX_BYTES - len(label.encode()) - 1 - (1 if columns else 0)
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    parts = (first.decode(errors="ignore"), second.decode(errors="ignore"), label)
    return "_".join(part for part in parts if part)
