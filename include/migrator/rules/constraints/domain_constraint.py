"""ALTER DOMAIN that checks every column of the domain."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.nodes import strings
from migrator.plan import Severity
from migrator.rules.model import DOCS, LARGE_ROWS, SMALL_ROWS, Hit, Rule, Subject, rows_of
from migrator.rules.rewrite import copy_of, script

WORK = {"C": "adding this constraint", "V": "validating this constraint", "O": "SET NOT NULL"}


def check(subject: Subject) -> Iterator[Hit]:
    tree, facts = subject.statement.tree, subject.world.facts
    what = WORK.get(tree.subtype)
    if what is None or (tree.subtype == "C" and getattr(tree, "def").constraint.skip_validation):
        return
    name = ".".join(strings(tree.type_name))
    if facts is None or not facts.complete:
        yield Hit(
            f"{what} reads every table that has a column of domain {name}, while nobody can write to it; which tables"
            " these are needs a connection",
            severity=Severity.INFO,
            alternative_sql=_alternative(subject),
        )
        return
    tables = subject.effects.scans
    if tables:
        yield Hit(
            f"{what} reads {', '.join(tables)}, which have columns of domain {name}; nobody can write to them"
            " meanwhile",
            severity=_severity(subject, tables),
            alternative_sql=_alternative(subject),
        )


def _severity(subject: Subject, tables: tuple[str, ...]) -> Severity:
    rows = sum(rows_of(subject, table) or 0 for table in tables)
    return Severity.INFO if rows < SMALL_ROWS else Severity.ERROR if rows >= LARGE_ROWS else Severity.WARNING


def _alternative(subject: Subject) -> str | None:
    """New values obey a constraint that is NOT VALID; there is no way to check the old ones that lets others write."""
    if subject.statement.tree.subtype != "C":
        return None
    node = copy_of(subject.statement.node)
    constraint = getattr(node.alter_domain_stmt, "def").constraint
    constraint.skip_validation = True
    constraint.initially_valid = False
    return script((node,))


RULE = Rule(
    id="domain-constraint-scans",
    severity=Severity.WARNING,
    condition="ALTER DOMAIN ADD CONSTRAINT without NOT VALID, VALIDATE CONSTRAINT or SET NOT NULL, when tables have"
    " columns of the domain",
    effect="SHARE lock on each table that uses the domain while all its rows are read: writes wait",
    alternative="add the constraint NOT VALID: new values obey it at once; validate it when writes may wait, or check"
    " the old rows by a CHECK on each table",
    source=DOCS + "sql-alterdomain.html",
    aliases=("squawk:ban-alter-domain-with-add-constraint",),
    on=("alter_domain_stmt",),
    statement=check,
)
