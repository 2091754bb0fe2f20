"""Where in a file the body of a DO block, function or procedure stands, and in which language it is."""

from __future__ import annotations

import re

from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.nodes import Node
from migrator.parsing.statements import ParsedStatement


@frozen
class Body:
    language: str
    """In lower case: "plpgsql", "sql", "c", ..."""
    text: str
    offset: int
    """Where the text begins in the file, in characters. In a body quoted with '...' what follows a doubled quote
    stands further right in the file than this says; lines are always right."""
    statement: ParsedStatement
    """The statement that has the body."""
    elsewhere: bool = False
    """The text is the catalog's, and not in the file."""
    standard: bool = False
    """BEGIN ATOMIC ... END or RETURN: SQL that is parsed when the function is created."""


def body_of(statement: ParsedStatement) -> Body | None:
    """None when the statement has no body, or one that is not in the file (a C function's library)."""
    if statement.name == "do_stmt":
        options, language = statement.tree.args, "plpgsql"
    elif statement.name == "create_function_stmt":
        options, language = statement.tree.options, "sql"
    else:
        return None
    source: Node | None = None
    for item in options:
        element = item.def_elem
        if element.defname == "language":
            language = element.arg.string.sval.lower()
        elif element.defname == "as":
            source = element
    if source is None:
        return _standard(statement) if statement.name == "create_function_stmt" else None
    parts = source.arg.list.items if source.arg.HasField("list") else [source.arg]
    if len(parts) != 1:
        return None
    return Body(language, parts[0].string.sval, statement.start + _opening(statement.sql, source.location), statement)


def own_settings(statement: ParsedStatement) -> tuple[Node, ...]:
    """What CREATE FUNCTION ... SET sets while the body runs, each as a statement."""
    options = statement.tree.options if statement.name == "create_function_stmt" else ()
    return tuple(item.def_elem.arg for item in options if item.def_elem.defname == "set")


def _opening(sql: str, location: int) -> int:
    """Offset in characters of the first character inside the quotes that begin at or after `location` (in bytes)."""
    start = len(sql.encode()[:location].decode(errors="ignore"))
    for token in lexer.tokens(sql, start):
        if token.kind == "string":
            quote = re.match(r"\$[^$]*\$|[^']*'", token.text)
            return token.start + (quote.end() if quote else 0)
    return start


def _standard(statement: ParsedStatement) -> Body | None:
    """The last BEGIN ATOMIC or RETURN outside of parentheses."""
    before, depth = "", 0
    for token in lexer.tokens(statement.sql):
        if token.kind in ("space", "comment"):
            continue
        depth += (token.kind == "left") - (token.kind == "right")
        word = token.text.lower()
        if depth == 0 and before == "begin" and word == "atomic":
            end = statement.sql.lower().rindex("end")
            text = statement.sql[token.end : max(end, token.end)]
            return Body("sql", text, statement.start + token.end, statement, standard=True)
        if depth == 0 and word == "return":
            return Body("sql", statement.sql[token.start :], statement.start + token.start, statement, standard=True)
        before = word
    return None
