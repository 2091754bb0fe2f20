"""CONCURRENTLY on the releases that can corrupt the index."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import Hit, Rule
from migrator.analysis.rules.skips import skips_all
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import flag
from migrator.plan import Severity

FIRST, FIXED = 140000, 140004


def check(subject: Subject) -> Iterator[Hit]:
    facts, tree = subject.world.facts, subject.statement.tree
    if facts is None or not FIRST <= facts.server_version_num < FIXED or skips_all(subject):
        return
    if tree.concurrent if subject.statement.name == "index_stmt" else flag(tree.params, "concurrently", False):
        minor = facts.server_version_num - FIRST
        yield Hit(
            f"PostgreSQL 14.{minor} can leave rows out of an index that is built CONCURRENTLY while others write"
            " (fixed in 14.4)"
        )


RULE = Rule(
    id="index-corruption-14",
    severity=Severity.ERROR,
    condition="CREATE INDEX or REINDEX CONCURRENTLY on PostgreSQL 14.0 to 14.3",
    effect="the index may miss rows: queries do not find them, and UNIQUE lets duplicates in",
    alternative="upgrade to 14.4 or later first, or build without CONCURRENTLY in a window",
    without_sql="always: the SQL is right, the release is not; update PostgreSQL to 14.4 or later",
    source="https://www.postgresql.org/docs/release/14.4/",
    aliases=("strong_migrations:add_index_corruption",),
    statement=check,
    on=("index_stmt", "reindex_stmt"),
    versions="14.0-14.3",
)
