"""money, whose meaning depends on a setting."""

from __future__ import annotations

from migrator.analysis.rules.model import DOCS, Rule
from migrator.analysis.rules.style.definitions import STATEMENTS, SUBTYPES, instead_of
from migrator.plan import Severity

RULE = Rule(
    id="prefer-numeric-over-money",
    severity=Severity.INFO,
    condition="a column of type money",
    effect="currency and number of decimals depend on lc_monetary of the session that looks",
    alternative="use numeric, and keep the currency in a column of its own",
    source=DOCS + "datatype-money.html",
    on=STATEMENTS,
    subtypes=SUBTYPES,
    statement=instead_of(frozenset({"money"}), "numeric", "what a money value is worth depends on lc_monetary"),
)
