"""The one door through which the texts of a migration's files go to a server.

One statement by construction: in the extended protocol a text of two is refused by the server itself, with 42601
(https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY). Before each it is looked whether
the server would read the bytes as the parser has read them; the server reports these settings with every change, so no
query is sent for it, and no snapshot taken.
"""

from __future__ import annotations

from typing import Any

import psycopg

from migrator.errors import StatementFailed
from migrator.plan import Statement

READ_AS = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""As the parser reads a file. Both are reported by the server (GUC_REPORT in src/backend/utils/misc/guc_tables.c)."""


def send(conn: psycopg.Connection[Any], sql: str, *, statement: Statement | None = None) -> psycopg.Cursor[Any]:
    """Send one statement that somebody else has written. Errors are psycopg's: use it inside `translated`.

    :param statement: where the text stands, for the message.
    :raises StatementFailed: an earlier statement has changed how the server reads text; nothing was sent.
    """
    _require_read_as(conn, statement)
    return conn.execute(sql.encode(), binary=True)  # binary results: that is what makes psycopg use the protocol


def lock_named(conn: psycopg.Connection[Any], sql: str, *, statement: Statement | None = None) -> None:
    """Have the server read one query and run nothing of it. It locks what the query and the views in it name, and keeps
    that until the transaction ends: whoever has to wait waits here. Errors as in `send`.
    """
    _require_read_as(conn, statement)
    result = conn.pgconn.prepare(b"", sql.encode())
    if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result, encoding=conn.info.encoding)


def _require_read_as(conn: psycopg.Connection[Any], statement: Statement | None) -> None:
    for name, wanted in READ_AS.items():
        now = conn.info.parameter_status(name)
        if now != wanted:
            place = f"{statement.file}:{statement.line}: " if statement is not None else ""
            raise StatementFailed(
                f"{place}a statement before this one has set {name} to {now!r}: the server would read another text than"
                f" the one that was analysed and reviewed; take that setting out",
                sqlstate="22023",
                file=statement.file if statement is not None else None,
                line=statement.line if statement is not None else None,
                statement=statement.index if statement is not None else None,
            )
