"""Constants that do not fit the type of their column: the server reads them when it parses the statement.

https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-CONSTANTS
"""

from __future__ import annotations

import re

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.types.types import SqlType
from migrator.parsing.nodes import Node, name_of

_WHOLE = frozenset(["smallint", "integer", "bigint"])
_INTEGER = re.compile(r"\s*[+-]?(\d(_?\d)*|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+)\s*")
"""Before 16 only decimal digits; then also other bases and underscores."""
_STRINGS = frozenset(["character varying", "character"])


def does_not_fit(value: Node, sql_type: SqlType, out: Recorder, *, stored: bool) -> None:
    """:param stored: whether rows get the value now, so that its length counts."""
    if sql_type.array or name_of(value) != "a_const" or not value.a_const.HasField("sval"):
        return
    text = value.a_const.sval.sval
    if sql_type.name in _WHOLE and not _INTEGER.fullmatch(text):
        out.fail("22P02", f'invalid input syntax for type {sql_type.name}: "{text}"')
    elif sql_type.name in _STRINGS and stored and sql_type.mods and len(text.rstrip(" ")) > sql_type.mods[0]:
        out.fail("22001", f"value too long for type {sql_type}")
