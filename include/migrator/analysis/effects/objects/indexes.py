"""CREATE, DROP and REINDEX of indexes.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES and src/backend/commands/indexcmds.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.effects.expressions import mentioned
from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names import dependents, misplaced, virtual_columns
from migrator.analysis.effects.names.column_names import SYSTEM_COLUMNS
from migrator.analysis.effects.names.definitions import index as index_facts
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.names.named import bare, must_own, there
from migrator.analysis.effects.types.volatility import is_inlined
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.facts.names import cascades, concurrently
from migrator.lock_modes import AX, SUX
from migrator.lock_modes import S as SHARE
from migrator.parsing.nodes import Node, enum, find, strings

_METHODS = frozenset(["btree", "hash", "gin", "gist", "spgist", "brin"])
_NEVER_UNIQUE = _METHODS - {"btree"}
_ONE_COLUMN = frozenset(["hash", "spgist"])
_KEY_COLUMNS = re.compile(r"\((.*)\)$")


def create_index(stmt: Node, world: World, out: Recorder) -> None:
    """SHARE blocks writers for the whole build; CONCURRENTLY blocks nobody but waits for every old transaction."""
    table = world.name(stmt.relation)
    if not there(table, world, out):
        return
    mode = SUX if stmt.concurrent else SHARE
    out.lock(table, mode)
    facts = world.relation(table)
    partitioned = facts is not None and facts.kind == "p"
    made = index_facts(stmt, table, world, partitioned=partitioned)
    for name in world.leaves(table) if partitioned and stmt.relation.inh else ():
        out.lock(name, mode)
    if stmt.idxname and world.exists(made.name):
        if not stmt.if_not_exists:
            out.fail("42P07", f'relation "{stmt.idxname}" already exists')
        return
    if facts is not None:
        _can_be_built(stmt, facts, world, out)
    if stmt.unique and not stmt.if_not_exists:
        out.risk("23505", f'could not create unique index "{bare(made.name)}": rows have the same key')
    out.waits = bool(stmt.concurrent)
    if partitioned and not stmt.relation.inh:
        return
    for name in world.storage(table):
        out.scan(name)


def _can_be_built(stmt: Node, facts: RelationFacts, world: World, out: Recorder) -> None:
    if facts.kind not in "rpm":
        out.fail("42809", f'cannot create index on relation "{bare(facts.name)}"')
        return
    must_own(facts.name, world, out)
    if stmt.concurrent and facts.kind == "p":
        out.fail("0A000", f'cannot create index on partitioned table "{bare(facts.name)}" concurrently')
    for column in _columns(stmt):
        if facts.lacks(column) and column not in SYSTEM_COLUMNS:
            out.fail("42703", f'column "{column}" does not exist')
    if stmt.unique and facts.kind == "p":
        keys = {item.index_elem.name for item in stmt.index_params}
        if not partition_columns(facts) <= keys:
            out.fail("0A000", "unique constraint on partitioned table must include all partitioning columns")
    if world.major >= 18:
        virtual_columns.indexed(_columns(stmt), facts, out)
    _method_takes(stmt, facts, out)
    for item in stmt.index_params:
        misplaced.misplaced(item.index_elem.expr, misplaced.INDEX, world, out)
    misplaced.misplaced(stmt.where_clause, misplaced.PREDICATE, world, out)
    for name in _changing(stmt, world):
        out.fail("42P17", f"functions in index expression must be marked IMMUTABLE, and {name}() is not")


def _method_takes(stmt: Node, facts: RelationFacts, out: Recorder) -> None:
    """What the access methods of the server itself can do: https://www.postgresql.org/docs/current/indexes-types.html"""
    method = stmt.access_method or "btree"
    if stmt.unique and method in _NEVER_UNIQUE:
        out.fail("0A000", f'access method "{method}" does not support unique indexes')
    if len(stmt.index_params) > 1 and method in _ONE_COLUMN:
        out.fail("0A000", f'access method "{method}" does not support multicolumn indexes')
    if len(stmt.index_including_params) and method not in ("btree", "gist", "spgist"):
        out.fail("0A000", f'access method "{method}" does not support included columns')
    if method not in _METHODS:
        out.risk("42704", f'access method "{method}" does not exist')
    for item in stmt.index_params:
        if len(item.index_elem.opclass) or method in ("gin", "gist", "spgist"):  # extensions bring more of them
            out.risk("42704", f'an operator class for access method "{method}" does not exist')


