"""An index with many columns."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.skips import skips_all
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

MOST = 3


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    count = len(tree.index_params)
    if count > MOST and not tree.unique and tree.access_method == "btree" and not skips_all(subject):
        yield Hit(f"{count} columns: the fourth and later ones seldom help to find rows, and every write pays for them")


RULE = Rule(
    id="wide-index",
    severity=Severity.INFO,
    condition="a B-tree index that is not unique with more than three columns",
    effect="it grows with every column and slows down writes; queries mostly use the first columns",
    alternative="index the columns that select best; put those that are only read into INCLUDE (...)",
    source=DOCS + "indexes-multicolumn.html",
    aliases=("strong_migrations:add_index_columns", "diesel-guard:wide-index"),
    statement=check,
    on=("index_stmt",),
)
