"""From the rows of facts.sql to what a DROP reaches; each object is made when it is first looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from migrator.facts.facts import Edge, ObjectFacts
from migrator.facts.relations import Found
from migrator.facts.table import Table, Values

LABELS = 5
"""Which column of the query they are."""


class Objects(Mapping[str, ObjectFacts]):
    """By key, in the order of catalog, oid and column; keys of tens of thousands are not even written."""

    def __init__(self, table: Table, catalogs: Mapping[int, str], found: Found) -> None:
        """:param catalogs: names by oid."""
        self._catalogs = catalogs
        self._oids = {name: oid for oid, name in catalogs.items()}
        self._found = found
        self._rows = {row[:3]: row for row in table.rows}
        self._made: dict[str, ObjectFacts] = {}

    def __getitem__(self, key: str) -> ObjectFacts:
        made = self._made.get(key)
        if made is None:
            catalog, oid, column = key.split(":")
            made = self._made[key] = self._object(self._rows[self._oids[catalog], int(oid), int(column)])
        return made

    def __iter__(self) -> Iterator[str]:
        places = sorted((self._catalogs[catalog], oid, column) for catalog, oid, column in self._rows)
        return (f"{catalog}:{oid}:{column}" for catalog, oid, column in places)

    def __len__(self) -> int:
        return len(self._rows)

    def _object(self, row: Values) -> ObjectFacts:
        catalog_oid, oid, column, relation_oid, name, _labels, dependents, needed_by = row
        catalog, relation = self._catalogs[catalog_oid], self._found.name(relation_oid)
        whole = not column and catalog == "pg_class"
        return ObjectFacts(
            key=f"{catalog}:{oid}:{column}",
            catalog=catalog,
            name=(relation or "") if whole else name,
            relation=relation,
            column=column,
            dependents=tuple([Edge(key, kind) for kind, key in dict.fromkeys(self._edges(dependents))]),
            needed_by=tuple([(key, kind) for kind, key in self._edges(needed_by)]),
        )

    def _edges(self, text: str | None) -> list[tuple[str, str]]:
        """Kind and key of each: "n:2606:16403:0 a:1259:16403:2"."""
        edges = []
        for edge in text.split(" ") if text else ():
            kind, catalog, rest = edge.split(":", 2)
            edges.append((kind, f"{self._catalogs[int(catalog)]}:{rest}"))
        return edges


def roots(table: Table, catalogs: Mapping[int, str]) -> dict[str, tuple[str, ...]]:
    result: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in table.rows:
        for label in row[LABELS] or ():
            result[label].append((catalogs[row[0]], row[1], row[2]))
    return {
        label: tuple(f"{catalog}:{oid}:{column}" for catalog, oid, column in sorted(places))
        for label, places in result.items()
    }