def _columns(stmt: Node) -> Iterator[str]:
    for item in (*stmt.index_params, *stmt.index_including_params):
        if item.index_elem.name:
            yield item.index_elem.name
        yield from mentioned(item.index_elem.expr)
    yield from mentioned(stmt.where_clause)


def _changing(stmt: Node, world: World) -> Iterator[str]:
    """Functions that are known not to be immutable, whichever of that name it is."""
    for node in (*(item.index_elem.expr for item in stmt.index_params), stmt.where_clause):
        for call in find(node, "FuncCall"):
            parts = strings(call.funcname)
            fitting = [item for item in world.functions(parts) if item.least <= len(call.args) <= item.most]
            if fitting and all(item.volatility != "i" and not is_inlined(item, world) for item in fitting):
                yield parts[-1]


def partition_columns(facts: RelationFacts) -> set[str]:
    """Plain columns of the partition key."""
    found = _KEY_COLUMNS.search(facts.partition_key or "")
    words = (part.strip().split(" ")[0].strip('"') for part in found[1].split(",")) if found else ()
    return {word for word in words if word in facts.columns}


def drop_indexes(stmt: Node, world: World, out: Recorder) -> None:
    """ACCESS EXCLUSIVE on index and table, for an instant. CONCURRENTLY waits for the users of the table instead, and
    locks only the index so at its end."""
    names = dotted_names(stmt, world)
    if stmt.concurrent and len(names) > 1:
        out.fail("0A000", "DROP INDEX CONCURRENTLY does not support dropping multiple objects")
    if stmt.concurrent and cascades(stmt):
        out.fail("0A000", "DROP INDEX CONCURRENTLY does not support CASCADE")
    present = [n for n in names if there(n, world, out, missing_ok=stmt.missing_ok, sqlstate="42704", what="index")]
    for name in present:
        known = world.relation(name)
        if known is not None and known.kind not in "iI":
            out.fail("42809", f'"{bare(name)}" is not an index')
            continue
        if known is not None and known.table:
            must_own(name, world, out)
        if stmt.concurrent:
            _drop_concurrently(name, world, out)
        else:
            out.lock(name, AX)
            _table_of(name, AX, world, out)
            if known is not None and known.kind == "I" and known.table:
                for leaf in world.leaves(known.table):
                    out.lock(leaf, AX)
    if not stmt.concurrent:
        roots = dependents.roots_of(stmt, world)
        dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what="the index")


def _drop_concurrently(name: str, world: World, out: Recorder) -> None:
    found = world.index_of(name)
    known = world.relation(name)
    if known is not None and known.kind == "I":
        out.fail("0A000", f'cannot drop partitioned index "{bare(name)}" concurrently')
    elif found is not None and (found[1].constraint or found[1].parent):
        out.fail("2BP01", f"cannot drop index {bare(name)}: a constraint or a partitioned index requires it")
    out.lock(name, AX)
    _table_of(name, SUX, world, out)
    out.waits = True


def _table_of(name: str, mode: str, world: World, out: Recorder) -> None:
    known = world.relation(name)
    if known is not None and known.table:
        out.lock(known.table, mode)
    elif known is None and not world.is_new(name):
        out.assume(f"the table of index {name} is locked {mode}, too; which one it is needs a connection")


