"""ALTER COLUMN TYPE by way of a second column, and the cheaper ways where the table itself need not be written anew."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types import types
from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.backfill import expression, fill
from migrator.analysis.rules.online.constraints import not_null, taken
from migrator.analysis.rules.online.expressions import (
    constraint_of,
    expression_of,
    renamed,
    statement_of,
    type_of,
    uses,
)
from migrator.analysis.rules.online.moves import References, is_referenced, moved_references, moved_sequences
from migrator.analysis.rules.online.steps import Steps
from migrator.analysis.rules.online.sync import ended, renamed_target, started
from migrator.facts.facts import ColumnFacts, ConstraintFacts, IndexFacts, RelationFacts
from migrator.frozen import frozen
from migrator.parsing.build import beside, build, parts_of, range_var
from migrator.parsing.nodes import Node, assign, copy_of, find

LEFT_BEHIND = (
    "with the old column go its comment, its own privileges, statistics target, storage, compression and options,",
    "and extended statistics over it (psql shows them: \\d+, \\dp, \\dX): make again here what there was",
)
"""The facts do not have them."""


def alter_type(alteration: Alteration) -> Steps | None:
    """None where the catalog is not known, or something depends on the column that no second column can take over."""
    if not alteration.heavy:
        return Steps(expand=(alteration.alone,))
    facts = alteration.facts
    if facts is None or alteration.effects.fails or _is_tied(alteration, facts):
        return None
    if alteration.effects.rewrites:
        return _second_column(alteration, facts, *_converted(alteration))
    if alteration.effects.indexes_rebuilt:
        return _new_indexes(alteration, facts) or _second_column(alteration, facts, *_converted(alteration))
    return None if alteration.is_partitioned else _without_checks(alteration, facts)


def set_expression(alteration: Alteration) -> Steps | None:
    """SET EXPRESSION of a stored generated column: no column can be computed by the server without writing the table
    anew, so a trigger computes the new one for ever."""
    facts, column = alteration.facts, alteration.command.name
    known = facts.columns.get(column) if facts is not None else None
    if not alteration.heavy:
        return Steps(expand=(alteration.alone,))
    if facts is None or known is None or known.generated != "s" or alteration.effects.fails:
        return None
    definition = type_of(known.type)
    if _is_tied(alteration, facts) or definition is None or known.collation not in ("", "default"):
        return None
    value = getattr(alteration.command, "def")
    return _second_column(alteration, facts, definition, copy_of(value), computed=True)


def _is_tied(alteration: Alteration, facts: RelationFacts) -> bool:
    """What no second column can take over: an identity, whose sequence goes with it; foreign keys of others that point
    here; on a partitioned table also indexes, keys and foreign keys."""
    column = alteration.command.name
    known = facts.columns.get(column)
    if known is None or known.identity or is_referenced(alteration, facts, column):
        return True
    mine = [item for item in facts.constraints if item.kind in "fpux" and column in item.columns]
    indexed = any(column in item.columns or item.expressions or item.predicate for item in facts.indexes)
    return alteration.is_partitioned and bool(mine or indexed)


def _converted(alteration: Alteration) -> tuple[Node, Node]:
    """The new column, and its value from the old one."""
    definition = alteration.column_def
    if definition.HasField("raw_default"):
        return definition, definition.raw_default
    return definition, _cast(alteration.command.name, definition.type_name)


@frozen
class _Change:
    alteration: Alteration
    facts: RelationFacts
    old: str
    new: str
    definition: Node
    """Type and collation of the new column, as a ColumnDef."""
    value: Node | None = None
    computed: bool = False
    """The trigger that computes it stays."""

    @property
    def relation(self) -> Node:
        return self.alteration.relation

    @property
    def indexes(self) -> tuple[tuple[IndexFacts, Node], ...]:
        """The column's indexes with the statements that make them."""
        found = []
        for item in self.facts.indexes:
            made = statement_of(item.definition)
            if made is not None and uses(made, self.old):
                found.append((item, made))
        return tuple(found)

    @property
    def checks(self) -> tuple[ConstraintFacts, ...]:
        return tuple(item for item in self.facts.constraints if item.kind == "c" and self.old in item.columns)


