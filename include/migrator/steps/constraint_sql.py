"""A constraint as the statements that add it to a live table, each of which lets everybody work.

What reads rows (a query that counts those which violate it, VALIDATE, the build of an index) takes no lock that blocks;
what takes such a lock reads none. So NOT NULL is a CHECK that is validated first, and from PostgreSQL 18 a constraint
that is added NOT VALID; a key takes over a unique index. https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migrator.frozen import frozen
from migrator.parsing.build import build, expression_text, name_text, relation_text
from migrator.parsing.nodes import Node, copy_of, enum, name_of, strings
from migrator.parsing.statements import ParsedStatement, deparse, parse

NOT_NULL_CONSTRAINTS = 18
"""From this major on NOT NULL is a constraint that can be added NOT VALID."""
LIMIT = 1000
"""So many rows that violate it are counted."""
MAX_BYTES = 63
"""Of a name: NAMEDATALEN - 1. PostgreSQL cuts off what is longer, and nobody finds it by its name again."""

KINDS = {
    "CONSTR_NOTNULL": "NOT NULL",
    "CONSTR_CHECK": "CHECK",
    "CONSTR_FOREIGN": "FOREIGN KEY",
    "CONSTR_UNIQUE": "UNIQUE",
    "CONSTR_PRIMARY": "PRIMARY KEY",
}
KEYS = ("CONSTR_UNIQUE", "CONSTR_PRIMARY")

SHAPES = "NOT NULL column, CHECK (expression), FOREIGN KEY (columns) REFERENCES table (columns), UNIQUE (columns) or"
WANTED = f"write {SHAPES} PRIMARY KEY (columns), as ALTER TABLE ... ADD CONSTRAINT has it"


@frozen
class Wanted:
    """The constraint to be added."""

    table: Node
    """RangeVar."""
    constraint: Node
    """With its name."""

    @property
    def kind(self) -> str:
        return enum(self.constraint, "contype")

    @property
    def name(self) -> str:
        return str(self.constraint.conname)

    @property
    def keys(self) -> tuple[str, ...]:
        """Its columns, as far as it names them."""
        foreign = self.kind == "CONSTR_FOREIGN"
        return strings(self.constraint.fk_attrs if foreign else self.constraint.keys)


def wanted(table: str, name: str, definition: str) -> Wanted | str:
    """The constraint that the parameters describe, or what is wrong with the definition."""
    parsed = parse(f"ALTER TABLE {table} ADD CONSTRAINT {name}\n{definition}", file="definition")
    if parsed.problems:
        return f"cannot be read: {parsed.problems[0].message}"
    if len(parsed.statements) != 1 or name_of(parsed.statements[0].node) != "alter_table_stmt":
        return "is not one constraint"
    tree = parsed.statements[0].tree
    if len(tree.cmds) != 1 or enum(tree.cmds[0].alter_table_cmd, "subtype") != "AT_AddConstraint":
        return "is not one constraint"
    found = Wanted(tree.relation, getattr(tree.cmds[0].alter_table_cmd, "def").constraint)
    return _refusal(found) or found


def _refusal(found: Wanted) -> str | None:
    constraint = found.constraint
    if found.kind not in KINDS:
        return "is no constraint that can be added without stopping the table"
    if found.kind in ("CONSTR_CHECK", "CONSTR_FOREIGN") and not constraint.is_enforced:
        return "is NOT ENFORCED: nothing is checked, so a step of kind sql adds it at once"
    if constraint.skip_validation:
        return "says NOT VALID, which the step does itself"
    if constraint.indexname:
        return "says USING INDEX, which the step does itself"
    if constraint.without_overlaps or constraint.fk_with_period or constraint.pk_with_period:
        return "compares ranges over time, for which PostgreSQL has no way that lets others write"
    if found.kind == "CONSTR_FOREIGN" and len(constraint.pk_attrs) != len(constraint.fk_attrs):
        return "does not name the columns that it refers to"
    return None


def pieces(found: Wanted, major: int | None) -> tuple[str, ...]:
    """The statements in their order. `major`: of the server; None, one that is not known, gets what all have."""
    if found.kind in KEYS:
        return (*_key(found, major),)
    if found.kind == "CONSTR_NOTNULL":
        required = _required(found.table, dict.fromkeys(found.keys, found.name), major)
        return (required.check, *required.add, *required.validate, *required.finish)
    validate = f"ALTER TABLE {relation_text(found.table)} VALIDATE CONSTRAINT {name_text(found.name)}"
    lock = (_both_locked(found),) if found.kind == "CONSTR_FOREIGN" else ()
    return (_violations(found), *lock, _not_valid(found), validate)


def _both_locked(found: Wanted) -> str:
    """In the order in which applications write: first what is referred to. ALTER TABLE itself locks that table last,
    and who writes to it and then to the other one would wait for us while we wait for it."""
    tables = dict.fromkeys(map(relation_text, (found.constraint.pktable, found.table)))
    return f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE"


@frozen
class Required:
    """The statements that make columns NOT NULL."""

    check: str
    add: tuple[str, ...]
    validate: tuple[str, ...]
    finish: tuple[str, ...]
    """In one transaction: nobody sees the table with neither."""


def _required(table: Node, names: Mapping[str, str], major: int | None) -> Required:
    """
    :param names: by column, of the constraint that proves it.
    """
    columns = tuple(names)
    where = " OR ".join(f"{name_text(column)} IS NULL" for column in columns)
    alter = f"ALTER TABLE {relation_text(table)}"
    check = f"SELECT FROM {relation_text(table)} WHERE {where} LIMIT {LIMIT}"
    add, validate, finish = [], [], []
    for column, name in names.items():
        quoted, helper = name_text(column), name_text(name)
        validate.append(f"{alter} VALIDATE CONSTRAINT {helper}")
        if major is not None and major >= NOT_NULL_CONSTRAINTS:
            add.append(f"{alter} ADD CONSTRAINT {helper} NOT NULL {quoted} NOT VALID")
            continue
        add.append(f"{alter} ADD CONSTRAINT {helper} CHECK ({quoted} IS NOT NULL) NOT VALID")
        finish += [f"{alter} ALTER COLUMN {quoted} SET NOT NULL", f"{alter} DROP CONSTRAINT {helper}"]
    return Required(check, tuple(add), tuple(validate), tuple(finish))


def _default_name(table: str, column: str) -> str:
    """As PostgreSQL 18 names NOT NULL, within what it keeps of a name."""
    end = "_not_null"
    return f"{table}_{column}".encode()[: MAX_BYTES - len(end)].decode(errors="ignore") + end


def _key(found: Wanted, major: int | None) -> Iterator[str]:
    """The index comes first; of a primary key the columns are NOT NULL before it takes the index over, which would read
    the table else."""
    index, add = _taken_over(found)
    yield _violations(found)
    if found.kind != "CONSTR_PRIMARY":
        yield from (index, add)
        return
    required = _required(found.table, {key: _default_name(found.table.relname, key) for key in found.keys}, major)
    yield from (required.check, *required.add, *required.validate, index, *required.finish, add)


def _not_valid(found: Wanted) -> str:
    made = copy_of(found.constraint)
    made.skip_validation, made.initially_valid = True, False
    return deparse(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=found.table, con=made))


def _taken_over(found: Wanted) -> tuple[str, str]:
    """CREATE UNIQUE INDEX CONCURRENTLY, and ADD CONSTRAINT USING INDEX. One name for both."""
    constraint, using = found.constraint, copy_of(found.constraint)
    using.indexname = found.name
    template = "CREATE UNIQUE INDEX CONCURRENTLY idx ON tbl (keys) INCLUDE (more)"
    index = build(
        template, idx=found.name, tbl=found.table, keys=strings(constraint.keys), more=strings(constraint.including)
    )
    index.index_stmt.nulls_not_distinct = constraint.nulls_not_distinct
    index.index_stmt.options.extend(constraint.options)
    index.index_stmt.table_space = constraint.indexspace
    for field in ("keys", "including", "options", "indexspace", "nulls_not_distinct"):
        using.ClearField(field)
    add = build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=found.table, con=using)
    return deparse(index), deparse(add)


def _violations(found: Wanted) -> str:
    """A query whose rows, which have no columns, are those that violate it, at most LIMIT."""
    table, keys = relation_text(found.table), [name_text(key) for key in found.keys]
    if found.kind == "CONSTR_CHECK":
        condition = f"NOT ({expression_text(found.constraint.raw_expr)})"
    elif found.kind == "CONSTR_FOREIGN":
        return _orphans(found)
    else:
        there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        condition = "true" if found.constraint.nulls_not_distinct else there
        condition += f" GROUP BY {', '.join(keys)} HAVING count(*) > 1"
    return f"SELECT FROM {table} WHERE {condition} LIMIT {LIMIT}"


def _orphans(found: Wanted) -> str:
    constraint = found.constraint
    own = [f"child.{name_text(key)}" for key in strings(constraint.fk_attrs)]
    others = [f"parent.{name_text(key)}" for key in strings(constraint.pk_attrs)]
    there = " AND ".join(f"{key} IS NOT NULL" for key in own)
    same = " AND ".join(f"{other} = {key}" for other, key in zip(others, own, strict=True))
    condition = f"{there} AND NOT EXISTS (SELECT FROM {relation_text(constraint.pktable)} AS parent WHERE {same})"
    if constraint.fk_matchtype == "f" and len(own) > 1:
        some = " OR ".join(f"{key} IS NOT NULL" for key in own)
        condition = f"({condition}) OR (({some}) AND NOT ({there}))"
    return f"SELECT FROM {relation_text(found.table)} AS child WHERE {condition} LIMIT {LIMIT}"


def undoing(statement: ParsedStatement) -> tuple[str, ...]:
    """What takes back what one of the pieces did; twice is the same as once."""
    if name_of(statement.node) == "index_stmt":
        index = copy_of(statement.tree.relation)
        index.relname, index.inh = statement.tree.idxname, True
        return (f"DROP INDEX CONCURRENTLY IF EXISTS {relation_text(index)}",)
    if name_of(statement.node) != "alter_table_stmt":
        return ()
    command = statement.tree.cmds[0].alter_table_cmd
    alter = f"ALTER TABLE {relation_text(statement.tree.relation)}"
    subtype = enum(command, "subtype")
    if subtype == "AT_AddConstraint":
        return (f"{alter} DROP CONSTRAINT IF EXISTS {name_text(getattr(command, 'def').constraint.conname)}",)
    if subtype == "AT_SetNotNull":
        return (f"{alter} ALTER COLUMN {name_text(command.name)} DROP NOT NULL",)
    return ()
