"""SQL text to statements with PostgreSQL's own grammar: the one file that knows the parser.

The parser is libpg_query 18 through postgast (BSD-2-Clause). Each statement is parsed by itself, so one that is wrong
hides nothing behind it. Importing the parser costs 0.1 s, so it happens at the first parse.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from migrator.frozen import frozen
from migrator.parsing import kinds, lexer, shell
from migrator.parsing.aside import NOTHING_ASIDE, Aside
from migrator.parsing.lexer import Segment
from migrator.parsing.measures import measure
from migrator.parsing.nodes import Node, enum, name_of
from migrator.parsing.parts import parts_of
from migrator.parsing.sql_text import Lines, SqlText, decode
from migrator.parsing.syntax_hints import hint_for
from migrator.problems import Problem

GRAMMAR = 18
"""Major version of PostgreSQL whose grammar this is."""

_BROKEN_DATUM = re.compile(r"(?<=[\[,])\{\}\}(?=[,\]])")
_TYPE_OF = re.compile(r"[\w$\".]+\s*%\s*(?:row)?type\b", re.IGNORECASE)

MAX_LISTED = 250_000
"""Commas in one statement: so many rows of VALUES take eight seconds and 160 MB."""


@frozen
class ParsedStatement:
    """One statement. Lines and columns count from 1 in characters; offsets are characters of `ParsedFile.text`."""

    index: int
    sql: str
    kind: str
    line: int
    column: int
    start: int
    end: int
    transactional: bool
    name: str
    """The parse tree's name of it: "alter_table_stmt"."""
    node: Node = field(compare=False, repr=False)
    tree: Node = field(compare=False, repr=False)
    """The statement's own message, without the Node around it."""

    @functools.cached_property
    def subtypes(self) -> frozenset[str]:
        """The subcommands of an ALTER TABLE: "AT_AddColumn"."""
        commands = self.tree.cmds if self.name == "alter_table_stmt" else ()
        return frozenset(enum(item.alter_table_cmd, "subtype") for item in commands if item.HasField("alter_table_cmd"))

    @functools.cached_property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Start and end within `sql` of the subcommands of an ALTER TABLE, or of what a CREATE TABLE lists; () for
        one alone, and when they are not as many as the parse tree has."""
        items = {"alter_table_stmt": "cmds", "create_stmt": "table_elts"}.get(self.name)
        count = len(getattr(self.tree, items)) if items else 0
        found = parts_of(self.sql, self.name) if count > 1 else ()  # one is the statement itself
        return found if len(found) == count else ()

    @functools.cached_property
    def digest(self) -> str:
        """Equal for statements that differ in layout only, and for every checkout of one: CRLF counts as LF."""
        return "sha256:" + measure(self.sql).fingerprint


@frozen
class ParsedFile:
    file: str
    text: str
    """As decoded: without byte order mark, line ends LF but in literals and quoted names."""
    statements: tuple[ParsedStatement, ...]
    problems: tuple[Problem, ...]
    """Why the file cannot be run as it is; each has line and column, and says what to write instead."""
    cosmetic: tuple[str, ...] = ()
    unparsed: tuple[str, ...] = ()
    """Fingerprints of what did not parse, in order, so that the digest of a broken file still changes with it."""
    aside: Aside = NOTHING_ASIDE
    """What stands in the file and is not among `statements`, because the engine does it."""
    transaction: bool | None = None
    """What the step says that runs it: True, all statements in one; False, each by itself; None, as they allow."""
    step_kind: str | None = None
    """Of the step that runs it, where the metadata says so."""
    blocks: tuple[tuple[int, int], ...] = ()
    """First and last of the statements that share a transaction with others, where each else runs by itself."""
    undoes_itself: bool = False
    """Whether that step undoes what the statements did, wherever they stopped."""

    @functools.cached_property
    def lines(self) -> Lines:
        return Lines(self.text)


def parse(sql: bytes | str, *, file: str) -> ParsedFile:
    """Everything the file contains. Never raises for any input: what is wrong is in `problems`, ordered by place."""
    decoded = decode(sql, file=file)
    text = decoded.text
    script = tuple(shell.commands(text))
    if script:
        return _shell_script(file, decoded, script)
    scanned = lexer.scan(text)
    lines = Lines(text)
    problems = list(decoded.problems)
    for issue in scanned.issues:
        line, column = lines.place(issue.offset)
        problems.append(Problem(file, issue.message, line, column, hint=issue.hint))
    unclosed = any(issue.kind == "unclosed" for issue in scanned.issues)
    statements: list[ParsedStatement] = []
    unparsed: list[str] = []
    for segment in scanned.segments:
        last = segment is scanned.segments[-1]
        result = _parse_segment(text, segment, file=file, lines=lines, index=len(statements))
        if isinstance(result, ParsedStatement):
            statements.append(result)
            problem = _refusal(result, segment, file=file)
            problems.extend([problem] if problem else [])
        else:
            unparsed.append(segment.fingerprint)
            if not (unclosed and last):  # the lexer said it better: where the quote opens
                problems.append(result)
    if scanned.rest is not None:
        unparsed.append(hashlib.sha256(text[scanned.rest :].replace("\r\n", "\n").encode()).hexdigest())
    problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    return ParsedFile(file, text, tuple(statements), tuple(problems), decoded.cosmetic, tuple(unparsed))


def _shell_script(file: str, decoded: SqlText, commands: Sequence[tuple[int, str, str]]) -> ParsedFile:
    lines = Lines(decoded.text)
    problems = [
        Problem(file, f"{name} is a command of the shell, not SQL", *lines.place(offset), hint=advice)
        for offset, name, advice in commands
    ]
    unparsed = (hashlib.sha256(decoded.text.replace("\r\n", "\n").encode()).hexdigest(),)
    return ParsedFile(file, decoded.text, (), (*decoded.problems, *problems), decoded.cosmetic, unparsed)


def _parse_segment(text: str, segment: Segment, *, file: str, lines: Lines, index: int) -> ParsedStatement | Problem:
    sql = segment.sql
    line, column = lines.place(segment.start)
    if len(sql) > lexer.MAX_NESTING and segment.nesting > lexer.MAX_NESTING:  # each level takes a character
        return Problem(
            file,
            f"the statement nests {segment.nesting} operators; more than {lexer.MAX_NESTING} cannot be analysed",
            line,
            column,
            hint="PostgreSQL itself runs out of stack (max_stack_depth); write a list, a join or several statements",
        )
    if len(sql) > MAX_LISTED and sql.count(",") > MAX_LISTED:
        return Problem(
            file,
            f"the statement lists more than {MAX_LISTED:,} values and cannot be analysed",
            line,
            column,
            hint="a migration is reviewed as text: load bulk data outside of it, or write several statements",
        )
    parser = _parser()
    try:
        tree = parser.parse(sql)
    except parser.PgQueryError as exc:
        offset = segment.start + max(0, exc.cursorpos - 1) if exc.cursorpos else segment.start
        return _syntax_error(exc.message, text, segment, min(offset, segment.end), file=file, lines=lines)
    except Exception as exc:  # protobuf's DecodeError: the tree is deeper than it can carry
        message = f"the statement cannot be analysed: {exc}"
        return Problem(file, message, line, column, hint="write it as several statements")
    if len(tree.stmts) != 1:
        return Problem(file, f"{len(tree.stmts)} statements where one was expected", line, column)
    node = tree.stmts[0].stmt
    name = name_of(node)
    return ParsedStatement(
        index=index,
        sql=sql,
        kind=kinds.kind_of(node),
        line=line,
        column=column,
        start=segment.start,
        end=segment.end,
        transactional=kinds.is_transactional(node) and not _commits(node, sql),
        name=name,
        node=node,
        tree=getattr(node, name),
    )


def _syntax_error(message: str, text: str, segment: Segment, offset: int, *, file: str, lines: Lines) -> Problem:
    line, column = lines.place(offset)
    hint = hint_for(message, text[segment.start : segment.end], offset - segment.start, segment.words)
    return Problem(file, message, line, column, hint=hint)


def _refusal(statement: ParsedStatement, segment: Segment, *, file: str) -> Problem | None:
    """COPY through the client: the engine sends SQL, there is nobody who would send or take the rows."""
    if statement.name != "copy_stmt" or statement.tree.filename:
        return None
    if statement.tree.is_from:
        data = " with inline data" if segment.copy_data else ""
        return Problem(
            file,
            f"COPY ... FROM STDIN{data} is not supported in a migration",
            statement.line,
            statement.column,
            hint="psql would send the rows: use INSERT ... VALUES for a few, and load bulk data outside the migration",
        )
    return Problem(
        file,
        "COPY ... TO STDOUT has nobody to read it in a migration",
        statement.line,
        statement.column,
        hint="remove it; the snapshot and the evidence already keep what was there before",
    )


def _commits(node: Node, sql: str) -> bool:
    """A DO block that commits or rolls back by itself must run outside a transaction block (2D000 inside)."""
    if name_of(node) != "do_stmt" or not re.search(r"\b(commit|rollback)\b", sql, re.IGNORECASE):
        return False
    return any(name in ("PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback") for name, _ in plpgsql_items(node))


def plpgsql_items(node: Node) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The PL/pgSQL statements of a DO block or function, flat and in order, as (name, fields).

    Empty when the language is another one or the body does not parse (the server will say why).
    """
    body = block_body(node)
    if body is None:
        return ()
    trees = plpgsql_tree(_as_function(body))
    if isinstance(trees, str):
        return ()
    found: list[tuple[str, dict[str, Any]]] = []
    stack: list[Any] = list(reversed(trees))
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key, value in reversed(list(item.items())):
                stack.append(value)
                if key.startswith("PLpgSQL_") and isinstance(value, dict):
                    found.append((key, value))
        elif isinstance(item, list):
            stack.extend(reversed(item))
    return tuple(found)


