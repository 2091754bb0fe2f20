"""ADD COLUMN taken apart: the bare column at once, then its values, then its constraints."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from migrator.analysis.effects.types.volatility import volatile_functions
from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.backfill import expression, fill
from migrator.analysis.rules.online.constraints import constrained, default_name, not_null, taken
from migrator.analysis.rules.online.expressions import constraint_of, with_column
from migrator.analysis.rules.online.steps import Steps
from migrator.facts.facts import DomainFacts
from migrator.parsing.build import beside, build, parts_of, relation_text
from migrator.parsing.nodes import Node, assign, copy_of, enum, strings

SERIAL = {
    "smallserial": "smallint",
    "serial2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
}
ATTRIBUTES = {
    "CONSTR_ATTR_DEFERRABLE": ("deferrable", True),
    "CONSTR_ATTR_NOT_DEFERRABLE": ("deferrable", False),
    "CONSTR_ATTR_DEFERRED": ("initdeferred", True),
    "CONSTR_ATTR_IMMEDIATE": ("initdeferred", False),
    "CONSTR_ATTR_ENFORCED": ("is_enforced", True),
    "CONSTR_ATTR_NOT_ENFORCED": ("is_enforced", False),
}
"""What the grammar gives as a constraint of its own and belongs to the one before it."""
TABLE_KINDS = ("CONSTR_CHECK", "CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_FOREIGN")


@dataclass
class Parts:
    """A column definition taken apart."""

    column: Node
    """Without what is in the other fields."""
    default: Node | None = None
    identity: Node | None = None
    required: Node | None = None
    """The NOT NULL constraint."""
    stored: bool = False
    virtual: bool = False
    tables: list[Node] = field(default_factory=list)
    """CHECK, UNIQUE, PRIMARY KEY and REFERENCES as constraints of the table."""


def add_column(alteration: Alteration) -> Steps | None:
    """None where no way ends in the same column: stored generated columns, and domains with constraints."""
    parts = take_apart(alteration.column_def)
    domain = domain_of(alteration, parts.column)
    if parts.stored or (domain is not None and domain.constrained):
        return None
    steps = values(alteration, parts)
    filled = bool(steps.fill)
    name = alteration.column_def.colname
    primary = any(enum(item, "contype") == "CONSTR_PRIMARY" for item in parts.tables)
    if parts.required is not None and not primary:
        steps += not_null(alteration, name, parts.required.conname)
    for item in parts.tables:
        item.conname = item.conname or default_name(alteration, item)
        more = constrained(alteration, item, filled=filled)
        if more is None:
            return None
        steps += more
    if parts.identity is not None:
        steps += _identity(alteration, name, parts.identity)
    return steps


def parts_of_column(alteration: Alteration) -> Parts:
    """Of the column that an ADD COLUMN adds, for rules to look at; what changes them takes them apart anew."""
    memo, key = alteration.subject.memo, ("column", alteration.position)
    if key not in memo:
        memo[key] = take_apart(alteration.column_def)
    found: Parts = memo[key]
    return found


def take_apart(definition: Node) -> Parts:
    parts = Parts(copy_of(definition))
    del parts.column.constraints[:]
    for item in definition.constraints:
        constraint = copy_of(item.constraint)
        kind = enum(constraint, "contype")
        if kind in ATTRIBUTES and parts.tables:
            setattr(parts.tables[-1], *ATTRIBUTES[kind])
        elif kind == "CONSTR_DEFAULT":
            parts.default = constraint.raw_expr
        elif kind == "CONSTR_IDENTITY":
            parts.identity = constraint
        elif kind == "CONSTR_NOTNULL":
            parts.required = constraint
        elif kind in TABLE_KINDS:
            keys = constraint.fk_attrs if kind == "CONSTR_FOREIGN" else constraint.keys
            if kind != "CONSTR_CHECK":
                keys.add().string.sval = definition.colname
            parts.tables.append(constraint)
        else:
            if kind == "CONSTR_GENERATED":
                parts.virtual = constraint.generated_kind == "v"
                parts.stored = not parts.virtual
            assign(parts.column.constraints.add().constraint, constraint)
    return parts


def domain_of(alteration: Alteration, column: Node) -> DomainFacts | None:
    if alteration.world.facts is None or len(column.type_name.array_bounds):
        return None
    return alteration.world.domain(strings(column.type_name.names))


def with_base_type(alteration: Alteration, domain: DomainFacts) -> Alteration | None:
    """The same ADD COLUMN with the type below the domain, and the domain's constraints as the column's own."""
    command = copy_of(alteration.command)
    column = getattr(command, "def").column_def
    checks = [constraint_of(item.definition, "") for item in domain.constraints if item.kind == "c"]
    if not domain.type or any(item is None for item in checks):
        return None
    assign(column.type_name, _type(domain.type))
    for item in checks:
        constraint = column.constraints.add().constraint
        assign(constraint, item)
        assign(constraint.raw_expr, with_column(constraint.raw_expr, "value", expression("SELECT c", c=column.colname)))
    if domain.not_null:
        assign(column.constraints.add().constraint, _not_null())
    return replace(alteration, command=command)


def values(alteration: Alteration, parts: Parts) -> Steps:
    """The column itself and what it holds in old rows. Serial and identity bring NOT NULL along."""
    table, name = alteration.relation, parts.column.colname
    serial = strings(parts.column.type_name.names)
    if len(serial) == 1 and serial[0] in SERIAL:
        sequence = beside(table, object_name(table.relname, name, "seq"))
        create = build(f"CREATE SEQUENCE seq AS {SERIAL[serial[0]]}", seq=sequence)
        assign(parts.column.type_name, _type(SERIAL[serial[0]]))
        owner = build("ALTER SEQUENCE seq OWNED BY own", seq=sequence, own=(*parts_of(table), name))
        parts.required = parts.required if parts.required is not None else _not_null()
        return _filled(alteration, parts.column, _next(sequence), create, owner)
    if parts.identity is not None:
        sequence = _helper(alteration, name)
        parts.required = parts.required if parts.required is not None else _not_null()
        create = build("CREATE SEQUENCE seq", seq=sequence)
        create.create_seq_stmt.options.extend(
            item for item in parts.identity.options if item.def_elem.defname not in ("sequence_name", "logged")
        )
        return _filled(alteration, parts.column, _next(sequence), create)
    if parts.default is not None and any(volatile_functions(parts.default, alteration.world)):
        return _filled(alteration, parts.column, parts.default)
    if parts.default is not None:
        constraint = parts.column.constraints.add().constraint
        assign(constraint, _default(parts.default))
        if parts.required is not None:  # the default is in every row at once: nothing is read
            assign(parts.column.constraints.add().constraint, parts.required)
            parts.required = None
    return Steps(expand=(added(alteration, parts.column),))


def _filled(alteration: Alteration, column: Node, value: Node, *around: Node) -> Steps:
    """The bare column, its default for new rows, and batches for the old ones. `around`: what creates the sequence,
    and what gives it to the column."""
    default = build(
        "ALTER TABLE tbl ALTER COLUMN col SET DEFAULT val", tbl=alteration.relation, col=column.colname, val=value
    )
    return Steps(
        expand=(*around[:1], added(alteration, column), default, *around[1:]), fill=fill(alteration, column.colname)
    )


def _identity(alteration: Alteration, name: str, identity: Node) -> Steps:
    """The identity's own sequence goes on where the helper's ended."""
    table, sequence = alteration.relation, _helper(alteration, name)
    add = build(
        "ALTER TABLE tbl ALTER COLUMN col DROP DEFAULT, ALTER COLUMN col ADD GENERATED ALWAYS AS IDENTITY",
        tbl=table,
        col=name,
    )
    getattr(add.alter_table_stmt.cmds[1].alter_table_cmd, "def").constraint.CopyFrom(identity)
    return Steps(
        finish=(
            add,
            build(
                "SELECT setval(pg_get_serial_sequence('tbl', 'col'), nextval('seq'))",
                tbl=relation_text(table),
                col=name,
                seq=relation_text(sequence),
            ),
            build("DROP SEQUENCE seq", seq=parts_of(sequence)),
        )
    )


def _helper(alteration: Alteration, column: str) -> Node:
    name = object_name(alteration.relation.relname, column, "fill_seq", taken=taken(alteration))
    return beside(alteration.relation, name)


def added(alteration: Alteration, column: Node) -> Node:
    node = build("ALTER TABLE tbl ADD COLUMN col int", tbl=alteration.relation, col=column)
    node.alter_table_stmt.cmds[0].alter_table_cmd.missing_ok = alteration.command.missing_ok
    return node


def _next(sequence: Node) -> Node:
    return expression("SELECT nextval('seq'::regclass)", seq=relation_text(sequence))


def _type(name: str) -> Node:
    return _column(f"ALTER TABLE t ADD COLUMN c {name}").type_name


def _not_null() -> Node:
    return _column("ALTER TABLE t ADD COLUMN c int NOT NULL").constraints[0].constraint


def _default(value: Node) -> Node:
    result = copy_of(_column("ALTER TABLE t ADD COLUMN c int DEFAULT 0").constraints[0].constraint)
    assign(result.raw_expr, value)
    return result


def _column(template: str) -> Node:
    return getattr(build(template).alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def
