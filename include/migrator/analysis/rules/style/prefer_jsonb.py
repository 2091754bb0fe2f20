"""json, which has no equality."""

from __future__ import annotations

from migrator.analysis.rules.model import DOCS, Rule
from migrator.analysis.rules.style.definitions import STATEMENTS, SUBTYPES, instead_of
from migrator.plan import Severity

RULE = Rule(
    id="prefer-jsonb",
    severity=Severity.INFO,
    condition="a column of type json",
    effect="SELECT DISTINCT, GROUP BY and UNION over the table fail, because json has no equality operator; it is"
    " parsed again with each use",
    alternative="use jsonb, unless the exact text with its white space and order of keys must be kept",
    source=DOCS + "datatype-json.html",
    aliases=("eugene:E3", "strong_migrations:add_column_json"),
    on=STATEMENTS,
    subtypes=SUBTYPES,
    statement=instead_of(frozenset({"json"}), "jsonb", "json has no equality operator, so DISTINCT and UNION fail"),
)
