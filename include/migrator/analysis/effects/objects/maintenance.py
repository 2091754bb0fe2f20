"""VACUUM, ANALYZE, CLUSTER and REFRESH MATERIALIZED VIEW.

src/backend/commands/vacuum.c, cluster.c and matview.c.
"""

from __future__ import annotations

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import bare, must_own, of_kind, there
from migrator.analysis.effects.rows import queries
from migrator.analysis.effects.world import World
from migrator.facts.facts import IndexFacts, RelationFacts
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import AX, SUX
from migrator.lock_modes import X as EXCLUSIVE
from migrator.parsing.nodes import Node, flag, strings


def vacuum(stmt: Node, world: World, out: Recorder) -> None:
    """VACUUM (FULL) writes tables anew; plain VACUUM and ANALYZE let everybody work."""
    full = stmt.is_vacuumcmd and flag(stmt.options, "full", False)
    analyze = not stmt.is_vacuumcmd or flag(stmt.options, "analyze", False)
    if not len(stmt.rels):
        everything = world.everything()
        if everything is None:
            out.assume("every table of the database, one after the other")
            out.known = False
        for each in everything or ():
            if each.owned and each.kind in "rpm":
                _everywhere(each, world, out, vacuum=stmt.is_vacuumcmd, full=full, analyze=analyze)
    for item in stmt.rels:
        range_var = item.vacuum_relation.relation
        if not range_var.inh and world.major < 18:
            out.fail("42601", 'syntax error at or near "ONLY": it needs PostgreSQL 18')
        name = world.name(range_var)
        if not there(name, world, out):
            continue
        facts = world.relation(name)
        if facts is not None and not facts.owned:
            continue  # a warning, and nothing is done
        if stmt.is_vacuumcmd:
            out.lock(name, AX if full else SUX)
        if facts is not None and facts.kind not in "rpmt":
            continue  # a warning, but it was opened
        if stmt.is_vacuumcmd:
            for part in facts.partitions if facts is not None and facts.kind == "p" else ():
                out.lock(part, AX if full else SUX)
            for table in _vacuumed(name, facts, range_var, world):
                if full:
                    rewritten(table, world, out)
                else:
                    out.lock(table, SUX)
        for column in strings(item.vacuum_relation.va_cols):
            if facts is not None and facts.lacks(column):
                out.fail("42703", f'column "{column}" of relation "{bare(name)}" does not exist')
        if analyze:
            _analyze(name, facts, range_var, world, out)


def _everywhere(facts: RelationFacts, world: World, out: Recorder, *, vacuum: bool, full: bool, analyze: bool) -> None:
    """Each for itself, partitioned tables only for their statistics (get_all_vacuum_rels)."""
    if vacuum and full and facts.kind != "p":
        rewritten(facts.name, world, out)
    elif facts.kind != "p" or analyze:
        out.lock(facts.name, SUX)


def _vacuumed(name: str, facts: RelationFacts | None, range_var: Node, world: World) -> tuple[str, ...]:
    """PostgreSQL 18 goes down to inheritance children as well, unless ONLY is written."""
    if facts is not None and (facts.kind == "p" or world.major >= 18):
        if not range_var.inh and world.major >= 18:
            return () if facts.kind == "p" else (name,)
        below = (part for part in (name, *facts.partitions) if _has_rows(part, world))
        return tuple(below)
    return (name,)


def _has_rows(name: str, world: World) -> bool:
    facts = world.relation(name)
    return facts is None or facts.kind in "rm"


def _analyze(name: str, facts: RelationFacts | None, range_var: Node, world: World, out: Recorder) -> None:
    """A partitioned table's partitions are analysed, too; inheritance children are only read before PostgreSQL 18."""
    out.lock(name, SUX)
    if facts is None:
        return
    if not range_var.inh and world.major >= 18:  # what is below is read as a sample of the whole
        for part in facts.partitions:
            if _has_rows(part, world):
                out.lock(part, ACCESS_SHARE)
        return
    mode = SUX if facts.kind == "p" or world.major >= 18 else ACCESS_SHARE
    for part in facts.partitions:
        out.lock(part, mode)


