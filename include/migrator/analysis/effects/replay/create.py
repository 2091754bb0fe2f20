"""What CREATE leaves behind: relations with their columns, constraints and indexes."""

from __future__ import annotations

from collections.abc import Mapping

from migrator.analysis.effects.names import definitions
from migrator.analysis.effects.replay.draft import Draft, Replay
from migrator.analysis.effects.types import types
from migrator.analysis.effects.world import TEMPORARY, World
from migrator.facts.constants import path_set_by
from migrator.facts.facts import ColumnFacts, ConstraintFacts, IndexFacts, RelationFacts, ViewUse, altered
from migrator.parsing.nodes import Node, content, enum, find, name_of, option, strings

INCLUDING_INDEXES = 1 << 6
"""CREATE_TABLE_LIKE_INDEXES in src/include/nodes/parsenodes.h."""


def table(stmt: Node, draft: Draft) -> None:
    name = new_name(stmt.relation, draft.world)
    if draft.world.exists(name):
        return
    world = draft.world
    columns: dict[str, ColumnFacts] = {}
    constraints: list[ConstraintFacts] = []
    partition = stmt.HasField("partbound")
    parents = [world.name(item.range_var) for item in stmt.inh_relations]
    models, keys_too = list(map(draft.relation, parents)), False
    for parent in parents:
        facts = draft.relation(parent)
        if facts is not None:
            columns.update(facts.columns)
            constraints += [
                altered(item, inherited=True) for item in facts.constraints if partition or item.kind == "c"
            ]
    made_of = strings(stmt.of_typename.names)
    if made_of:
        models.append(_of_type(made_of, name, draft))
        columns.update(models[-1].columns if models[-1] is not None else {})
    for item in stmt.table_elts:
        kind, definition = name_of(item), content(item)
        if kind == "column_def":
            if definition.HasField("type_name"):
                columns[definition.colname] = definitions.column(definition, world, name)
            constraints += definitions.column_constraints(definition, world, name)
        elif kind == "constraint":
            constraints += filter(None, [definitions.constraint(definition, world, name)])
        elif kind == "table_like_clause":
            facts = draft.relation(world.name(definition.relation))
            models.append(facts)
            keys_too = keys_too or bool(definition.options & INCLUDING_INDEXES)
            for column, known in (facts.columns if facts else {}).items():
                columns[column] = altered(known, default=None, identity="", generated="", sequences=())
    for key in constraints:
        if key.kind == "p":
            columns.update({c: altered(columns[c], not_null=True) for c in key.columns if c in columns})
    partitioned = stmt.HasField("partspec")
    draft.create(
        RelationFacts(
            name=name,
            kind="p" if partitioned else "r",
            columns=columns,
            more_columns=any(model is None or model.more_columns for model in models),
            more_keys=keys_too or (partition and any(model is None or model.more_keys for model in models)),
            partition_key=enum(stmt.partspec, "strategy") if partitioned else None,
            persistence=stmt.relation.relpersistence or "p",
            parent=parents[0] if parents else None,
            of_type=".".join(made_of) or None,
            is_partition=partition,
            bound=definitions.bound_text(stmt.partbound) if partition else None,
        ),
        anyway=stmt.if_not_exists,
    )
    for key in constraints:
        add_constraint(name, key, draft)
    for parent in parents:
        draft.attach(name, parent, default=definitions.bound_is_default(stmt))
        inherit_indexes(name, parent, draft)
    for known in columns.values():
        for own in known.sequences:
            if draft.relation(own) is None:
                draft.create(RelationFacts(own, "S", owned_by=name, sequence_type=known.type))


def _of_type(parts: tuple[str, ...], table: str, draft: Draft) -> RelationFacts | None:
    """The type with its columns; it has a table of it from then on."""
    known = draft.world.type(parts)
    if known is None:
        return None
    draft.changes[("type", known.name)] = altered(known, typed_tables=(*known.typed_tables, table))
    return draft.relation(known.name)


def add_constraint(table: str, item: ConstraintFacts, draft: Draft) -> None:
    """With the index of a key, and the foreign key in the facts of the table it points to."""
    draft.extend(table, item)
    if item.referenced:
        other = draft.relation(item.referenced)
        if other is not None and table not in other.referenced_by:
            draft.put(altered(other, referenced_by=(*other.referenced_by, table)))
    facts = draft.relation(table)
    if facts is None:
        return
    index = definitions.key_index(item, partitioned=facts.kind == "p")
    if index is not None and not any(known.name == index.name for known in facts.indexes):
        add_index(table, index, draft)


def add_index(table: str, index: IndexFacts, draft: Draft, *, anyway: bool = False) -> None:
    facts = draft.relation(table)
    if facts is not None:
        draft.put(altered(facts, indexes=(*facts.indexes, index)))
    draft.create(RelationFacts(index.name, "I" if index.partitioned else "i", table=table), anyway=anyway)


def inherit_indexes(name: str, parent: str, draft: Draft) -> None:
    """A partition gets an index for each of its parent's."""
    above = draft.relation(parent)
    if above is None or above.kind != "p":
        return
    facts = draft.relation(name)
    for index in above.indexes:
        if facts is None or index.constraint:
            continue
        own = definitions.index_name(name, index.names or index.columns, draft.world)
        add_index(name, altered(index, name=own, parent=index.name, partitioned=facts.kind == "p"), draft)


