"""Statements about rows: DML, COPY, SELECT, TRUNCATE, LOCK TABLE, and what cannot be looked into."""

from __future__ import annotations

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import bare, may, of_kind, there
from migrator.analysis.effects.rows import queries, rewriting, writes
from migrator.analysis.effects.world import World
from migrator.facts.names import cascades
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import AX, MODES
from migrator.parsing.nodes import Node, content, name_of, option


def select(stmt: Node, world: World, out: Recorder) -> None:
    queries.query(stmt, world, out, scans=True)


def change(stmt: Node, world: World, out: Recorder) -> None:
    """INSERT, UPDATE, DELETE, MERGE, with what their sub-queries read."""
    queries.query(stmt, world, out)


def explain(stmt: Node, world: World, out: Recorder) -> None:
    """With ANALYZE the statement is run; without it is planned, so that triggers and foreign keys do nothing."""
    if option(stmt.options, "analyze") is not None:
        queries.query(stmt.query, world, out)
        return
    inner = Recorder()
    queries.query(stmt.query, world, inner)
    written = _writers(stmt.query, world)
    reachable = {name for table in written for name in (table, *writes.bases(table, world, out))}
    reachable |= {name for table, rows in written.items() if not rows for name in world.leaves(table)}
    out.fails = inner.fails
    for name, mode in inner.locks.items():
        if not written or name in reachable or mode == ACCESS_SHARE:
            out.lock(name, mode)


def _writers(query: Node, world: World) -> dict[str, bool]:
    """Tables that it writes to, also by rules, and whether it only gives them new rows."""
    found: dict[str, bool] = {}
    stack = [query]
    while stack:
        node = stack.pop()
        if name_of(node) in ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"):
            table = world.name(content(node).relation)
            only = name_of(node) == "insert_stmt"
            if found.get(table) not in (only, False):
                found[table] = only
                stack += rewriting.statements_of(content(node), world)
    return found


def declare_cursor(stmt: Node, world: World, out: Recorder) -> None:
    queries.query(stmt.query, world, out)


def prepare(stmt: Node, world: World, out: Recorder) -> None:
    """The statement is looked at; what it locks is taken at EXECUTE."""
    queries.query(stmt.query, world, out, planned=False)


def copy(stmt: Node, world: World, out: Recorder) -> None:
    if stmt.filename and world.facts is not None and not world.facts.superuser:
        out.risk("42501", "files and programs of the server are for members of pg_read_server_files and its like only")
    if not stmt.HasField("relation"):
        queries.query(stmt.query, world, out, scans=True)
        return
    table = world.name(stmt.relation)
    if not there(table, world, out):
        return
    if stmt.is_from:
        columns = tuple(item.string.sval for item in stmt.attlist)
        writes.target(table, ("INSERT",), world, out)
        writes.inserted(table, columns or None, frozenset(), world, out)
        return
    may(table, "SELECT", world, out)
    of_kind(table, "rm" if world.major >= 18 else "r", world, out, "a table that COPY can read")
    out.lock(table, ACCESS_SHARE)
    out.scan(table)


def truncate(stmt: Node, world: World, out: Recorder) -> None:
    """New files, so that nobody sees the old rows: ACCESS EXCLUSIVE on tables and their indexes.

    CASCADE takes all tables that refer to these, and those that refer to them. ExecuteTruncate in tablecmds.c.
    """
    wanted: dict[str, None] = {}
    for item in stmt.relations:
        table = world.name(item.range_var)
        if not there(table, world, out) or not of_kind(table, "rpf", world, out, "a table"):
            continue
        may(table, "TRUNCATE", world, out)
        facts = world.relation(table)
        if facts is not None and facts.kind == "p" and not item.range_var.inh:
            out.fail("42809", f'cannot truncate only a partitioned table "{bare(table)}"')
        wanted.update(dict.fromkeys((table, *(world.leaves(table) if item.range_var.inh else ()))))
    outside = _referring(wanted, world)
    if not cascades(stmt):
        if outside:
            out.fail("0A000", f"cannot truncate a table that {', '.join(sorted(outside))} refers to")
    else:
        while outside:
            wanted.update(dict.fromkeys(name for other in outside for name in (other, *world.leaves(other))))
            outside = _referring(wanted, world)
    for name in wanted:
        _empty(name, world, out, restart=bool(stmt.restart_seqs))
    if world.facts is None and cascades(stmt):
        out.assume("which tables refer to these, and are emptied as well, is unknown without a connection")


def _referring(tables: dict[str, None], world: World) -> set[str]:
    found = set()
    for name in tables:
        facts = world.relation(name)
        found |= {other for other in (facts.referenced_by if facts is not None else ()) if other not in tables}
    return found


def _empty(name: str, world: World, out: Recorder, *, restart: bool) -> None:
    out.lock(name, AX)
    facts = world.relation(name)
    if facts is None:
        return
    if facts.kind in "rm":
        for index in facts.indexes:
            out.lock(index.name, AX)
    if restart:
        for column in facts.columns.values():
            for sequence in column.sequences:
                known = world.relation(sequence)
                if known is not None and known.owned_by == name:
                    out.lock(sequence, AX)


def lock(stmt: Node, world: World, out: Recorder) -> None:
    """`mode` counts the eight modes from 1, as in lockdefs.h. A view locks what it reads."""
    mode = MODES[stmt.mode - 1]
    for item in stmt.relations:
        table = world.name(item.range_var)
        if there(table, world, out) and of_kind(table, "rpv", world, out, "a table or view"):
            queries.opened(table, mode, world, out, only=not item.range_var.inh)


def opaque(stmt: Node, world: World, out: Recorder) -> None:
    """DO, CALL, EXECUTE: they can do anything."""
    out.known = False
    out.assume("what is inside was not followed: nothing is known about its locks")


def nothing(stmt: Node, world: World, out: Recorder) -> None:
    """Touches no relation that somebody else uses."""