def rewritten(table: str, world: World, out: Recorder) -> None:
    out.lock(table, AX)
    out.rewrite(table)
    facts = world.relation(table)
    for index in facts.indexes if facts is not None else ():
        out.lock(index.name, AX)
        out.rebuild(index.name)


def cluster(stmt: Node, world: World, out: Recorder) -> None:
    if not stmt.HasField("relation"):
        everything = world.everything()
        if everything is None:
            out.known = False
            out.assume("every table that was clustered before, one after the other")
        for each in everything or ():
            if each.owned and each.kind in "rm" and any(index.clustered for index in each.indexes):
                rewritten(each.name, world, out)
        return
    table = world.name(stmt.relation)
    if not there(table, world, out) or not of_kind(table, "rpm", world, out, "a table"):
        return
    facts = world.relation(table)
    must_own(table, world, out)
    if facts is not None:
        _clusters(stmt, facts, world, out)
        if facts.kind == "p":
            if world.major < 15:
                out.fail("0A000", "cannot cluster a partitioned table before PostgreSQL 15")
                return
            out.transactional = False
            out.lock(table, AX)
    for part in world.storage(table):
        rewritten(part, world, out)


def _clusters(stmt: Node, facts: RelationFacts, world: World, out: Recorder) -> None:
    """Whether there is an index to cluster on, and one that has every row in an order."""
    if not stmt.indexname:
        index = next((item for item in facts.indexes if item.clustered), None)
        if index is None:
            out.fail("42704", f'there is no previously clustered index for table "{bare(facts.name)}"')
        return
    name = f"{facts.name.rpartition('.')[0]}.{stmt.indexname}"
    index = next((item for item in facts.indexes if item.name == name), None)
    if index is None:
        if world.exists(name):
            out.fail("42809", f'"{stmt.indexname}" is not an index for table "{bare(facts.name)}"')
        else:
            out.fail("42704", f'index "{stmt.indexname}" for table "{bare(facts.name)}" does not exist')
    elif index.predicate is not None or not index.valid or index.method not in ("btree", "gist"):
        out.fail("0A000", f'cannot cluster on index "{stmt.indexname}": it is partial, invalid or without an order')


def refresh(stmt: Node, world: World, out: Recorder) -> None:
    """A new file under ACCESS EXCLUSIVE; CONCURRENTLY compares and writes under EXCLUSIVE, which lets readers in."""
    view = world.name(stmt.relation)
    if not there(view, world, out):
        return
    if stmt.concurrent and stmt.skip_data:
        out.fail("42601", "CONCURRENTLY and WITH NO DATA options cannot be used together")
    facts = world.relation(view)
    if facts is not None:
        if facts.kind not in "rm":
            out.fail("42809", f'"{bare(view)}" is not a table or materialized view')
        elif facts.kind != "m":
            out.fail("0A000", f'"{bare(view)}" is not a materialized view')
        must_own(view, world, out)
    if stmt.concurrent:
        _concurrently(facts, out)
        out.lock(view, EXCLUSIVE)
        out.scan(view)
    else:
        rewritten(view, world, out)
    if facts is None:
        out.assume(f"the tables that {view} reads get ACCESS SHARE")
    elif not stmt.skip_data:
        for read in facts.reads:
            queries.opened(read, ACCESS_SHARE, world, out, scans=True)


def _concurrently(facts: RelationFacts | None, out: Recorder) -> None:
    if facts is None:
        return
    if not facts.populated:
        out.fail("0A000", "CONCURRENTLY cannot be used when the materialized view is not populated")
    elif facts.indexes and any(_tells_rows_apart(index) for index in facts.indexes):
        return
    out.fail("55000", f'cannot refresh "{bare(facts.name)}" concurrently: it needs a unique index on plain columns')


def _tells_rows_apart(index: IndexFacts) -> bool:
    return index.unique and index.valid and index.immediate and index.predicate is None and not index.expressions
