"""VACUUM FULL and CLUSTER."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    kind = subject.statement.kind
    if kind not in ("VACUUM FULL", "CLUSTER"):
        return
    for table in subject.effects.rewrites:
        yield Hit(
            f"{kind} writes {table}{size_text(subject, table)} and its indexes anew; nobody can read or write it, and"
            " it needs its size once more on disk",
            severity=severity_by_size(subject, table),
        )
    if not subject.effects.rewrites and not subject.effects.known:
        yield Hit(
            f"{kind} without a table writes one table after the other anew; nobody can read or write it meanwhile"
        )


RULE = Rule(
    id="vacuum-full",
    severity=Severity.WARNING,
    condition="VACUUM FULL or CLUSTER",
    effect="ACCESS EXCLUSIVE lock while the table and all its indexes are written anew",
    alternative="plain VACUUM makes the space usable again; to give it back use pg_repack or pg_squeeze",
    without_sql="always: the server has no way online. pg_repack and pg_squeeze (extensions; both need a primary key"
    " or unique index, and as much free disk as the table) do the work of VACUUM FULL and CLUSTER with a"
    " lock of moments; plain VACUUM makes the space usable again",
    source=DOCS + "routine-vacuuming.html#VACUUM-FOR-SPACE-RECOVERY",
    aliases=("squawk:prefer-repack", "pgfence:vacuum-full"),
    statement=check,
    on=("vacuum_stmt", "cluster_stmt"),
    in_rollback=True,
)
