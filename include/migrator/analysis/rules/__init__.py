"""The rules of the analyser, in the order in which their findings are shown.

One rule a file, the files by subject; each subject's package ends in one explicit ordered tuple.
"""

from __future__ import annotations

import functools

from migrator.analysis.rules import columns, constraints, indexes, privileges, style, tables, transaction
from migrator.analysis.rules.model import Rule, SpotCheck, StatementCheck

RULES: tuple[Rule, ...] = (
    *privileges.RULES,
    *transaction.RULES,
    *indexes.RULES,
    *columns.RULES,
    *constraints.RULES,
    *tables.RULES,
    *style.RULES,
)

ALTER_TABLE = "alter_table_stmt"

PRIVILEGES = frozenset(rule.id for rule in privileges.RULES)
"""What they find is of high risk, and comes first for reviewers."""

PREDICTIONS = frozenset(rule.id for rule in RULES if rule.predicts)
"""They say what a server may refuse. Reviewers have to know, and only a server can decide."""

BY_ID = {rule.id: rule for rule in RULES}


@functools.lru_cache(maxsize=4096)
def checks_on(statement: str, subtypes: frozenset[str], *, rollback: bool) -> tuple[tuple[Rule, StatementCheck], ...]:
    """The rules that look at statements of this parse-tree name ("index_stmt"), in their order, each with its check.
    `subtypes`: of an ALTER TABLE, its subcommands."""
    return tuple(
        (rule, rule.statement)
        for rule in RULES
        if rule.statement is not None
        and (rule.in_rollback or not rollback)
        and (not rule.on or statement in rule.on)
        and (statement != ALTER_TABLE or not rule.subtypes or not subtypes.isdisjoint(rule.subtypes))
    )


@functools.lru_cache(maxsize=64)
def checks_at(*, rollback: bool) -> dict[str, tuple[tuple[Rule, SpotCheck], ...]]:
    """By type of message, the rules that look at it wherever it stands, in their order."""
    found: dict[str, list[tuple[Rule, SpotCheck]]] = {}
    for rule in RULES:
        if rule.spot is not None and (rule.in_rollback or not rollback):
            for kind in rule.kinds:
                found.setdefault(kind, []).append((rule, rule.spot))
    return {kind: tuple(checks) for kind, checks in found.items()}


@functools.cache
def rules_called(name: str) -> tuple[str, ...]:
    """Ids of the rules that other tools call `name`: "squawk:ban-drop-table", or "ban-drop-table" alone."""
    return tuple(rule.id for rule in RULES if any(name in (alias, alias.partition(":")[2]) for alias in rule.aliases))


__all__ = ["BY_ID", "PREDICTIONS", "PRIVILEGES", "RULES", "Rule", "checks_at", "checks_on", "rules_called"]
