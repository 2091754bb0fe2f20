"""The lines of a server's CONTEXT that name a function and a line, and nothing else of it.

A CONTEXT holds the texts of statements and the arguments of calls, so it is never told as it is. One frame follows the
other, the innermost first, and the text of a statement inside may look like frames of its own. So only those are read
that cannot be such a text: from the first line on, which is where a frame begins, and back from the last, which is
where one ends. The texts of statements end with a quotation mark, which no frame of a function does; that of a tuple
does, so it is read from the first line on only.

The frames are made by plpgsql_exec_error_callback (src/pl/plpgsql/src/pl_exec.c), sql_exec_error_callback
(src/backend/executor/functions.c), CopyFromErrorCallback (src/backend/commands/copyfrom.c) and _SPI_error_callback
(src/backend/executor/spi.c).
"""

from __future__ import annotations

import re

_STATEMENTS = (
    "statement block|assignment|IF|CASE|LOOP|WHILE|FOR with integer loop variable|FOR over SELECT rows|FOR over cursor"
    "|FOREACH over array|EXIT|CONTINUE|RETURN|RETURN NEXT|RETURN QUERY|RAISE|ASSERT|SQL statement|EXECUTE"
    "|FOR over EXECUTE statement|GET DIAGNOSTICS|GET STACKED DIAGNOSTICS|OPEN|FETCH|MOVE|CLOSE|PERFORM|CALL|DO|COMMIT"
    "|ROLLBACK"
)
"""plpgsql_stmt_typename in src/pl/plpgsql/src/pl_funcs.c."""
_FRAMES = (
    re.compile(rf"PL/pgSQL (function \S.* line \d+ at (?:{_STATEMENTS}))"),
    re.compile(r"PL/pgSQL (function \S.*(?: line \d+)? (?:during|while) [a-z' ]+)"),
    re.compile(r'(SQL function "[^"]+" (?:statement \d+|during startup|during inlining))'),
    re.compile(r'compilation of PL/pgSQL (function "[^"]+" near line \d+)'),
    re.compile(
        r"(while (?:updating|deleting|locking|inserting index|rechecking updated) tuple \(\d+,\d+\) in relation"
        r' "[^"]+")'
    ),
)
_COPY = re.compile(r"(COPY [^\s,:]+, line \d+(?:, column [^\s:]+)?)(?::.*)?")
"""The line of the file and the name of the column; what follows is the line's text."""
_STATIC = re.compile(r"PL/pgSQL function \S.* line \d+ at (?:SQL statement|PERFORM)")
"""What these run has a frame of its own, unless the error is in the very text that they have in the body."""
_REMOTE = "remote SQL command: "
"""Of postgres_fdw, whose frame ends with the text of a statement (pgfdw_report_error in contrib/postgres_fdw)."""


def frames(context: str | None) -> tuple[str, ...]:
    """The functions and lines that are certain, the innermost first."""
    lines = (context or "").split("\n")
    inner: list[str] = []
    for line in lines:
        if copied := _COPY.fullmatch(line):
            inner.append(copied[1])
            break
        if (found := _frame(line)) is None:
            break
        inner.append(found)
    outer: list[str] = []
    for line in reversed(lines[len(inner) :]):
        if (found := _frame(line)) is None or found.endswith('"') or _REMOTE in (context or ""):
            break
        outer.append(found)
    return (*inner, *reversed(outer))


def is_written(context: str | None, internal_query: str | None) -> bool:
    """Whether the text that the server was reading is one that somebody has written: the statement that was sent, or a
    statement in the body of a function. The text that EXECUTE, query_to_xml() or a cast to regtype makes at run time
    may have been put together from rows. PL/pgSQL's other statements evaluate expressions without a frame of their own,
    so for those it is not certain."""
    lines = (context or "").split("\n")
    if not context:
        return internal_query is None
    return internal_query is not None and _STATIC.fullmatch(lines[0]) is not None


def _frame(line: str) -> str | None:
    for pattern in _FRAMES:
        if found := pattern.fullmatch(line):
            return found[1]
    return None