def plpgsql_tree(sql: str) -> list[Any] | str:
    """A DO block, or CREATE FUNCTION or PROCEDURE in PL/pgSQL, as nested dictionaries; the parser's message when it
    cannot be parsed. Its names are those of plpgsql.h: {"PLpgSQL_stmt_if": {"lineno": 4, "cond": {...}, ...}}.
    """
    parser = _parser()
    try:
        return list(parser.parse_plpgsql(sql))
    except parser.PgQueryError as exc:
        return str(exc.message)
    except json.JSONDecodeError as exc:
        # libpg_query writes TG_OP and its like, which every trigger function has, as "{}}"
        return list(json.loads(_BROKEN_DATUM.sub("{}", exc.doc)))
    except (ValueError, RecursionError) as exc:
        return str(exc) or "nested too deep"


def plpgsql_tree_of_body(body: str) -> list[Any] | str:
    """The same for a body whose signature the parser does not understand: parameters are unknown names then."""
    return plpgsql_tree(_as_function(_TYPE_OF.sub("record", body)))


def _as_function(body: str) -> str:
    tag = "$migrator_body$"
    return f"CREATE FUNCTION migrator_body() RETURNS void LANGUAGE plpgsql AS {tag}{body}{tag}"


def block_body(node: Node) -> str | None:
    """Source of a DO block or function in PL/pgSQL; None for anything else."""
    name = name_of(node)
    if name == "do_stmt":
        items = node.do_stmt.args
    elif name == "create_function_stmt":
        items = node.create_function_stmt.options
    else:
        return None
    language, body = "plpgsql" if name == "do_stmt" else "sql", None
    for item in items:
        element = item.def_elem
        if element.defname == "language":
            language = element.arg.string.sval.lower()
        elif element.defname == "as":
            parts = element.arg.list.items if element.arg.HasField("list") else [element.arg]
            body = parts[0].string.sval if len(parts) == 1 else None
    return body if language == "plpgsql" else None


