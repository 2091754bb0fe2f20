"""Findings about what the server refuses: syntax, names, privileges, each at its place in the file.

An error is only what no file can mend: what the server's grammar refuses, and a name in a query that the target has not
and that nothing earlier can make. All else is looked up before its time, so it is a warning, and the dry run decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.analysis.effects import World
from migrator.analysis.server_check.made import Made
from migrator.analysis.server_check.parsing import Refusal, compile_on_server, grammar_refuses, parse_on_server
from migrator.analysis.server_check.privileges import missing_privileges
from migrator.analysis.server_check.probes import probes_of
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.walk import walk
from migrator.database.naming import names_of_target
from migrator.database.translate import is_transient_sqlstate
from migrator.parsing.statements import ParsedFile, ParsedStatement, block_body
from migrator.plan import Finding, Severity

if TYPE_CHECKING:
    from migrator.database.session import Connection

SYNTAX_RULE = "server-syntax"
NAME_RULE = "unknown-name"
PRIVILEGE_RULE = "missing-privilege"
UNCHECKED_RULE = "server-unsure"

_UNDEFINED = frozenset(["42P01", "42703", "42883", "42704", "3F000", "42P02", "42725"])
"""Undefined (or, the last, ambiguous) table, column, function, object, schema, parameter."""
_ANALYSED = frozenset(
    ["select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "create_table_as_stmt"]
)
"""Statements whose names the server looks up when it parses them."""


@dataclass(frozen=True)
class _Place:
    """A finding's place, as offset in the file."""

    parsed: ParsedFile
    statement: ParsedStatement

    def finding(self, rule: str, severity: Severity, message: str, help: str, offset: int | None = None) -> Finding:
        statement, parsed = self.statement, self.parsed
        where = statement.start if offset is None else min(statement.start + offset, max(len(parsed.text) - 1, 0))
        line, column = parsed.lines.place(where)
        return Finding(
            rule, severity, message, help, file=parsed.file, line=line, column=column, statement=statement.index
        )


def server_findings(
    conn: Connection, scripts: Iterable[Script], *, before: Iterable[ParsedFile] = ()
) -> Iterator[Finding]:
    """`scripts` in the order in which they run. `before`: files of earlier migrations that the target may not have yet.

    :raises psycopg.OperationalError: when the connection is lost.
    """
    _prepare(conn)
    made = _made_by(before)
    with names_of_target(conn):
        for script in scripts:
            for subject in script.subjects:
                made.begin(subject)
                refusal, place = _refusal(conn, subject.statement), _Place(script.parsed, subject.statement)
                found = [] if refusal is None else list(_told(conn, refusal, place, subject, made))
                yield from found or _names(conn, place, subject, made)
                made.add(subject, script)


def _made_by(files: Iterable[ParsedFile]) -> Made:
    made, world = Made(), World()
    for file in files:
        script, world = walk(file, world, wanted=None)
        for subject in script.subjects:
            made.add(subject, script)
    return made


def syntax_findings(conn: Connection, files: Iterable[ParsedFile]) -> Iterator[Finding]:
    """What the server's own grammar refuses; no name is looked up.

    :raises psycopg.OperationalError: when the connection is lost.
    """
    _prepare(conn)
    with names_of_target(conn):
        for parsed in files:
            for statement in parsed.statements:
                refusal = _refusal(conn, statement)
                if refusal is not None and refusal.is_syntax:
                    yield _syntax(conn, refusal, _Place(parsed, statement))


def _prepare(conn: Connection) -> None:
    conn.execute("SET default_transaction_read_only = on")
    conn.execute("SET check_function_bodies = on")


def _refusal(conn: Connection, statement: ParsedStatement) -> Refusal | None:
    """What the server says to the statement, or to the body of the block that it is."""
    refusal = parse_on_server(conn, statement.sql)
    if refusal is not None and refusal.is_syntax and not grammar_refuses(conn, statement.sql):
        return refusal.of_analysis()
    body = block_body(statement.node) if refusal is None and statement.name == "do_stmt" else None
    if not body:
        return refusal
    return _moved(compile_on_server(conn, body), max(statement.sql.find(body), 0))


def _told(conn: Connection, refusal: Refusal, place: _Place, subject: Subject, made: Made) -> Iterator[Finding]:
    if refusal.is_syntax:
        yield _syntax(conn, refusal, place)
    elif refusal.in_analysis or subject.statement.name in (*_ANALYSED, "do_stmt"):
        yield from _name(refusal, place, subject, made, refusal.offset)


def _syntax(conn: Connection, refusal: Refusal, place: _Place) -> Finding:
    return place.finding(SYNTAX_RULE, Severity.ERROR, *_syntax_text(refusal, conn), refusal.offset)


def _syntax_text(refusal: Refusal, conn: Connection) -> tuple[str, str]:
    version = conn.info.server_version // 10000
    return f"PostgreSQL {version} says: {refusal.message}", refusal.hint or f"write it as PostgreSQL {version} knows it"


def _moved(refusal: Refusal | None, by: int) -> Refusal | None:
    if refusal is None or refusal.offset is None:
        return refusal
    return Refusal(refusal.sqlstate, refusal.message, refusal.hint, refusal.offset + by)


def _names(conn: Connection, place: _Place, subject: Subject, made: Made) -> Iterator[Finding]:
    statement = subject.statement
    facts = subject.world.facts
    extension = (
        facts.extensions.get(statement.tree.extname) if facts and statement.name == "create_extension_stmt" else None
    )
    if extension is not None and not extension.available:
        message = f'extension "{extension.name}" is not available on this server'
        yield place.finding(NAME_RULE, Severity.WARNING, message, "install its package on the server first")
    for probe in probes_of(subject.statement):
        refusal = parse_on_server(conn, probe.sql)
        if refusal is not None:
            found = list(_name(refusal, place, subject, made, _characters(subject, probe.location)))
            yield from found
            if found:
                return  # the server, too, would stop at the first
    for lacking in missing_privileges(subject):
        yield place.finding(PRIVILEGE_RULE, Severity.WARNING, lacking.message, lacking.help)


def _name(refusal: Refusal, place: _Place, subject: Subject, made: Made, offset: int | None) -> Iterator[Finding]:
    undefined, statement = refusal.sqlstate in _UNDEFINED, subject.statement
    if made.explains(refusal.sqlstate, refusal.message, statement):
        return
    if is_transient_sqlstate(refusal.sqlstate):
        message = f"the server could not look at this statement now: {refusal.message}"
        yield place.finding(UNCHECKED_RULE, Severity.WARNING, message, "try again later")
    elif undefined or statement.name in _ANALYSED:
        hint = refusal.hint or "check the spelling and the search path; it must exist before this statement"
        if offset is None:
            offset = _offset_of(refusal.message, statement.sql)
        severity = Severity.ERROR if undefined and statement.name in _ANALYSED else Severity.WARNING
        yield place.finding(NAME_RULE, severity, f"{refusal.message} ({refusal.sqlstate})", hint, offset)


def _offset_of(message: str, sql: str) -> int | None:
    """Where the name that the message quotes stands in the statement."""
    names = [name.rpartition(".")[2] for name in re.findall(r'["»«„“]([^"»«„“”]+)["»«“”]', message)]
    match = re.search(rf"(?<![\w$]){re.escape(names[0])}(?![\w$])", sql) if names else None
    return match.start() if match else None


def _characters(subject: Subject, location: int | None) -> int | None:
    """The parser counts bytes."""
    if location is None or location < 0:
        return None
    return len(subject.statement.sql.encode()[:location].decode(errors="ignore"))
