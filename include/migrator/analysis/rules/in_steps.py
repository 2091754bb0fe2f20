"""All that a statement does, as steps of a migration of which none stops the table.

Each rule whose cure is a step kind offers them for the very statement that it has found. What is done at once anyway is
a step of kind `sql`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrator.analysis.effects.types.volatility import volatile_functions
from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.constraint_step import constraint_step, step_of
from migrator.analysis.rules.online import columns
from migrator.analysis.rules.online.backfill import expression, still_old
from migrator.analysis.rules.online.indexes import index_name
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import as_written, beside, build, name_text, relation_text
from migrator.parsing.nodes import Node, assign, content, copy_of, enum, find, name_of, strings
from migrator.parsing.statements import deparse
from migrator.plan import Suggestion
from migrator.steps.batch_sql import unfit

Steps = tuple[Suggestion, ...]

MOMENT = frozenset(
    ["now", "statement_timestamp", "transaction_timestamp", "age", "current_setting", "txid_current",
     "pg_current_xact_id", "pg_backend_pid"]
)  # fmt: skip
"""Functions that are steady within a statement only: the next batch gets another value."""


def altered(subject: Subject) -> Steps:
    """An ALTER TABLE; () when one of its parts has no such way, so that nothing of it is left out."""
    if "in steps" not in subject.memo:
        subject.memo["in steps"] = _altered(subject)
    found: Steps = subject.memo["in steps"]
    return found


def _altered(subject: Subject) -> Steps:
    found: list[Suggestion] = []
    for item in alterations(subject):
        part = _part(item)
        if part is None:
            return ()
        found += part
    return _joined(found)


def _part(item: Alteration) -> Steps | None:
    if item.subtype == "AT_AddColumn":
        return _add_column(item)
    if not item.heavy:
        return (_at_once([item.alone]),)
    if item.subtype not in ("AT_SetNotNull", "AT_AddConstraint"):
        return None
    step = constraint_step(item)
    return None if step is None else (step,)


def _add_column(item: Alteration) -> Steps | None:
    """The column without its values, its default for new rows, batches for the old ones, then what must hold of all."""
    parts = columns.take_apart(item.column_def)
    domain = columns.domain_of(item, parts.column)
    name = item.column_def.colname
    undo = f"ALTER TABLE {relation_text(item.relation)} DROP COLUMN IF EXISTS {name_text(name)};\n"
    if not item.heavy:
        return (_at_once([item.alone], undo),)
    if parts.stored or parts.identity is not None or (domain is not None and domain.constrained):
        return None
    steps = columns.values(item, parts)
    found = [_at_once(steps.expand, undo)]
    if steps.fill:
        fill = build("UPDATE tbl SET col = DEFAULT WHERE col IS NULL", tbl=item.relation, col=name)
        found.append(Suggestion("backfill", sql=_text([fill]), undo=""))
    wanted = parts.tables
    if parts.required is not None and not any(enum(one, "contype") == "CONSTR_PRIMARY" for one in wanted):
        if not steps.fill and not parts.virtual:
            return None  # nobody knows what the rows are to hold
        parts.required.keys.add().string.sval = name
        wanted = [parts.required, *wanted]
    for constraint in wanted:
        if not constraint.is_enforced and enum(constraint, "contype") in ("CONSTR_CHECK", "CONSTR_FOREIGN"):
            return None
        step = step_of(item, constraint)
        if step is None:
            return None
        found.append(step)
    return tuple(found)


def _at_once(nodes: Sequence[Node], undo: str | None = None) -> Suggestion:
    return Suggestion("sql", sql=_text(nodes), undo=undo)


def _joined(steps: Iterable[Suggestion]) -> Steps:
    """Neighbours that are done at once are one step."""
    found: list[Suggestion] = []
    for step in steps:
        if step.kind == "sql" and found and found[-1].kind == "sql":
            last = found.pop()
            undo = None if step.undo is None or last.undo is None else step.undo + last.undo
            step = Suggestion("sql", sql=last.sql + step.sql, undo=undo)
        found.append(step)
    return tuple(found)


def built(subject: Subject) -> Steps:
    """A CREATE INDEX, of a partitioned table as well: it needs its name there, and has none of CONCURRENTLY to drop."""
    tree, world = subject.statement.tree, subject.world
    if tree.relation.catalogname or not tree.relation.inh:
        return ()
    facts, node = world.relation(world.name(tree.relation)), named(subject)
    if facts is None or facts.kind != "p":
        return (Suggestion("create_index", sql=_text([node])),)
    name = relation_text(beside(tree.relation, node.index_stmt.idxname))
    return (Suggestion("create_index", sql=_text([node]), undo=f"DROP INDEX IF EXISTS {name};\n"),)


def named(subject: Subject) -> Node:
    """A CREATE INDEX with CONCURRENTLY and a name: the one that PostgreSQL would choose."""
    node = copy_of(subject.statement.node)
    tree = node.index_stmt
    facts = subject.world.relation(subject.world.name(tree.relation))
    taken = [item.name.partition(".")[2] for item in facts.indexes] if facts is not None else []
    tree.concurrent, tree.idxname = True, tree.idxname or index_name(tree, tree.relation.relname, taken)
    return node


def dropped(names: Iterable[str]) -> Steps:
    """
    :param names: of indexes, qualified.
    """
    return tuple(Suggestion("drop_index", {"index": as_written(name)}) for name in names)


def rebuilt(name: str, *, table: bool) -> Steps:
    """
    :param name: of the index, or of the table, qualified.
    """
    return (Suggestion("reindex", {"table" if table else "index": as_written(name)}),)


def filled(subject: Subject) -> Steps:
    """An UPDATE or DELETE whose condition is false of what it has done, or can be made so."""
    node = copy_of(subject.statement.node)
    tree = content(node)
    table = subject.world.name(tree.relation)
    facts = subject.world.relation(table)
    if table.startswith("pg_catalog.") or (facts is not None and facts.kind not in ("r", "p")):
        return ()
    if name_of(node) == "delete_stmt":
        if not tree.HasField("where_clause"):
            assign(tree.where_clause, expression("SELECT true"))
    elif not _ends_by_itself(tree):
        old = None if _differs_later(tree) else still_old(tree, subject.world)
        if old is None:
            return ()
        both = expression("SELECT a AND (b)", a=tree.where_clause, b=old) if tree.HasField("where_clause") else old
        assign(tree.where_clause, both)
    if unfit(name_of(node), tree) is not None or any(volatile_functions(tree.where_clause, subject.world)):
        return ()
    return (Suggestion("backfill", sql=_text([node])),)


def _ends_by_itself(tree: Node) -> bool:
    """A part of the condition is that a column is NULL, which it sets."""
    set_here = {item.res_target.name for item in tree.target_list if not _null(item.res_target.val)}
    parts = [tree.where_clause] if tree.HasField("where_clause") else []
    for part in parts:
        if name_of(part) == "bool_expr" and enum(part.bool_expr, "boolop") == "AND_EXPR":
            parts.extend(part.bool_expr.args)
        elif name_of(part) == "null_test" and enum(part.null_test, "nulltesttype") == "IS_NULL":
            tested = strings(part.null_test.arg.column_ref.fields)
            if set_here & set(tested[-1:]):
                return True
    return False


def _null(value: Node) -> bool:
    return name_of(value) == "a_const" and bool(value.a_const.isnull)


def _differs_later(tree: Node) -> bool:
    """Whether what it sets may be another value for the next batch, which would do the rows again."""
    if len(tree.from_clause) or any(True for _ in find(tree, "SubLink", "SQLValueFunction")):
        return True
    return any(strings(call.funcname)[-1] in MOMENT for call in find(tree, "FuncCall"))


def _text(nodes: Iterable[Node]) -> str:
    return "".join(f"{deparse(node)};\n" for node in nodes)
