"""CREATE DOMAIN with a constraint."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum, strings
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    kinds = {enum(item.constraint, "contype") for item in tree.constraints if item.HasField("constraint")}
    if kinds & {"CONSTR_CHECK", "CONSTR_NOTNULL"}:
        name = ".".join(strings(tree.domainname))
        yield Hit(
            f"a column of domain {name} cannot be added to a table without rewriting it, and a change of the domain's"
            " constraint reads every table that uses it"
        )


RULE = Rule(
    id="domain-with-constraint",
    severity=Severity.INFO,
    condition="CREATE DOMAIN with CHECK or NOT NULL",
    effect="every later change of it concerns all tables at once; ADD COLUMN of such a domain rewrites the table",
    alternative="use the base type, with a CHECK on each table",
    source=DOCS + "sql-createdomain.html",
    aliases=("squawk:ban-create-domain-with-constraint",),
    on=("create_domain_stmt",),
    statement=check,
)
