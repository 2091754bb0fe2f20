"""Every statement that is heavy is found, and none is that is not: judged on the corpus, whose effects are observed."""

from __future__ import annotations

from collections.abc import Callable

from migrator.analysis.effects.world import Assumed
from migrator.analysis.inspection import Inspection, inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import S, X, strength
from migrator.parsing.statements import parse
from migrator.plan import Severity
from tests.effects.bench import Bench
from tests.effects.corpus import Case
from tests.rule_examples import crowded

WORK = frozenset(
    {
        "add-check",
        "add-column-check",
        "add-column-domain",
        "add-column-generated",
        "add-column-identity",
        "add-column-not-null",
        "add-column-references",
        "add-column-serial",
        "add-column-unique",
        "add-column-volatile-default",
        "add-exclusion",
        "add-foreign-key",
        "add-not-null-constraint",
        "add-unique-builds-index",
        "alter-column-type",
        "alter-type-rebuilds-index",
        "alter-type-rechecks",
        "alter-type-time-zone",
        "attach-partition-scans",
        "constraint-enforced",
        "create-index",
        "create-partition-locks-parent",
        "domain-constraint-scans",
        "partition-fan-out",
        "primary-key-nullable-column",
        "refresh-materialized-view",
        "reindex",
        "set-expression",
        "set-not-null",
        "storage-rewrites",
        "vacuum-full",
    }
)
"""Rules that say: all rows are read or written while somebody waits."""


ALSO = frozenset({"detach-partition"})
"""Rules that say so of statements that are heavy, and other things of others."""


def test_heavy_statements_are_found_and_no_others(case: Case, major: int, bench_of: Callable[[int], Bench]) -> None:
    parsed = parse(case.sql, file=case.id)
    inspection = inspect(Sources((parsed,)), Known(facts=crowded(bench_of(major).facts(case, parsed))))
    for subject in inspection.scripts[0].subjects:
        if subject.effects.fails or not subject.effects.known:
            continue
        found = _warnings(inspection, subject)
        if _is_heavy(subject) and case.id not in NO_WORK:
            assert found & (WORK | ALSO), f"{subject.statement.sql}: {subject.effects}"
        else:
            assert found & WORK == set(), f"{subject.statement.sql}: {subject.effects}"


CATALOG_FORGIVES = frozenset(
    {
        "add-column-if-not-exists-volatile",
        "part-pk-only",
        "part-fk-from-taken-over",
        "part-pk-there-already",
        "part-unique-included",
        "part-unique-there-already",
        "sequel-index-of-a-new-partition",
        "shop-create-index-if-not-exists-orders-status-idx-on-orders-total",
        "tree-index-if-not-exists",
        "shop-reindex-table-scratch",
        "shop-reindex-table-animals",
    }
)
"""Light only because the column or index is there already, ONLY leaves nothing to do, the partitions have the key, or a
table has no index or no partition: without a connection the likelier case counts."""
NO_WORK = frozenset({"shop-refresh-materialized-view-order-totals-with-no-data"})
"""A new file, and nothing is written to it."""


def test_light_statements_are_no_warning_without_a_connection(
    case: Case, major: int, bench_of: Callable[[int], Bench]
) -> None:
    """What only the catalog can tell is `info`, so that nobody learns to look away."""
    if case.id in CATALOG_FORGIVES:
        return
    parsed = parse(case.sql, file=case.id)
    with_catalog = inspect(Sources((parsed,)), Known(facts=crowded(bench_of(major).facts(case, parsed))))
    without = inspect(Sources((parsed,)), Known(assumed=Assumed(server_version_num=major * 10000)))
    for known, subject in zip(with_catalog.scripts[0].subjects, without.scripts[0].subjects, strict=True):
        if known.effects.known and known.effects.fails is None and not _is_heavy(known):
            assert _warnings(without, subject) & WORK == set(), f"{subject.statement.sql}: {known.effects}"


def _warnings(inspection: Inspection, subject: Subject) -> set[str]:
    return {
        item.rule
        for item in inspection.findings
        if item.statement == subject.statement.index and item.severity is not Severity.INFO
    }


def _is_heavy(subject: Subject) -> bool:
    """It holds SHARE or more on a relation that was there before, for as long as it reads or writes all rows of one."""
    effects = subject.effects
    if effects.waits_for_old_transactions:  # CONCURRENTLY and its like: strong locks for an instant only
        return False
    work = effects.rewrites or effects.scans or effects.indexes_rebuilt
    modes = {lock.mode for lock in effects.locks} - {X}  # REFRESH CONCURRENTLY: nobody writes to a materialized view
    return bool(work) and any(strength(mode) >= strength(S) for mode in modes)