def table_as(stmt: Node, draft: Draft) -> None:
    name = new_name(stmt.into.rel, draft.world)
    if draft.world.exists(name):
        return
    kind = "m" if enum(stmt, "objtype") == "OBJECT_MATVIEW" else "r"
    reads = definitions.read_relations(stmt.query, draft.world) if kind == "m" else ()
    draft.create(
        RelationFacts(name, kind, more_columns=True, reads=reads, populated=not stmt.into.skip_data),
        anyway=stmt.if_not_exists,
    )
    if kind == "m":
        _read_by(name, reads, draft)


def select(stmt: Node, draft: Draft) -> None:
    """With the path that it sets, and the table that it makes."""
    paths = (path_set_by(call) for item in stmt.target_list for call in find(item, "FuncCall"))
    for path in (one for one in paths if one is not None):
        draft.changes[("setting", "search_path")] = path
    if stmt.HasField("into_clause"):
        draft.create(RelationFacts(new_name(stmt.into_clause.rel, draft.world), "r", more_columns=True))


def view(stmt: Node, draft: Draft) -> None:
    name = new_name(stmt.view, draft.world)
    reads = definitions.read_relations(stmt.query, draft.world)
    calls = definitions.called_functions(stmt.query, draft.world)
    known = draft.relation(name)
    if known is None and draft.world.exists(name) is None and stmt.replace:
        return
    if known is None:
        draft.create(RelationFacts(name, "v", more_columns=True, reads=reads, calls=calls), anyway=stmt.replace)
    else:
        draft.put(altered(known, more_columns=True, reads=reads, calls=calls))
    _read_by(name, reads, draft)


def _read_by(name: str, reads: tuple[str, ...], draft: Draft) -> None:
    for read in reads:
        facts = draft.relation(read)
        if facts is not None and not any(item.name == name for item in facts.views):
            draft.put(altered(facts, views=(*facts.views, ViewUse(name))))


def sequence(stmt: Node, draft: Draft) -> None:
    name = new_name(stmt.sequence, draft.world)
    if draft.world.exists(name):
        return
    draft.create(RelationFacts(name, "S", sequence_type=_number_type(stmt) or "bigint"), anyway=stmt.if_not_exists)
    _owned_by(stmt, name, draft)


def alter_sequence(stmt: Node, draft: Draft) -> None:
    name, wanted = draft.world.name(stmt.sequence), _number_type(stmt)
    if wanted:
        draft.change(name, sequence_type=wanted)
    _owned_by(stmt, name, draft)


def _number_type(stmt: Node) -> str:
    """AS ..."""
    found = option(stmt.options, "as")
    return types.from_node(found.arg.type_name).name if found is not None else ""


def _owned_by(stmt: Node, name: str, draft: Draft) -> None:
    """OWNED BY: it goes with this column from now on, and no longer with another; with OWNED BY NONE with none."""
    option_node = option(stmt.options, "owned_by")
    if option_node is None:
        return
    parts = strings(option_node.arg.list.items)
    table, column = (draft.world.dotted(parts[:-1]), parts[-1]) if len(parts) > 1 else (None, "")
    draft.changes[("owner", name)] = (table, column)
    if table is not None:
        owned = draft.world.state.get(("owned", table, column), ())
        draft.changes[("owned", table, column)] = (*owned, name)
    facts = draft.relation(name)
    if facts is not None:
        draft.put(altered(facts, owned_by=table))


def foreign_table(stmt: Node, draft: Draft) -> None:
    name = new_name(stmt.base_stmt.relation, draft.world)
    if not draft.world.exists(name):
        base = stmt.base_stmt
        columns = {
            item.column_def.colname: definitions.column(item.column_def, draft.world, name)
            for item in base.table_elts
            if item.HasField("column_def")
        }
        more = len(base.inh_relations) > 0 or any(name_of(item) == "table_like_clause" for item in base.table_elts)
        draft.create(RelationFacts(name, "f", columns=columns, more_columns=more), anyway=base.if_not_exists)


def index(stmt: Node, draft: Draft) -> None:
    table = draft.world.name(stmt.relation)
    facts = draft.relation(table)
    partitioned = facts is not None and facts.kind == "p"
    made = definitions.index(stmt, table, draft.world, partitioned=partitioned)
    if draft.world.exists(made.name):
        return
    if facts is None:
        kind = "i" if stmt.relation.inh else "I"  # ON ONLY is for partitioned tables
        draft.create(RelationFacts(made.name, kind, table=table), anyway=stmt.if_not_exists)
        return
    add_index(table, made, draft, anyway=stmt.if_not_exists)
    if partitioned and stmt.relation.inh:
        for child in facts.children:
            _index_below(child, made, draft)


def _index_below(table: str, above: IndexFacts, draft: Draft) -> None:
    facts = draft.relation(table)
    if facts is None:
        return
    name = definitions.index_name(table, above.names or above.columns, draft.world)
    made = altered(above, name=name, parent=above.name, partitioned=facts.kind == "p")
    add_index(table, made, draft)
    for child in facts.children:
        _index_below(child, made, draft)


def new_name(range_var: Node, world: World) -> str:
    """Where CREATE puts it: the first schema of the search path."""
    if range_var.relpersistence == "t":
        return f"{TEMPORARY}.{range_var.relname}"
    return f"{range_var.schemaname or world.schema}.{range_var.relname}"


HANDLERS: Mapping[str, Replay] = {
    "create_stmt": table,
    "create_table_as_stmt": table_as,
    "select_stmt": select,
    "view_stmt": view,
    "create_seq_stmt": sequence,
    "alter_seq_stmt": alter_sequence,
    "create_foreign_table_stmt": foreign_table,
    "index_stmt": index,
}
