"""char(n), padded with blanks."""

from __future__ import annotations

from migrator.analysis.rules.model import DOCS, Rule
from migrator.analysis.rules.style.definitions import STATEMENTS, SUBTYPES, instead_of
from migrator.plan import Severity

RULE = Rule(
    id="ban-char",
    severity=Severity.INFO,
    condition="a column of type char(n)",
    effect="values are padded with blanks, which count in LIKE and in length and do not count in =; any change of the"
    " type rewrites the table",
    alternative="use text",
    source=DOCS + "datatype-character.html",
    aliases=("squawk:ban-char-field",),
    on=STATEMENTS,
    subtypes=SUBTYPES,
    statement=instead_of(frozenset({"bpchar"}), "text", "char(n) pads values with blanks, and saves no space"),
)
