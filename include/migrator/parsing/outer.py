"""The transaction that a file opens and closes itself, as psql needs it: one BEGIN, and one COMMIT at its end.

The engine does the same, so both are left out. What cannot keep its meaning then is told here: options of BEGIN, and
statements that stand outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator.parsing.nodes import Node, enum, name_of
from migrator.parsing.statements import ParsedStatement

_BEGINS = ("TRANS_STMT_BEGIN", "TRANS_STMT_START")
_WITHIN = ("TRANS_STMT_SAVEPOINT", "TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO")
_OF_THE_NEXT = ("default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable")
_SAME = ("read committed", "read uncommitted")
"""PostgreSQL treats both alike: https://www.postgresql.org/docs/current/transaction-iso.html"""

_SEES_ONE_MOMENT = (
    "take it out: a migration runs at READ COMMITTED, because the ledger is written in the same transaction; where"
    " statements must see the same rows, begin with LOCK TABLE ... IN SHARE ROW EXCLUSIVE MODE"
)
_READ_ONLY = "take it out: in a read-only transaction nothing can be changed, and the ledger's row is written in it"
_DEFERRABLE = "take it out: it counts for SERIALIZABLE READ ONLY transactions alone"
INSIDE = "move it between BEGIN and COMMIT: the file is one transaction"
STEP = "give it a file of its own, without BEGIN and COMMIT, and name both files under `steps`"
ALONE = (
    "take BEGIN and COMMIT out of a file that holds nothing else (CREATE INDEX CONCURRENTLY is a step of kind"
    " create_index); from other statements, part it: a file and a step of its own under `steps`"
)
OUT = "take it out, or move it between BEGIN and COMMIT"


def find(statements: Sequence[ParsedStatement]) -> tuple[int, int] | None:
    """Indexes of the BEGIN and the COMMIT around the file; None when it has no such pair, or more than one: then it is
    not one transaction, and each of them is refused. Savepoints between them are refused one by one."""
    marks = [item for item in statements if item.name == "transaction_stmt" and enum(item.tree, "kind") not in _WITHIN]
    if len(marks) != 2:
        return None
    first, last = marks
    ends = enum(last.tree, "kind") == "TRANS_STMT_COMMIT" and not last.tree.chain
    return (first.index, last.index) if begins(first) and ends else None


def begins(statement: ParsedStatement) -> bool:
    return statement.name == "transaction_stmt" and enum(statement.tree, "kind") in _BEGINS


def options(statement: ParsedStatement) -> tuple[str, str] | None:
    """What a BEGIN, or a SET TRANSACTION, asks for that the engine's transaction is not, and what to do about it."""
    for name, value in _asked(statement):
        if name == "transaction_isolation" and value not in _SAME:
            return f"ISOLATION LEVEL {value.upper()} is not what a migration runs in", _SEES_ONE_MOMENT
        if name == "transaction_read_only" and value in _TRUE:
            return "READ ONLY is not what a migration runs in", _READ_ONLY
        if not begins(statement) and (name, value) in _TOO_LATE:
            return f"{statement.kind} comes too late: the engine's transaction has begun", _HAS_IT
        if name == "transaction_deferrable" and value in _TRUE:
            return "DEFERRABLE is not what a migration runs in", _DEFERRABLE
        if name == "snapshot":
            return "the snapshot of another session is not what a migration runs in", _SEES_ONE_MOMENT
    return None


_TOO_LATE = (
    ("transaction_isolation", "read uncommitted"),
    ("transaction_deferrable", "0"),
    ("transaction_deferrable", "false"),
)
"""What PostgreSQL refuses after the first query, though it changes nothing."""
_HAS_IT = "take it out: a migration runs so anyway"
_TRUE = ("1", "true", "on", "yes", "t", "y")


def outside(statement: ParsedStatement, *, before: bool) -> tuple[str, str] | None:
    """Why a statement cannot stand before BEGIN or after COMMIT, and what to do about it; None: it can. What is set
    there for the session holds in the engine's transaction as well."""
    where = "before BEGIN" if before else "after COMMIT"
    tree = statement.tree
    if statement.name != "variable_set_stmt":
        hint = INSIDE if statement.transactional else STEP
        return f"{statement.kind} stands {where}, where no transaction is open", hint
    if tree.is_local or tree.name in ("TRANSACTION", "TRANSACTION SNAPSHOT"):
        return f"{statement.kind} has no effect {where}", OUT
    if before and (tree.name == "SESSION CHARACTERISTICS" or tree.name.lower() in _OF_THE_NEXT):
        return f"{statement.kind} is for transactions that begin later: the engine's has begun", OUT
    return None


def _asked(statement: ParsedStatement) -> Iterator[tuple[str, str]]:
    tree = statement.tree
    if begins(statement):
        yield from _elements(tree.options)
    elif statement.name == "variable_set_stmt" and tree.name == "TRANSACTION":
        yield from _elements(tree.args)
    elif statement.name == "variable_set_stmt" and tree.name == "TRANSACTION SNAPSHOT":
        yield "snapshot", ""
    elif statement.name == "variable_set_stmt" and tree.name.lower().startswith("transaction_"):
        yield from ((tree.name.lower(), _value(item)) for item in tree.args)


def _elements(items: Sequence[Node]) -> Iterator[tuple[str, str]]:
    for item in items:
        yield item.def_elem.defname, _value(item.def_elem.arg)


def _value(node: Node) -> str:
    if name_of(node) != "a_const":
        return ""
    kind = node.a_const.WhichOneof("val")
    if kind == "ival":
        return str(node.a_const.ival.ival)
    if kind == "boolval":
        return str(bool(node.a_const.boolval.boolval)).lower()
    return str(node.a_const.sval.sval).lower() if kind == "sval" else ""
