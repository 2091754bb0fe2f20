"""ALTER DOMAIN that checks every column of the domain."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, LARGE_ROWS, SMALL_ROWS, Hit, Rule, rows_of
from migrator.analysis.rules.online.domains import by_table
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import strings
from migrator.plan import Severity

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
            alternative_sql=by_table(subject.statement.node, subject.world),
        )
        return
    tables = subject.effects.scans
    if tables:
        yield Hit(
            f"{what} reads {', '.join(tables)}, which have columns of domain {name}; nobody can write to them"
            " meanwhile",
            severity=_severity(subject, tables),
            alternative_sql=by_table(subject.statement.node, subject.world),
        )


def _severity(subject: Subject, tables: tuple[str, ...]) -> Severity:
    rows = sum(rows_of(subject, table) or 0 for table in tables)
    return Severity.INFO if rows < SMALL_ROWS else Severity.ERROR if rows >= LARGE_ROWS else Severity.WARNING


RULE = Rule(
    id="domain-constraint-scans",
    severity=Severity.WARNING,
    condition="ALTER DOMAIN ADD CONSTRAINT without NOT VALID, VALIDATE CONSTRAINT or SET NOT NULL, when tables have"
    " columns of the domain",
    effect="SHARE lock on each table that uses the domain while all its rows are read: writes wait",
    alternative="add the constraint NOT VALID: new values obey it at once; check the old rows by a CHECK on each table,"
    " NOT VALID and then validated. The domain's own constraint stays NOT VALID: to validate it reads all the tables",
    without_sql="SET NOT NULL and VALIDATE where the tables are not known, or hold the domain elsewhere than in a"
    " plain column, and VALIDATE of what is valid already",
    source=DOCS + "sql-alterdomain.html",
    aliases=("squawk:ban-alter-domain-with-add-constraint",),
    on=("alter_domain_stmt",),
    statement=check,
)
