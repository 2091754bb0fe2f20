"""The rows of a query about the catalog as they came: most of them are never looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Values = tuple[Any, ...]


class Table:
    """Rows without their columns' names, which make each ten times as large."""

    def __init__(self, columns: Sequence[str] = (), rows: Sequence[Values] = ()) -> None:
        self.columns = tuple(columns)
        self.rows = rows

    def named(self, values: Values) -> Row:
        return dict(zip(self.columns, values, strict=True))

    def several(self, *names: str) -> list[Values]:
        """Only these columns of all rows, in this order."""
        places = [self.columns.index(name) for name in names] if self.rows else []
        return [tuple([row[place] for place in places]) for row in self.rows]

    def grouped(self, name: str) -> dict[Any, list[Values]]:
        """Rows by the value of a column."""
        place = self.columns.index(name) if self.rows else 0
        groups: dict[Any, list[Values]] = defaultdict(list)
        for row in self.rows:
            groups[row[place]].append(row)
        return groups
