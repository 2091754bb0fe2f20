"""Bodies in PL/pgSQL: the SQL statements in the order of the text, and EXECUTE, whose text nobody knows before.

Names of nodes and fields are those of src/pl/plpgsql/src/plpgsql.h, as libpg_query writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.routines import plpgsql_faults
from migrator.parsing.routines.body import Body
from migrator.parsing.routines.constants import constant, variables
from migrator.parsing.routines.contents import Contents, Gap, Piece
from migrator.parsing.routines.drafts import Draft, drafted
from migrator.parsing.statements import plpgsql_tree, plpgsql_tree_of_body

_LOOPS = frozenset(f"PLpgSQL_stmt_{name}" for name in ("loop", "while", "fori", "fors", "forc", "foreach_a", "dynfors"))
_BRANCHES = frozenset(["then_body", "elsif_list", "else_body", "case_when_list", "exceptions"])
_DYNAMIC = {
    ("PLpgSQL_stmt_dynexecute", "query"),
    ("PLpgSQL_stmt_dynfors", "query"),
    ("PLpgSQL_stmt_open", "dynquery"),
    ("PLpgSQL_stmt_return_query", "dynquery"),
}
_DEFAULT, _ASSIGNMENTS = 0, (3, 4, 5)  # RawParseMode in src/include/parser/parser.h
_ENDS = {"PLpgSQL_stmt_commit": "COMMIT", "PLpgSQL_stmt_rollback": "ROLLBACK"}


def read(body: Body) -> Contents:
    tree = plpgsql_tree(body.statement.sql)
    if not isinstance(tree, str) and not all("action" in item.get("PLpgSQL_function", ()) for item in tree):
        tree = f"the parser does not take {body.language} for it"  # 'PLpgSQL' in quotes
    if isinstance(tree, str):
        message, tree = tree, plpgsql_tree_of_body(body.text)
        if isinstance(tree, str):
            fault = plpgsql_faults.find(body, (message, tree))
            if fault is not None:
                return Contents(faults=(fault,))
            return Contents(
                gaps=(Gap(body.statement.start, body.statement.kind, f"its body cannot be read: {message}"),)
            )
    reader = _Reader(body, variables(tree))
    for item in _expressions(tree):
        reader.take(item)
    return Contents(tuple(reader.pieces), tuple(reader.gaps), drafts=tuple(reader.drafts))


@frozen
class _Found:
    owner: str
    field: str
    value: Mapping[str, Any]
    line: int
    conditional: bool
    looped: bool
    caught: tuple[str, ...] = ()


def _expressions(tree: Any) -> Iterator[_Found]:
    """Expressions and transaction commands, in the order of the text."""
    stack: list[tuple[Any, str, str, int, bool, bool, tuple[str, ...]]] = [(tree, "", "", 1, False, False, ())]
    while stack:
        item, owner, name, line, conditional, looped, caught = stack.pop()
        if isinstance(item, list):
            stack.extend((part, owner, name, line, conditional, looped, caught) for part in reversed(item))
            continue
        if not isinstance(item, dict):
            continue
        pairs = list(reversed(item.items()))
        if owner in _LOOPS:  # its query stands before its body in the text, but after it in the tree
            pairs.sort(key=lambda pair: pair[0] != "body")
        for key, value in pairs:
            if key == "PLpgSQL_expr":
                yield _Found(owner, name, value, line, conditional, looped, caught)
                continue
            inside = key.startswith("PLpgSQL_")
            if key in _ENDS:
                yield _Found(key, "", {"query": _ENDS[key]}, value.get("lineno", line), conditional, looped, caught)
            stack.append(
                (
                    value,
                    key if inside else owner,
                    "" if inside else key,
                    value.get("lineno", line) if inside and isinstance(value, dict) else line,
                    conditional or key in _BRANCHES,
                    looped or (key == "body" and owner in _LOOPS),
                    caught + _conditions(item["exceptions"]) if key == "body" and "exceptions" in item else caught,
                )
            )


def _conditions(handlers: Any) -> tuple[str, ...]:
    """Names, or SQLSTATEs, after WHEN of an EXCEPTION block."""
    block = handlers.get("PLpgSQL_exception_block", {})
    every = (item.get("PLpgSQL_exception", {}).get("conditions", ()) for item in block.get("exc_list", ()))
    return tuple(str(item.get("PLpgSQL_condition", {}).get("condname", "")) for found in every for item in found)


@dataclass
class _Reader:
    body: Body
    known: Mapping[str, str]
    """Variables that keep their text."""
    pieces: list[Piece] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    position: int = 0

    def take(self, found: _Found) -> None:
        query, mode = str(found.value.get("query", "")), found.value.get("parseMode", _DEFAULT)
        if (found.owner, found.field) in _DYNAMIC:
            text = constant(query, self.known)
            if text is None:
                offset = self._place(found.line, "execute")
                self.gaps.append(Gap(offset, "EXECUTE", f"its text is put together at run time: {_short(query)}"))
                self.drafts.append(Draft(drafted(query, self.known), offset, query))
                return
            self._add(text, self._place(found.line, "execute"), found)
        elif mode == _DEFAULT:
            word = "perform" if found.owner == "PLpgSQL_stmt_perform" else query.split(None, 1)[0] if query else ""
            self._add(query, self._place(found.line, word), found)
        elif _names_something(query):
            for text in _assignment(query) if mode in _ASSIGNMENTS else (query,):
                if _names_something(text):
                    self._add(f"SELECT {text}", self._place(found.line, ""), found, value=True)

    def _add(self, sql: str, offset: int, found: _Found, *, value: bool = False) -> None:
        self.pieces.append(Piece(sql, offset, found.conditional, found.looped, value, found.caught))

    def _place(self, line: int, word: str) -> int:
        """Where in the file the statement begins: the first such word that was not taken yet, from its line on."""
        start = line_start(self.body.text, line)
        after = max(start, self.position)
        found = first_word(self.body.text, after, word) if word else None
        if found is not None:
            self.position = found + len(word)
            return self.body.offset + found
        indent = re.match(r"\s*", self.body.text[start:])
        return self.body.offset + start + (indent.end() if indent else 0)


_NAMING = re.compile(r"\(|::|\bcollate\b|[!@#%^&`?~]|[-+*/<>=|]{3,}", re.IGNORECASE)


def _names_something(query: str) -> bool:
    """Whether an expression may name a function, a type, a collation or an uncommon operator, not variables alone."""
    return _NAMING.search(query) is not None


def _assignment(query: str) -> tuple[str, str]:
    """What an assignment evaluates: the target, which may have subscripts, and the value. Named arguments have the
    same signs, within parentheses."""
    depth = 0
    for token in lexer.tokens(query):
        depth += (token.kind == "left") - (token.kind == "right")
        if depth == 0 and token.kind == "operator" and token.text.startswith("="):
            return query[: token.start].rstrip().removesuffix(":"), query[token.start + 1 :]
    return "", query


def first_word(text: str, start: int, word: str) -> int | None:
    """Offset of a word at or after `start`, outside of quotes and comments."""
    for token in lexer.tokens(text, start):
        if token.kind == "word" and token.text.lower() == word.lower():
            return token.start
    return None


def line_start(text: str, line: int) -> int:
    """Offset of the first character of a line, counted from 1."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
        if start == 0:
            return len(text)
    return start


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
