"""timestamp without time zone, which is no moment in time."""

from __future__ import annotations

from migrator.analysis.rules.model import DOCS, Rule
from migrator.analysis.rules.style.definitions import STATEMENTS, SUBTYPES, instead_of
from migrator.plan import Severity

RULE = Rule(
    id="prefer-timestamptz",
    severity=Severity.INFO,
    condition="a column of type timestamp without time zone",
    effect="the same value is another moment for each session's time zone; twice a year an hour is ambiguous",
    alternative="use timestamptz: it takes the same eight bytes, and holds a moment",
    source=DOCS + "datatype-datetime.html",
    aliases=("squawk:prefer-timestamptz",),
    on=STATEMENTS,
    subtypes=SUBTYPES,
    statement=instead_of(
        frozenset({"timestamp"}), "timestamptz", "a timestamp without time zone does not say which moment it is"
    ),
)
