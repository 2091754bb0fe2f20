"""A statement as the server may parse it before anybody has reviewed it.

Parse looks the names of a query up and turns its literals into values. The input functions of arrays, composites and
ranges check the domains inside, so that turning '{a}' into one calls what somebody has written. NULL is of unknown type
as a literal is, and no input function of these is called for it (coerce_type in src/backend/parser/parse_coerce.c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrator.parsing.nodes import Node, find, name_of, strings
from migrator.parsing.statements import parse
from migrator.parsing.tokens import tokens

ANALYSED = frozenset(
    [
        "select_stmt",
        "insert_stmt",
        "update_stmt",
        "delete_stmt",
        "merge_stmt",
        "create_table_as_stmt",
        "explain_stmt",
        "declare_cursor_stmt",
        "call_stmt",
    ]
)
"""Statements that Parse looks into; of all others it reads the grammar alone (transformStmt in parse_analyze)."""
NAMES = frozenset(["regclass", "regnamespace", "regproc", "regprocedure", "regrole", "regtype", "regoperator"])
"""Types whose values are names, by which the engine asks whether something is there."""


@dataclass(frozen=True)
class Text:
    sql: str
    places: tuple[tuple[int, int], ...] = ()
    """Where a literal was taken out: offset behind it here, and there."""

    def place(self, offset: int) -> int:
        """The same place in the statement itself, in characters."""
        here, there = next(((h, t) for h, t in reversed(self.places) if h <= offset), (0, 0))
        return offset - here + there


def without_literals(sql: str) -> Text | None:
    """With NULL in the place of each; None when they cannot be told from the rest."""
    statements = parse(sql, file="").statements
    if len(statements) != 1:
        return None
    if statements[0].name not in ANALYSED:
        return Text(sql)
    node, place = statements[0].node, _Places(sql, statements[0].start)
    types = {
        place.of(cast.arg.a_const.location): place.of(cast.type_name.location)
        for cast in find(node, "TypeCast")
        if _is_prefixed(cast)
    }
    literals = {place.of(one.location) for one in find(node, "A_Const") if one.HasField("sval")}
    literals -= {place.of(cast.arg.a_const.location) for cast in find(node, "TypeCast") if _is_servers(cast)}
    return _replaced(sql, literals, types)


def _is_prefixed(cast: Node) -> bool:
    """DATE '2020-01-01', which has no place of its own (makeStringConstCast in gram.y)."""
    return bool(cast.location < 0 and name_of(cast.arg) == "a_const" and cast.arg.a_const.HasField("sval"))


def _is_servers(cast: Node) -> bool:
    """'users'::pg_catalog.regclass, which only PostgreSQL's own input function reads."""
    names = strings(cast.type_name.names)
    return name_of(cast.arg) == "a_const" and names[:-1] == ("pg_catalog",) and names[-1] in NAMES


class _Places:
    """The parser counts in bytes from the beginning of the statement."""

    def __init__(self, sql: str, start: int) -> None:
        self._start, self._encoded = start, sql[start:].encode()

    def of(self, location: int) -> int:
        return self._start + len(self._encoded[:location].decode(errors="ignore"))


def _replaced(sql: str, literals: set[int], types: Mapping[int, int]) -> Text:
    """:param types: of literals behind a type, where that begins."""
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    done = length = 0
    for token in tokens(sql):
        if token.start not in literals or token.kind != "string":
            continue
        begin = types.get(token.start, token.start)
        instead = f"CAST(NULL AS {sql[begin : token.start]})" if begin < token.start else "NULL"
        parts += [sql[done:begin], instead]
        length += begin - done + len(instead)
        done = token.end
        places.append((length, done))
    return Text("".join([*parts, sql[done:]]), tuple(places))
