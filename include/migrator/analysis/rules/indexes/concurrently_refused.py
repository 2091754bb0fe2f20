"""CONCURRENTLY where PostgreSQL has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from migrator.analysis.rules.in_steps import built, named
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.indexes import on_partitions
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import IndexFacts, RelationFacts
from migrator.parsing.build import build, range_var, script
from migrator.parsing.nodes import commands, copy_of, enum, strings
from migrator.plan import Severity

DETACH_CONCURRENTLY = 14
"""The first major that has it."""


def check(subject: Subject) -> Iterator[Hit]:
    yield from _CHECKS[subject.statement.name](subject)


def _create(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    facts = subject.world.relation(subject.world.name(tree.relation))
    if not tree.concurrent or facts is None or facts.kind != "p":
        return
    if subject.step_kind is None:
        yield Hit(
            f"{facts.name} is partitioned: CREATE INDEX CONCURRENTLY on it may fail with 0A000",
            help="ON ONLY the parent first, CONCURRENTLY on each partition, then ALTER INDEX ... ATTACH PARTITION",
            alternative_sql=on_partitions(subject.statement.node, subject.world),
            steps=built(subject),
        )
    elif not tree.idxname:  # a step builds it on one partition after the other, and names the parts after it
        yield Hit(
            f"{facts.name} is partitioned: the step may refuse an index without a name, after which it names the parts",
            help="give the index a name",
            alternative_sql=script((named(subject),)),
            steps=built(subject),
        )


def _drop(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if not tree.concurrent or enum(tree, "remove_type") != "OBJECT_INDEX":
        return
    objects = [strings(item.list.items) for item in tree.objects]
    if len(objects) > 1 or enum(tree, "behavior") == "DROP_CASCADE":
        what = "of several indexes at once" if len(objects) > 1 else "with CASCADE"
        each = ((build("DROP INDEX CONCURRENTLY IF EXISTS idx", idx=parts),) for parts in objects)
        yield Hit(f"DROP INDEX CONCURRENTLY {what} may fail with 0A000", alternative_sql=script(*each))
        return
    name = world.dotted(objects[0])
    found, index = world.index_of(name), world.relation(name)
    if index is not None and index.kind == "I":
        plain = copy_of(subject.statement.node)
        plain.drop_stmt.concurrent = False
        yield Hit(
            f"{name} is the index of a partitioned table: dropping it CONCURRENTLY may fail with 0A000",
            alternative_sql=script((plain,)),
        )
    elif found is not None and found[1].constraint:
        yield from _constraint(name, found[0])


def _constraint(name: str, table: RelationFacts) -> Iterator[Hit]:
    constraint = next(
        (item for item in table.constraints if item.kind in ("p", "u", "x") and item.name == name.partition(".")[2]),
        None,
    )
    drop = (
        None
        if constraint is None
        else build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=range_var(table.name), con=constraint.name)
    )
    yield Hit(
        f"{name} belongs to a constraint of {table.name}: dropping the index may fail with 2BP01",
        help="drop the constraint: its index goes with it",
        alternative_sql=None if drop is None else script((drop,)),
    )


def _alter(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    for command in commands(tree):
        if enum(command, "subtype") != "AT_DetachPartition" or not getattr(command, "def").partition_cmd.concurrent:
            continue
        plain = copy_of(subject.statement.node)
        getattr(plain.alter_table_stmt.cmds[0].alter_table_cmd, "def").partition_cmd.concurrent = False
        parent = world.name(tree.relation)
        facts = world.relation(parent)
        if world.major < DETACH_CONCURRENTLY:
            yield Hit(
                f"PostgreSQL {world.major} has no DETACH PARTITION CONCURRENTLY: a syntax error (42601)",
                alternative_sql=script((plain,)),
            )
        elif facts is not None and facts.default_partition:
            yield Hit(
                f"{parent} has a default partition ({facts.default_partition}): DETACH CONCURRENTLY may fail with"
                " 55000",
                help="detach it without CONCURRENTLY, alone and with a short lock_timeout",
                alternative_sql=script((plain,)),
            )


def _refresh(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    view = world.name(tree.relation)
    facts = world.relation(view)
    if not tree.concurrent or facts is None or facts.kind != "m":
        return
    plain = copy_of(subject.statement.node)
    plain.refresh_mat_view_stmt.concurrent = False
    if not facts.populated:
        yield Hit(
            f"{view} holds no data yet: REFRESH CONCURRENTLY may fail with 0A000", alternative_sql=script((plain,))
        )
    elif not any(_identifies_rows(item) for item in facts.indexes):
        yield Hit(
            f"{view} has no unique index on plain columns without WHERE: REFRESH CONCURRENTLY may fail with 55000",
            help="give it a UNIQUE index on the columns that tell its rows apart",
        )


def _identifies_rows(index: IndexFacts) -> bool:
    return index.unique and index.valid and index.predicate is None and not index.expressions


_CHECKS: Mapping[str, Callable[[Subject], Iterator[Hit]]] = {
    "index_stmt": _create,
    "drop_stmt": _drop,
    "alter_table_stmt": _alter,
    "refresh_mat_view_stmt": _refresh,
}

RULE = Rule(
    id="concurrently-refused",
    severity=Severity.WARNING,
    condition="CONCURRENTLY with a partitioned table or its index, several indexes, CASCADE, a constraint's index, a "
    "default partition, or a materialized view without a unique index; a step builds an index on one partition after"
    " the other, if it has a name",
    effect="fails with 0A000, 2BP01 or 55000, whichever the server's version",
    alternative="what PostgreSQL has instead, see the statement's own alternative",
    without_sql="REFRESH CONCURRENTLY without a unique index: the columns that are unique in the view's query are not"
    " known; create the index (on plain columns, without WHERE), then refresh",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    statement=check,
    on=tuple(_CHECKS),
    subtypes=("AT_DetachPartition",),
    in_rollback=True,
    predicts=True,
)