def _second_column(
    alteration: Alteration, facts: RelationFacts, definition: Node, value: Node, *, computed: bool = False
) -> Steps | None:
    """Kept in step by a trigger, filled in batches; in the end it takes the old one's name, indexes and constraints."""
    old = alteration.command.name
    change = _Change(alteration, facts, old, object_name(old, "", "new"), definition, value, computed)
    keys = tuple(item for item in facts.constraints if item.kind in ("p", "u", "x") and old in item.columns)
    if any(item.kind == "x" for item in keys) or change.new in facts.columns:
        return None
    references = moved_references(alteration, facts, old, change.new)
    if references is None:
        return None
    source = value if computed else expression("SELECT old", old=old)
    where = expression("SELECT new IS NULL AND val IS NOT NULL", new=change.new, val=source)
    steps = Steps(
        expand=(_add(change), *started(alteration, change.new, value)),
        fill=fill(alteration, change.new, value, where),
    )
    required = facts.columns[old].not_null
    if required:
        steps += not_null(alteration, change.new)
    return steps + references.before + _indexes(change) + _swap(change, keys, required, references)


def _cast(column: str, target: Node) -> Node:
    value = expression("SELECT CAST(col AS integer)", col=column)
    assign(value.type_cast.type_name, target)
    return value


def _add(change: _Change) -> Node:
    definition = change.definition
    node = build("ALTER TABLE tbl ADD COLUMN col integer", tbl=change.relation, col=change.new)
    column = getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def
    assign(column.type_name, definition.type_name)
    if definition.HasField("coll_clause"):
        assign(column.coll_clause, definition.coll_clause)
    return node


def _indexes(change: _Change) -> Steps:
    """The same indexes over the new column. Those of constraints are taken over by ADD CONSTRAINT USING INDEX."""
    built = []
    for item, made in change.indexes:
        node = renamed(made, change.old, change.new)
        node.index_stmt.idxname = _new_name(_bare(item))
        node.index_stmt.concurrent = True
        assign(node.index_stmt.relation, beside(change.relation, change.relation.relname))
        built.append(node)
    return Steps(index=tuple(built))


def _widened_sequences(change: _Change, known: ColumnFacts) -> Iterator[Node]:
    """A serial's sequence is of the column's type, and stays so by itself."""
    wanted = types.from_node(change.definition.type_name).name
    if known.type in ("smallint", "integer") and wanted in ("integer", "bigint"):
        for name in known.sequences:
            yield build(f"ALTER SEQUENCE seq AS {wanted}", seq=range_var(name))


def _swap(change: _Change, keys: tuple[ConstraintFacts, ...], required: bool, references: References) -> Steps:
    """One transaction: the old column goes with all that is on it, the new one takes its place."""
    table, known = change.relation, change.facts.columns[change.old]
    kept = change.computed and change.value is not None
    finish = [
        *(() if kept else ended(change.alteration, change.new)),
        *moved_sequences(change.alteration, known, change.new),
        *_widened_sequences(change, known),
        build("ALTER TABLE tbl DROP COLUMN col", tbl=table, col=change.old),
        build("ALTER TABLE tbl RENAME COLUMN col TO name", tbl=table, col=change.new, name=change.old),
    ]
    if change.computed and change.value is not None:
        finish.append(renamed_target(change.alteration, change.new, change.old, change.value))
    plain = known.default is not None and not known.generated
    default = expression_of(known.default or "") if plain else None
    if default is not None:
        finish.append(build("ALTER TABLE tbl ALTER COLUMN col SET DEFAULT val", tbl=table, col=change.old, val=default))
    finish += _not_null_name(change) if required else ()
    for key in keys:
        finish.append(_take_over(change, key))
    finish += references.finish
    finish += [
        build("ALTER INDEX idx RENAME TO name", idx=beside(table, _new_name(_bare(item))), name=_bare(item))
        for item, _ in change.indexes
        if not item.constraint
    ]
    checks = [made for made in (constraint_of(item.definition, item.name) for item in change.checks) if made]
    for made in checks:
        made.skip_validation, made.initially_valid = True, False
        finish.append(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=table, con=made))
    after = [build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=made.conname) for made in checks]
    return Steps(finish=tuple(finish), after=tuple(after), notes=LEFT_BEHIND)


