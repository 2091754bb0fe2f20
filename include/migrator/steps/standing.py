"""What of a constraint is there already, read from the catalog before each statement that adds a part of it.

So a step can be repeated, and goes on with what somebody has begun by hand. What has the name and is something else
stops it: nobody's constraint is taken for ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from migrator.database import naming, queries, session
from migrator.database.door import send
from migrator.database.vocabulary import told_name
from migrator.parsing import statements
from migrator.parsing.nodes import Node, enum, strings
from migrator.plan import Statement, Step
from migrator.steps import concurrent_index
from migrator.steps.real_state import Connection, State, relation, tree_of
from migrator.steps.transaction import failure

QUERIES = queries.load(__package__, "standing")

KINDS = {
    "CONSTR_NOTNULL": "n",
    "CONSTR_CHECK": "c",
    "CONSTR_FOREIGN": "f",
    "CONSTR_UNIQUE": "u",
    "CONSTR_PRIMARY": "p",
}
"""pg_constraint.contype."""
DEFERRABLE = {"indimmediate"}
"""In what the index of a key that can be deferred differs from one that CREATE INDEX makes."""
TWIN = "migrator_twin_constraint"


@dataclass(frozen=True)
class Found:
    """A constraint of the table."""

    kind: str
    validated: bool
    deferrable: bool
    deferred: bool
    definition: str
    columns: list[str]


def found(table: str, name: str, conn: Connection) -> Found | None:
    """
    :param table: quoted, as SQL writes it.
    """
    with session.translated():
        rows = naming.ask(conn, QUERIES["constraint"], {"table": table, "name": name}).rows
    return Found(*rows[0]) if rows else None


def is_not_null(table: str, column: str, conn: Connection) -> bool:
    with session.translated():
        rows = naming.ask(conn, QUERIES["is_not_null"], {"table": table, "name": column}).rows
    return bool(rows and rows[0][0])


def already(statement: Statement, step: Step, conn: Connection) -> str | None:
    """Why this statement of the step need not run any more; None: it must.

    :raises StatementFailed: what is there has the name and is another one.
    """
    if statement.kind == concurrent_index.KIND:
        return _index(statement, step, conn)
    if statement.kind == "LOCK TABLE":
        return _lock_not_needed(step, conn)
    if statement.kind != "ALTER TABLE":
        return None
    tree = tree_of(statement)
    table, command = relation(tree.relation), tree.cmds[0].alter_table_cmd
    subtype = enum(command, "subtype")
    if subtype == "AT_SetNotNull":
        return _not_null(table, command.name, conn)
    if subtype == "AT_AddConstraint":
        return _added(statement, step, table, getattr(command, "def").constraint, conn)
    there = found(table, command.name, conn)
    if there is None and command.name in proving(step):
        return f"constraint {told_name(command.name)} is not needed"
    if subtype == "AT_ValidateConstraint" and there is not None and there.validated:
        return f"constraint {told_name(command.name)} is valid"
    return None


def proving(step: Step) -> dict[str, str]:
    """The constraints of the step that prove a column to be NOT NULL, and the column."""
    gone = dropped(step)
    columns: dict[str, str] = {}
    for _, constraint in adds(step):
        if enum(constraint, "contype") == "CONSTR_NOTNULL":
            columns[constraint.conname] = strings(constraint.keys)[0]
        elif constraint.conname in gone:
            columns[constraint.conname] = strings(constraint.raw_expr.null_test.arg.column_ref.fields)[-1]
    return columns


def dropped(step: Step) -> frozenset[str]:
    """The constraints that it drops again."""
    return frozenset(command.name for _, command in commands(step) if enum(command, "subtype") == "AT_DropConstraint")


def commands(step: Step) -> Iterator[tuple[Statement, Node]]:
    """What its ALTER TABLEs do, each of which does one thing."""
    for statement in step.statements:
        if statement.kind == "ALTER TABLE":
            yield statement, tree_of(statement).cmds[0].alter_table_cmd


def adds(step: Step) -> Iterator[tuple[Statement, Node]]:
    """The constraints that it adds."""
    for statement, command in commands(step):
        if enum(command, "subtype") == "AT_AddConstraint":
            yield statement, getattr(command, "def").constraint


def _lock_not_needed(step: Step, conn: Connection) -> str | None:
    """What it is taken for is done already, so nobody has to wait for it."""
    there = [already(statement, step, conn) for statement, _ in adds(step)]
    return None if None in there else "nothing has to be added"


def _not_null(table: str, column: str, conn: Connection) -> str | None:
    return f"column {told_name(column)} is NOT NULL" if is_not_null(table, column, conn) else None


def _added(statement: Statement, step: Step, table: str, constraint: Node, conn: Connection) -> str | None:
    name = constraint.conname
    column, there = proving(step).get(name), found(table, name, conn)
    if there is None:
        return _not_null(table, column, conn) if column is not None else None
    if not _same(statement, step, constraint, there, conn):
        raise failure(
            f"the table has a constraint {told_name(name)} already, and it is another one than this step adds."
            " nothing of it is touched: drop or rename that one first, or give this one another name",
            statement,
            step,
        )
    return f"constraint {told_name(name)} is there{'' if there.validated else ', not validated yet'}"


def _same(statement: Statement, step: Step, constraint: Node, there: Found, conn: Connection) -> bool:
    if there.kind != KINDS[enum(constraint, "contype")]:
        return False
    if there.kind == "n":
        return there.columns == list(strings(constraint.keys))
    if there.kind in "up":
        wanted = (bool(constraint.deferrable), bool(constraint.initdeferred))
        index = next(one for one in step.statements if one.kind == concurrent_index.KIND)
        differing = concurrent_index.differences(index, conn)
        return (there.deferrable, there.deferred) == wanted and differing is not None and set(differing) <= DEFERRABLE
    return _twin(statement, conn) == there.definition.removesuffix(" NOT VALID")


def _twin(statement: Statement, conn: Connection) -> str | None:
    """What PostgreSQL itself makes of the definition: added under another name, and taken back at once."""
    parsed = statements.parse(statement.sql, file=statement.file).statements[0].node
    twin = type(parsed)()
    twin.CopyFrom(parsed)
    tree = twin.alter_table_stmt
    getattr(tree.cmds[0].alter_table_cmd, "def").constraint.conname = TWIN
    with session.translated(statement=statement), naming.passing(conn):
        with naming.names_of_target(conn):
            send(conn, statements.deparse(twin))
        made = found(relation(tree.relation), TWIN, conn)
    return None if made is None else made.definition.removesuffix(" NOT VALID")


def _index(statement: Statement, step: Step, conn: Connection) -> str | None:
    """An index of a key: that of the constraint, when it is there already."""
    tree = tree_of(statement)
    if found(relation(tree.relation), tree.idxname, conn) is not None:
        last = next(one for one, constraint in adds(step) if constraint.indexname)
        return already(last, step, conn)
    if concurrent_index.look(statement, conn).state is State.REPEAT:
        return None
    raise failure(
        f"there is a valid index {told_name(tree.idxname)} already, which this step has not made. drop or rename it"
        " first, or let a step of kind sql add the constraint USING INDEX",
        statement,
        step,
    )
