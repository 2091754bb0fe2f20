"""INSERT, UPDATE, DELETE, MERGE and COPY FROM: the table, its partitions and sequences, and ends of foreign keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import bare, may, there
from migrator.analysis.effects.partitions import pruning, routing
from migrator.analysis.effects.partitions.pruning import NO_SCOPE, Scope
from migrator.analysis.effects.partitions.routing import Row
from migrator.analysis.effects.rows import published, references, rewriting
from migrator.analysis.effects.types import literals, types
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import RX
from migrator.parsing.nodes import Node, enum, name_of, strings


def insert(stmt: Node, world: World, out: Recorder) -> None:
    columns = tuple(item.res_target.name for item in stmt.cols)
    name = world.name(stmt.relation)
    given = columns or _first(name, _width(stmt), world)
    rows = routing.rows_of(stmt, given)
    facts = world.relation(name)
    tree = facts is not None and facts.kind == "p"
    below = routing.reached(facts, rows, world, out) if facts is not None and tree else None
    below = () if rewriting.replaced(facts, "INSERT") else below
    target(name, ("INSERT",), world, out, below=below)
    for column in _unknown(name, columns, world):
        out.fail("42703", f'column "{column}" of relation "{bare(name)}" does not exist')
    _as_many(name, columns, stmt, world, out)
    _not_given(name, given, stmt, world, out)
    if rewriting.replaced(facts, "INSERT"):
        return
    inserted(name, given, _nulls(given, rows), world, out, rows)
    if stmt.HasField("on_conflict_clause"):
        clause = stmt.on_conflict_clause
        _arbiter(name, clause.infer, world, out)
        if enum(clause, "action") == "ONCONFLICT_UPDATE":
            target(name, ("UPDATE",), world, out, below=below)
            updated(name, _set_columns(clause.target_list), world, out, _set_nulls(clause.target_list))
    if facts is not None and tree and routing.refused(facts, rows, world):
        out.fail("23514", f'no partition of relation "{bare(name)}" found for row')


def update(stmt: Node, world: World, out: Recorder) -> None:
    name = world.name(stmt.relation)
    columns = _set_columns(stmt.target_list)
    below = _left(stmt, name, world, out)
    target(name, ("UPDATE",), world, out, below=below)
    for column in _unknown(name, columns, world):
        out.fail("42703", f'column "{column}" of relation "{bare(name)}" does not exist')
    facts = world.relation(name)
    for item in stmt.target_list:
        known = facts.columns.get(item.res_target.name) if facts is not None else None
        computed = known is not None and (known.generated or known.identity == "a")
        if computed and name_of(item.res_target.val) != "set_to_default":
            out.fail("428C9", f'column "{item.res_target.name}" can only be updated to DEFAULT')
    if rewriting.replaced(facts, "UPDATE"):
        return
    if facts is not None and any(column.not_null and name in columns for name, column in facts.columns.items()):
        out.risk("23502", f"a column of {facts.name} that must not be null may be")
    scanned(name, world, out, below=below)
    changed = [column for column in columns if column not in _set_to_itself(stmt.target_list)]
    updated(name, changed, world, out, _set_nulls(stmt.target_list))
    _moved(stmt, name, columns, world, out)


def delete(stmt: Node, world: World, out: Recorder) -> None:
    name = world.name(stmt.relation)
    below = _left(stmt, name, world, out)
    target(name, ("DELETE",), world, out, below=below)
    if rewriting.replaced(world.relation(name), "DELETE"):
        return
    scanned(name, world, out, below=below)
    deleted(name, world, out)


def merge(stmt: Node, world: World, out: Recorder) -> None:
    name = world.name(stmt.relation)
    if world.major < 15:
        out.fail("42601", 'syntax error at or near "MERGE": it needs PostgreSQL 15')
    clauses = [item.merge_when_clause for item in stmt.merge_when_clauses]
    kinds = {enum(item, "command_type").removeprefix("CMD_") for item in clauses} - {"NOTHING"}
    below = _left(stmt, name, world, out)
    target(name, tuple(sorted(kinds)) or ("SELECT",), world, out, below=below)
    scanned(name, world, out, below=below)
    facts = world.relation(name)
    if facts is not None and facts.kind == "p" and "INSERT" in kinds:
        for part in routing.reached(facts, None, world, out):
            out.lock(part, RX)
    for item in clauses:
        columns = _set_columns(item.target_list)
        kind = enum(item, "command_type")
        if kind == "CMD_INSERT":
            inserted(name, columns, frozenset(), world, out)
        elif kind == "CMD_UPDATE":
            updated(name, columns, world, out, _set_nulls(item.target_list))
        elif kind == "CMD_DELETE":
            deleted(name, world, out)


def scope_of(stmt: Node) -> Scope:
    """What the rows of the target have to meet, and those of the tables beside it."""
    kind = stmt.DESCRIPTOR.name
    if kind == "UpdateStmt":
        return pruning.scope(stmt.where_clause, stmt.from_clause)
    if kind == "DeleteStmt":
        return pruning.scope(stmt.where_clause, stmt.using_clause)
    if kind != "MergeStmt":
        return NO_SCOPE
    without = [enum(item.merge_when_clause, "match_kind") for item in stmt.merge_when_clauses]
    if "MERGE_WHEN_NOT_MATCHED_BY_SOURCE" in without:
        return NO_SCOPE
    return pruning.scope(stmt.join_condition, ())


def _left(stmt: Node, name: str, world: World, out: Recorder) -> tuple[str, ...] | None:
    """What lies below the target and stays in the plan; None: all of it."""
    if not stmt.relation.inh:
        return ()
    facts = world.relation(name)
    if rewriting.replaced(facts, rewriting.EVENTS.get(stmt.DESCRIPTOR.name, "")):
        return ()
    if facts is None or facts.kind != "p":
        return None
    alias = stmt.relation.alias.aliasname if stmt.relation.HasField("alias") else stmt.relation.relname
    return pruning.left(name, alias, scope_of(stmt), world, out)


def _moved(stmt: Node, name: str, columns: Collection[str], world: World, out: Recorder) -> None:
    """Rows whose partition key is changed go to another partition."""
    facts = world.relation(name)
    if facts is not None and facts.is_partition:
        out.risk("23514", f"a row may not belong into the partition {name} any more")
    if facts is None or facts.kind != "p" or not stmt.relation.inh or not routing.keyed_by(facts, columns, world):
        return
    row = {item.res_target.name: item.res_target.val for item in stmt.target_list if item.HasField("res_target")}
    for part in routing.moved(facts, row, tuple(out.locks), world, out):
        out.lock(part, RX)


def target(
    name: str, events: Collection[str], world: World, out: Recorder, *, below: Collection[str] | None = None
) -> None:
    """The locks on what is written, and what else runs with it.

    :param below: partitions and children of it that are written to; None: all.
    """
    if not there(name, world, out):
        return
    facts = world.relation(name)
    if facts is not None and facts.kind not in "rpvf":
        out.fail("42809", f'cannot change "{bare(name)}": it is no table')
    for event in events:
        may(name, event, world, out)
    event = next(iter(events)) if len(events) == 1 else ""
    for base in bases(name, world, out, event):
        out.lock(base, RX)
        known = world.relation(base)
        if known is None:
            continue
        parts = below if below is not None and base == name else known.partitions
        if known.kind != "p" and tuple(events) == ("INSERT",):
            parts = ()  # rows stay in the table itself, whatever inherits from it
        for part in parts:
            out.lock(part, RX)
        if parts is not below and known.kind == "p" and "INSERT" in events and parts:
            out.assume(f"rows go to any partition of {base}: only those that get one are locked")
        published.changed(known, events, world, out)


def bases(name: str, world: World, out: Recorder, event: str = "") -> Iterator[str]:
    """The relation, and the table below a view that can be written to."""
    seen: set[str] = set()
    current: str | None = name
    while current is not None and current not in seen:
        seen.add(current)
        yield current
        facts = world.relation(current)
        if facts is None or facts.kind != "v":
            return
        if rewriting.replaced(facts, event):
            return
        instead = bool(facts.triggers)
        if len(facts.reads) > 1 and not instead:
            out.risk("55000", f'view "{bare(current)}" may not be updatable by itself')
        for read in facts.reads if instead or len(facts.reads) > 1 else ():
            out.lock(read, ACCESS_SHARE)
        current = facts.reads[0] if len(facts.reads) == 1 and not instead else None


def scanned(name: str, world: World, out: Recorder, *, below: Collection[str] | None = None) -> None:
    """Without an index for its WHERE the whole table is read."""
    facts = world.relation(name)
    if facts is None or facts.kind == "v":
        if facts is None:
            out.scan(name)
        return
    for part in (name, *(facts.partitions if below is None else below)):
        known = world.relation(part)
        if known is None or known.kind in "rm":
            out.scan(part)


def inserted(
    name: str,
    given: Collection[str] | None,
    nulls: Collection[str],
    world: World,
    out: Recorder,
    rows: Sequence[Row] | None = None,
) -> None:
    """:param given: columns with a value of their own; None: all. :param rows: when their values are known."""
    for base in bases(name, world, Recorder(), "INSERT"):
        facts = world.relation(base)
        if facts is None or facts.kind == "v":
            continue
        for column, known in facts.columns.items():
            if given is not None and column not in given:
                for sequence in known.sequences:
                    out.lock(sequence, RX)
        if any(index.unique for index in facts.indexes):
            out.risk("23505", f"a row with the same key may be in {base}")
        out.risk("23502", f"a column of {base} that must not be null may be")
        if facts.is_partition:
            out.risk("23514", f"a row may not belong into the partition {base}")
        for item in references.checked(facts, world):
            filled = given is None or all(c in given or _filled(facts, c) for c in item.columns)
            if filled and not references.exempt(item, nulls):
                references.check(item, world, out, rows if base == name else None)


def _filled(facts: RelationFacts, column: str) -> bool:
    """Whether a row gets a value that the statement does not give; a column that is not known may have a default."""
    known = facts.columns.get(column)
    return known is None or bool(known.default)


def updated(
    name: str, columns: Collection[str], world: World, out: Recorder, nulls: Collection[str] = frozenset()
) -> None:
    """:param nulls: columns of which every row gets NULL: a foreign key with one of them looks for nothing."""
    for base in bases(name, world, Recorder(), "UPDATE"):
        facts = world.relation(base)
        if facts is None or facts.kind == "v":
            continue
        for item in references.checked(facts, world):
            if any(column in columns for column in item.columns) and not references.exempt(item, nulls):
                references.check(item, world, out)
        for other, item in references.pointing(base, world):
            if any(column in columns for column in references.key_of(item, facts)):
                references.changed_key(other, item, item.on_update, world, out)


def deleted(name: str, world: World, out: Recorder) -> None:
    """CASCADE goes on from the tables that lose rows."""
    seen: set[str] = set()
    stack = [base for base in bases(name, world, Recorder(), "DELETE")]
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        for other, item in references.pointing(current, world):
            references.changed_key(other, item, item.on_delete, world, out)
            if item.on_delete == "c":
                stack.append(other)


def _set_columns(targets: Node) -> tuple[str, ...]:
    return tuple(item.res_target.name for item in targets if item.HasField("res_target"))


def _set_nulls(targets: Node) -> frozenset[str]:
    items = (item.res_target for item in targets if item.HasField("res_target"))
    return frozenset(item.name for item in items if _is_null(_assigned(item.val)))


def _set_to_itself(targets: Node) -> frozenset[str]:
    """SET a = a: a trick to write rows anew, which changes no key."""
    items = (item.res_target for item in targets if item.HasField("res_target"))
    own = (item for item in items if name_of(item.val) == "column_ref")
    return frozenset(item.name for item in own if strings(item.val.column_ref.fields) == (item.name,))


def _assigned(value: Node) -> Node:
    """Of SET (a, b) = (1, NULL) the member."""
    if name_of(value) != "multi_assign_ref" or name_of(value.multi_assign_ref.source) != "row_expr":
        return value
    return value.multi_assign_ref.source.row_expr.args[value.multi_assign_ref.colno - 1]


def _is_null(value: Node) -> bool:
    while name_of(value) == "type_cast":
        value = value.type_cast.arg
    return name_of(value) == "a_const" and bool(value.a_const.isnull)


def _unknown(name: str, columns: Collection[str], world: World) -> Iterator[str]:
    facts = world.relation(name)
    if facts is not None:
        yield from (column for column in columns if column and facts.lacks(column))


def _width(stmt: Node) -> int | None:
    """How many columns INSERT without a list of them fills; None: nobody can tell from the text."""
    if not stmt.HasField("select_stmt"):
        return 0
    select = stmt.select_stmt.select_stmt
    if len(select.values_lists):
        return len(select.values_lists[0].list.items)
    if any(name_of(item.res_target.val) == "column_ref" and _is_star(item) for item in select.target_list):
        return None
    return len(select.target_list) or None


def _is_star(item: Node) -> bool:
    return any(name_of(field) == "a_star" for field in item.res_target.val.column_ref.fields)


def _as_many(name: str, columns: tuple[str, ...], stmt: Node, world: World, out: Recorder) -> None:
    """VALUES of the right length."""
    facts, width = world.relation(name), _width(stmt)
    if width is None or facts is None or not facts.columns:
        return
    if width > (len(columns) or len(facts.columns)) and not (facts.more_columns and not columns):
        out.fail("42601", "INSERT has more expressions than target columns")
    elif columns and 0 < width < len(columns):
        out.fail("42601", "INSERT has more target columns than expressions")


def _not_given(name: str, given: Collection[str] | None, stmt: Node, world: World, out: Recorder) -> None:
    """Columns that the server computes itself take no value but DEFAULT (rewriteTargetListIU in rewriteHandler.c)."""
    facts = world.relation(name)
    select = stmt.select_stmt.select_stmt
    if facts is None or given is None or not stmt.HasField("select_stmt") or len(select.values_lists) != 1:
        return
    overriding = enum(stmt, "override") in ("OVERRIDING_SYSTEM_VALUE", "OVERRIDING_USER_VALUE")
    for column, value in zip(given, select.values_lists[0].list.items, strict=False):
        known = facts.columns.get(column)
        if known is None or name_of(value) == "set_to_default":
            continue
        literals.does_not_fit(value, types.of_column(known), out, stored=True)
        if known.generated or (known.identity == "a" and not overriding):
            out.fail("428C9", f'cannot insert a non-DEFAULT value into column "{column}"')


def _arbiter(name: str, infer: Node, world: World, out: Recorder) -> None:
    """ON CONFLICT (columns) needs a unique index on just these; one of a predicate serves with WHERE only."""
    facts = world.relation(name)
    columns = [item.index_elem.name for item in infer.index_elems]
    if facts is None or facts.kind not in "rp" or facts.more_keys or not (columns and all(columns) and facts.columns):
        return
    for column in columns:
        if facts.lacks(column):
            out.fail("42703", f'column "{column}" does not exist')
    filtered = infer.HasField("where_clause")
    if not any(
        index.unique and set(index.columns) == set(columns) and (filtered or index.predicate is None)
        for index in facts.indexes
    ):
        out.fail("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")


def _first(name: str, width: int | None, world: World) -> tuple[str, ...] | None:
    facts = world.relation(name)
    if width is None or facts is None or facts.more_columns:
        return None
    return tuple(facts.columns)[:width]


def _nulls(given: Collection[str] | None, rows: Sequence[Row] | None) -> frozenset[str]:
    """Columns that every row leaves NULL."""
    if given is None or not rows:
        return frozenset()
    return frozenset(column for column in given if all(column in row and _is_null(row[column]) for row in rows))


Write = Callable[[Node, World, Recorder], None]

HANDLERS: Mapping[str, Write] = {
    "InsertStmt": insert,
    "UpdateStmt": update,
    "DeleteStmt": delete,
    "MergeStmt": merge,
}