def _not_null_name(change: _Change) -> list[Node]:
    """From PostgreSQL 18 on NOT NULL has a name, which is to be the old one's."""
    known = next((item for item in change.facts.constraints if item.kind == "n" and change.old in item.columns), None)
    if known is None:
        return []
    made = object_name(change.relation.relname, change.new, "not_null", taken=taken(change.alteration))
    return [build("ALTER TABLE tbl RENAME CONSTRAINT con TO name", tbl=change.relation, con=made, name=known.name)]


def _take_over(change: _Change, key: ConstraintFacts) -> Node:
    index = _new_name((key.index or "").partition(".")[2])
    kind = "PRIMARY KEY" if key.kind == "p" else "UNIQUE"
    node = build(
        f"ALTER TABLE tbl ADD CONSTRAINT con {kind} USING INDEX idx", tbl=change.relation, con=key.name, idx=index
    )
    made = constraint_of(key.definition, key.name)
    if made is not None:
        constraint = getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").constraint
        constraint.deferrable, constraint.initdeferred = made.deferrable, made.initdeferred
    return node


def _new_name(index: str) -> str:
    return object_name(index, "", "new")


def _bare(index: IndexFacts) -> str:
    return index.name.partition(".")[2]


def _without_checks(alteration: Alteration, facts: RelationFacts) -> Steps | None:
    """Only the CHECKs on the column make it heavy: they are taken off, and put back NOT VALID."""
    change = _Change(alteration, facts, alteration.command.name, "", alteration.column_def)
    checks = [
        made
        for made in (constraint_of(item.definition, item.name) for item in change.checks if item.validated)
        if made is not None
    ]
    if not checks:
        return None
    table = alteration.relation
    for made in checks:
        made.skip_validation, made.initially_valid = True, False
    return Steps(
        expand=(
            *(build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=table, con=made.conname) for made in checks),
            alteration.alone,
            *(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=table, con=made) for made in checks),
        ),
        validate=tuple(
            build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=made.conname) for made in checks
        ),
    )


def _new_indexes(alteration: Alteration, facts: RelationFacts) -> Steps | None:
    """Another collation: indexes that sort by it are built before, and the change finds them as they should be."""
    change = _Change(alteration, facts, alteration.command.name, "", alteration.column_def)
    rebuilt = [(item, made) for item, made in change.indexes if item.name in alteration.effects.indexes_rebuilt]
    clause = alteration.column_def.coll_clause
    if change.checks or any(item.constraint for item, _ in rebuilt) or not len(clause.collname):
        return None
    index, renames = [], []
    for item, made in rebuilt:
        bare = _bare(item)
        for element in find(made, "IndexElem"):
            if element.name == change.old and not len(element.collation):
                element.collation.extend(clause.collname)
        made.index_stmt.idxname = _new_name(bare)
        made.index_stmt.concurrent = True
        assign(made.index_stmt.relation, beside(alteration.relation, alteration.relation.relname))
        old, new = beside(alteration.relation, bare), beside(alteration.relation, _new_name(bare))
        index += [made, build("DROP INDEX CONCURRENTLY idx", idx=parts_of(old))]
        renames.append(build("ALTER INDEX idx RENAME TO name", idx=new, name=bare))
    return Steps(index=tuple(index), finish=(alteration.alone, *renames))
