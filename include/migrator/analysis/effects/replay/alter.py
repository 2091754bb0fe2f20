"""What ALTER TABLE leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from migrator.analysis.effects.names import definitions, dependents
from migrator.analysis.effects.names.dependents import uses_column
from migrator.analysis.effects.replay.create import add_constraint
from migrator.analysis.effects.replay.draft import Draft, Replay
from migrator.analysis.effects.types import types
from migrator.analysis.effects.types.volatility import sequences_used
from migrator.analysis.effects.world import World
from migrator.facts.facts import ColumnFacts, ConstraintFacts, IndexFacts, RelationFacts, altered
from migrator.parsing.nodes import Node, commands, enum, type_parts

Change = Callable[[Node, str, Draft], None]
"""Subcommand, table, and where to write."""


def alter_table(stmt: Node, draft: Draft) -> None:
    table = draft.world.name(stmt.relation)
    tables = (table, *typed_tables(table, draft.world)) if enum(stmt, "objtype") == "OBJECT_TYPE" else (table,)
    for command in commands(stmt):
        change = CHANGES.get(enum(command, "subtype"))
        if change is None:
            continue
        for name in tables:
            change(command, name, draft)


def typed_tables(composite: str, world: World) -> tuple[str, ...]:
    """Tables that are made OF a type, and change with it."""
    known = world.type(tuple(composite.split(".", 1)))
    return known.typed_tables if known is not None else ()


def _known(table: str, draft: Draft) -> RelationFacts:
    return draft.relation(table) or draft.partial(table)


def _save(facts: RelationFacts, draft: Draft) -> None:
    if draft.relation(facts.name) is not None:
        draft.put(facts)
    else:
        draft.remember(facts)


def _with_column(table: str, column: str, made: ColumnFacts | None, draft: Draft) -> None:
    """On the table and everything below it; None takes the column away."""
    for name in (table, *draft.world.leaves(table)):
        facts = _known(name, draft)
        columns = {key: value for key, value in facts.columns.items() if key != column or made is not None}
        if made is not None:
            columns[column] = made
        _save(altered(facts, columns=columns), draft)


def _edit(table: str, column: str, draft: Draft, **fields: object) -> None:
    for name in (table, *draft.world.leaves(table)):
        facts = _known(name, draft)
        known = facts.columns.get(column)
        if known is not None:
            changed = altered(known, **fields)
            _save(altered(facts, columns={**facts.columns, column: changed}), draft)


def _add_column(command: Node, table: str, draft: Draft) -> None:
    definition = getattr(command, "def").column_def
    if command.missing_ok and definition.colname in _known(table, draft).columns:
        return
    made = definitions.column(definition, draft.world, table)
    _with_column(table, definition.colname, made, draft)
    if not command.missing_ok:
        draft.changes[("added", table, definition.colname)] = True
    for sequence in made.sequences:
        draft.create(RelationFacts(sequence, "S", owned_by=table, sequence_type=made.type))
    for item in definitions.column_constraints(definition, draft.world, table):
        add_constraint(table, item, draft)


def _drop_column(command: Node, table: str, draft: Draft) -> None:
    """Constraints and indexes on the column go with it."""
    column = command.name
    draft.changes[("added", table, column)] = False
    _gone(dependents.column_of(table, column, draft.world), draft)
    facts = _known(table, draft)
    used = facts.columns[column].sequences if column in facts.columns else ()
    for sequence in (*used, *dependents.sequences_given(table, column, draft.world)):
        known = draft.relation(sequence)
        owner = draft.world.state.get(("owner", sequence), (known.owned_by if known is not None else table, column))
        if owner == (table, column):
            draft.drop(sequence)
    _with_column(table, column, None, draft)
    for name in (table, *draft.world.leaves(table)):
        facts = _known(name, draft)
        with_it = uses_column(draft.world, name, column)
        for index in facts.indexes:
            if index.name in with_it:
                draft.changes[("relation", index.name)] = None
        _save(
            altered(
                facts,
                constraints=tuple(item for item in facts.constraints if column not in item.columns),
                indexes=tuple(item for item in facts.indexes if item.name not in with_it),
            ),
            draft,
        )
        for item in facts.constraints:
            if column in item.columns:
                _no_longer(item, name, draft, cascade=enum(command, "behavior") == "DROP_CASCADE")


def _alter_type(command: Node, table: str, draft: Draft) -> None:
    definition = getattr(command, "def").column_def
    world = draft.world
    facts = _known(table, draft)
    made = facts.columns.get(command.name, ColumnFacts("", False))
    collation = definition.coll_clause.collname[-1].string.sval if definition.HasField("coll_clause") else ""
    made = altered(
        made,
        type=str(types.from_node(definition.type_name)),
        domain=world.domain(type_parts(definition.type_name)) is not None,
        collation=collation or made.collation,
    )
    _with_column(table, command.name, made, draft)


def _set_not_null(command: Node, table: str, draft: Draft) -> None:
    _edit(table, command.name, draft, not_null=True)
    facts = _known(table, draft)
    if command.name not in facts.columns:
        proof = ConstraintFacts("", "n", True, "", (command.name,), proves=frozenset([command.name]))
        _save(altered(facts, constraints=(*facts.constraints, proof)), draft)


def _drop_not_null(command: Node, table: str, draft: Draft) -> None:
    _edit(table, command.name, draft, not_null=False)
    for name in (table, *draft.world.leaves(table)):
        facts = _known(name, draft)
        kept = tuple(item for item in facts.constraints if item.kind != "n" or item.columns != (command.name,))
        _save(altered(facts, constraints=kept), draft)


def _default(command: Node, table: str, draft: Draft) -> None:
    given = command.HasField("def")
    sequences = sequences_used(getattr(command, "def"), draft.world) if given else ()
    _edit(table, command.name, draft, default="" if given else None, sequences=sequences)


def _identity(command: Node, table: str, draft: Draft) -> None:
    """Its sequence comes and goes with it."""
    facts = _known(table, draft).columns.get(command.name)
    if enum(command, "subtype") == "AT_DropIdentity":
        for name in facts.sequences if facts is not None and facts.identity else ():
            draft.drop(name)
        _edit(table, command.name, draft, identity="", sequences=())
        return
    own = definitions.own_sequence(table, command.name)
    sequence = own if draft.relation(own) is None else f"{own}1"  # ChooseRelationName
    draft.create(RelationFacts(sequence, "S", owned_by=table, sequence_type=facts.type if facts is not None else ""))
    _edit(table, command.name, draft, identity="d", sequences=(sequence,))


def _drop_expression(command: Node, table: str, draft: Draft) -> None:
    _edit(table, command.name, draft, generated="", default=None)


def _add_constraint(command: Node, table: str, draft: Draft) -> None:
    node = getattr(command, "def").constraint
    item = definitions.constraint(node, draft.world, table)
    if item is None:
        return
    if node.indexname:
        _use_index(node.indexname, item.name, item.kind, table, draft)
        facts = _known(table, draft)
        index = next((index for index in facts.indexes if index.name == item.index), None)
        item = altered(item, columns=index.columns if index is not None else ())
    add_constraint(table, item, draft)
    if node.skip_validation:
        draft.changes[("not valid", table, item.name)] = True
    if item.kind == "p" or (item.kind == "n" and item.validated):
        for column in item.columns:
            _edit(table, column, draft, not_null=True)
    if item.kind == "c" and not node.is_no_inherit:
        for leaf in draft.world.leaves(table):
            draft.extend(leaf, altered(item, inherited=True))


def _use_index(name: str, constraint: str, kind: str, table: str, draft: Draft) -> None:
    """The index takes the name of its constraint."""
    facts = draft.relation(table)
    if facts is None:
        return
    schema = table.rpartition(".")[0]
    old, new = f"{schema}.{name}", f"{schema}.{constraint}"
    indexes: list[IndexFacts] = []
    for index in facts.indexes:
        mine = index.name == old
        indexes.append(altered(index, name=new, constraint=True, primary=kind == "p") if mine else index)
    draft.put(altered(facts, indexes=tuple(indexes)))
    if old != new and draft.relation(old) is not None:
        draft.rename(old, new)


def _validate(command: Node, table: str, draft: Draft) -> None:
    draft.changes[("not valid", table, command.name)] = False
    for name in (table, *draft.world.leaves(table)):
        facts = _known(name, draft)
        changed = tuple(
            altered(item, validated=True) if item.name == command.name else item for item in facts.constraints
        )
        _save(altered(facts, constraints=changed), draft)
        for item in changed:
            if item.name == command.name and item.kind == "n":
                for column in item.columns:
                    _edit(name, column, draft, not_null=True)


def _gone(keys: Iterable[str], draft: Draft) -> None:
    for key in dependents.reached(keys, draft.world):
        draft.changes[("gone", key)] = True


def _drop_constraint(command: Node, table: str, draft: Draft) -> None:
    _gone(dependents.part_of(table, "pg_constraint", command.name, draft.world), draft)
    draft.changes[("not valid", table, command.name)] = False
    for name in (table, *draft.world.leaves(table)):
        facts = _known(name, draft)
        found = next((item for item in facts.constraints if item.name == command.name), None)
        if found is None:
            continue
        kept = tuple(item for item in facts.constraints if item is not found)
        indexes = tuple(item for item in facts.indexes if item.name != found.index or found.kind not in "pux")
        for index in facts.indexes:
            if index not in indexes:
                draft.changes[("relation", index.name)] = None
        _save(altered(facts, constraints=kept, indexes=indexes), draft)
        if found.kind == "n":
            for column in found.columns:
                _edit(name, column, draft, not_null=False)
        _no_longer(found, name, draft, cascade=enum(command, "behavior") == "DROP_CASCADE")


def _no_longer(gone: ConstraintFacts, table: str, draft: Draft, *, cascade: bool) -> None:
    """What a constraint meant to other tables, once the table is without it. With CASCADE, the foreign keys that rely
    on a key go with it; of one that the migration made, nobody knows on which, and it counts among them."""
    facts = _known(table, draft)
    if gone.referenced and not any(item.referenced == gone.referenced for item in facts.constraints):
        other = draft.relation(gone.referenced)
        if other is not None:
            draft.put(altered(other, referenced_by=tuple(name for name in other.referenced_by if name != table)))
    if not cascade or gone.kind not in "pu":
        return
    for name in facts.referenced_by:
        relying = draft.relation(name)
        for item in relying.constraints if relying is not None else ():
            if item.referenced == table and item.index in (gone.index, None):
                relying = _known(name, draft)
                _save(altered(relying, constraints=tuple(c for c in relying.constraints if c is not item)), draft)
                _no_longer(item, name, draft, cascade=True)


def _attach(command: Node, table: str, draft: Draft) -> None:
    partition = getattr(command, "def").partition_cmd
    name = draft.world.name(partition.name)
    facts = draft.relation(name)
    if facts is not None and facts.kind in ("i", "I"):
        _attach_index(name, table, draft)
        return
    if name == table or (facts is not None and table in facts.partitions):
        return  # circular: the server refuses it (42P07)
    bound = definitions.bound_text(partition.bound) if partition.HasField("bound") else None
    draft.change(name, parent=table, is_partition=True, bound=bound)
    draft.attach(name, table, default=partition.HasField("bound") and partition.bound.is_default)


def _attach_index(name: str, parent: str, draft: Draft) -> None:
    facts = draft.relation(name)
    table = draft.relation(facts.table) if facts is not None and facts.table else None
    if table is not None:
        changed = (altered(item, parent=parent) if item.name == name else item for item in table.indexes)
        draft.put(altered(table, indexes=tuple(changed)))


def _detach(command: Node, table: str, draft: Draft) -> None:
    name = draft.world.name(getattr(command, "def").partition_cmd.name)
    draft.detach(name, table)
    facts = draft.relation(name)
    if facts is not None:
        indexes = tuple(altered(item, parent=None) for item in facts.indexes)
        draft.put(altered(facts, parent=None, is_partition=False, bound=None, indexes=indexes))


def _inherit(command: Node, table: str, draft: Draft) -> None:
    parent, facts = draft.world.name(getattr(command, "def").range_var), draft.relation(table)
    if parent == table or (facts is not None and parent in facts.partitions):
        return  # circular: the server refuses it (42P07)
    if facts is not None and facts.parent is None:
        draft.change(table, parent=parent)
    draft.attach(table, parent)


def _no_inherit(command: Node, table: str, draft: Draft) -> None:
    parent, facts = draft.world.name(getattr(command, "def").range_var), draft.relation(table)
    draft.detach(table, parent)
    if facts is not None and facts.parent == parent:
        draft.change(table, parent=None)


def _persistence(value: str) -> Change:
    def change(command: Node, table: str, draft: Draft) -> None:
        draft.change(table, persistence=value)

    return change


def _row_security(value: bool) -> Change:
    def change(command: Node, table: str, draft: Draft) -> None:
        draft.change(table, row_security=value)

    return change


def _replica_identity(command: Node, table: str, draft: Draft) -> None:
    draft.change(table, replica_identity=getattr(command, "def").replica_identity_stmt.identity_type)


def _tablespace(command: Node, table: str, draft: Draft) -> None:
    draft.change(table, tablespace=command.name)


def _access_method(command: Node, table: str, draft: Draft) -> None:
    draft.change(table, access_method=command.name)


CHANGES: Mapping[str, Change] = {
    "AT_AddColumn": _add_column,
    "AT_DropColumn": _drop_column,
    "AT_AlterColumnType": _alter_type,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _drop_not_null,
    "AT_ColumnDefault": _default,
    "AT_AddIdentity": _identity,
    "AT_DropIdentity": _identity,
    "AT_DropExpression": _drop_expression,
    "AT_AddConstraint": _add_constraint,
    "AT_ValidateConstraint": _validate,
    "AT_DropConstraint": _drop_constraint,
    "AT_AttachPartition": _attach,
    "AT_DetachPartition": _detach,
    "AT_DetachPartitionFinalize": _detach,
    "AT_AddInherit": _inherit,
    "AT_DropInherit": _no_inherit,
    "AT_SetLogged": _persistence("p"),
    "AT_SetUnLogged": _persistence("u"),
    "AT_EnableRowSecurity": _row_security(True),
    "AT_DisableRowSecurity": _row_security(False),
    "AT_ReplicaIdentity": _replica_identity,
    "AT_SetTableSpace": _tablespace,
    "AT_SetAccessMethod": _access_method,
}

HANDLERS: Mapping[str, Replay] = {"alter_table_stmt": alter_table}