def deparse(node: Node) -> str:
    """SQL text of a (changed) statement: used to write the safe alternative of this very statement."""
    tree = node.SerializeToString()
    statement = b"\x0a" + _varint(len(tree)) + tree
    result = b"\x08" + _varint(GRAMMAR * 10000) + b"\x12" + _varint(len(statement)) + statement
    native = _parser().native  # its own deparse() copies the tree twice, which takes longer than the work
    text = ctypes.c_char_p(result)
    address = ctypes.c_void_p.from_buffer(text).value
    answer = native.lib.pg_query_deparse_protobuf(native.PgQueryProtobuf(len(result), address))
    try:
        _parser().errors.check_error(answer)
        return str(answer.query.decode())
    finally:
        native.lib.pg_query_free_deparse_result(answer)


def _varint(number: int) -> bytes:
    """As protobuf writes lengths and numbers: seven bits a byte, the lowest first."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))


@functools.cache
def _parser() -> Any:
    """postgast, with protobuf's limit of 100 levels lifted: 48 terms of `a || b || ...` already exceed it.

    The lexer's limit on nesting takes its place.
    """
    parser = importlib.import_module("postgast")
    implementation = importlib.import_module("google.protobuf.internal.api_implementation")
    compiled = getattr(implementation, "_c_module", None)
    if compiled is not None and hasattr(compiled, "SetAllowOversizeProtos"):
        compiled.SetAllowOversizeProtos(True)
    else:  # the pure Python implementation of protobuf
        decoder = importlib.import_module("google.protobuf.internal.decoder")
        if hasattr(decoder, "SetRecursionLimit"):
            decoder.SetRecursionLimit(20 * lexer.MAX_NESTING)
    return parser


__all__ = [
    "GRAMMAR",
    "ParsedFile",
    "ParsedStatement",
    "block_body",
    "deparse",
    "enum",
    "parse",
    "plpgsql_items",
    "plpgsql_tree",
    "plpgsql_tree_of_body",
]