def reindex(stmt: Node, world: World, out: Recorder) -> None:
    """Writers wait for the table, readers that plan with an index for that: SHARE and ACCESS EXCLUSIVE."""
    gently = concurrently(stmt)
    kind = enum(stmt, "kind")
    out.waits = gently
    if kind == "REINDEX_OBJECT_SCHEMA":
        _schema(stmt.name, gently, world, out)
        return
    if kind not in ("REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_TABLE"):
        _database(stmt, gently, world, out)
        return
    name = world.name(stmt.relation)
    if not there(name, world, out):
        return
    facts = world.relation(name)
    if facts is not None:
        must_own(name, world, out)
    if kind == "REINDEX_OBJECT_TABLE":
        if facts is not None and facts.kind not in "rpmt":
            out.fail("42809", f'"{bare(name)}" is not a table or materialized view')
        if facts is not None and facts.kind == "p":
            out.transactional = False
            out.lock(name, SUX if gently else SHARE)
            for below in facts.partitions:
                out.lock(below, SHARE)  # find_all_inheritors in ReindexPartitions, also with CONCURRENTLY
        for table in world.storage(name):
            _table(table, gently, world, out)
        return
    if facts is not None and facts.kind not in "iI":
        out.fail("42809", f'"{bare(name)}" is not an index')
        return
    if facts is not None and facts.kind == "I":
        out.transactional = False
        for index in _leaf_indexes(name, world):
            _index(index, gently, world, out)
        return
    _index(name, gently, world, out)


def _index(name: str, gently: bool, world: World, out: Recorder) -> None:
    out.lock(name, AX)
    out.rebuild(name)
    known = world.relation(name)
    if known is not None and known.table:
        out.lock(known.table, SUX if gently else SHARE)
        out.scan(known.table)
    elif known is None:
        out.assume(f"the table of index {name} is locked, too; which one it is needs a connection")


def _table(name: str, gently: bool, world: World, out: Recorder) -> None:
    out.lock(name, SUX if gently else SHARE)
    facts = world.relation(name)
    if facts is None:
        out.scan(name)
        out.assume(f"the indexes of {name} are locked ACCESS EXCLUSIVE; which they are needs a connection")
        return
    for index in facts.indexes:
        out.lock(index.name, AX)
        out.rebuild(index.name)
        out.scan(name)


def _leaf_indexes(name: str, world: World) -> Iterator[str]:
    """The indexes with a file below a partitioned one."""
    stack = [name]
    while stack:
        current = stack.pop()
        facts = world.relation(current)
        table = world.relation(facts.table) if facts is not None and facts.table else None
        for child in table.children if table is not None else ():
            below = world.relation(child)
            for index in below.indexes if below is not None else ():
                if index.parent == current:
                    if index.partitioned:
                        stack.append(index.name)
                    else:
                        yield index.name


def _schema(schema: str, gently: bool, world: World, out: Recorder) -> None:
    known = world.facts.schemas.get(schema) if world.facts is not None else None
    if known is None:
        if world.facts is not None and world.facts.complete:
            out.fail("3F000", f'schema "{schema}" does not exist')
        out.known = False
        out.assume("REINDEX SCHEMA locks all tables of the schema, one after the other")
        return
    if not known.owned:
        out.fail("42501", f"must be owner of schema {schema}")
    for name in known.relations:
        facts = world.relation(name)
        if facts is not None and facts.kind in "rm":
            _table(name, gently, world, out)


def _database(stmt: Node, gently: bool, world: World, out: Recorder) -> None:
    """REINDEX DATABASE; of SYSTEM only the server's own tables, which are not listed."""
    facts = world.facts
    if facts is not None and facts.database and stmt.name and stmt.name != facts.database:
        out.fail("0A000", "can only reindex the currently open database")
    if facts is not None and not facts.superuser:
        out.risk("42501", "only the owner of the database may do so")
    if enum(stmt, "kind") == "REINDEX_OBJECT_SYSTEM":
        if gently:
            out.fail("0A000", "cannot reindex system catalogs concurrently")
        return
    everything = world.everything()
    if everything is None:
        out.known = False
        out.assume("REINDEX of a database locks its tables one after the other")
    for known in everything or ():
        if known.kind in "rm":
            _table(known.name, gently, world, out)


def dotted_names(stmt: Node, world: World) -> list[str]:
    """The objects of a DROP, qualified."""
    return [world.dotted(object_name(item)) for item in stmt.objects]
