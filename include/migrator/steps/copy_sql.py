"""What finds copies that are not what their row is by now, and copies them again: made of an INSERT ... SELECT ...
WHERE NOT EXISTS, of which each part means what it means there.

Values are compared as they are stored, by the operator `*<>` of records, so no operator of a column's type runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from migrator.frozen import frozen
from migrator.parsing.build import expression_text, name_text, relation_text
from migrator.parsing.nodes import Node, find

FOUND, COPY = "migrator_found", "migrator_copy"


@frozen
class CopySql:
    sources: str
    """What stands behind FROM, the table with the rows first."""
    alias: str
    """Of that table, quoted."""
    rest: str
    """The condition without its NOT EXISTS."""
    into: str
    """The table that is written, as its name is written there."""
    inner: str
    """What its NOT EXISTS has behind FROM, up to the end of its WHERE."""
    name: str
    """What that calls the table."""
    columns: tuple[str, ...]
    """Those that are inserted beside the key, not quoted."""
    values: tuple[str, ...]

    def places(self, types: Sequence[str], own: Collection[int], most: int) -> str:
        """One row: table and ctid of each row, of the first so many, that was changed since it was copied; or NULL.

        :param types: of the columns.
        :param own: transactions that have made the copies, without their epoch: what others have written is theirs.
        """
        pair = f"{self.alias}.tableoid::pg_catalog.int8, {self.alias}.ctid::pg_catalog.text"
        found = f"SELECT DISTINCT pg_catalog.jsonb_build_array({pair}) AS place {self._stale(types, own)} LIMIT {most}"
        return f"SELECT pg_catalog.jsonb_agg(place) FROM ({found}) AS {FOUND}"  # noqa: S608

    def locked(self, places: str) -> str:
        """Locks these rows, as a batch does. One row: how many, and 0.

        :param places: a condition.
        """
        rows = f"SELECT FROM {self.sources}\nWHERE true{places}\nFOR NO KEY UPDATE OF {self.alias}"
        return f"SELECT pg_catalog.count(*), 0 FROM ({rows}) AS {FOUND}"  # noqa: S608

    def again(self, types: Sequence[str], own: Collection[int], places: str) -> str:
        """Copies these rows again. One row: how many, and 0."""
        new = [f"({value})::{of} AS new_{number}" for number, (value, of) in enumerate(self._typed(types))]
        at = f"{COPY}.place, {COPY}.part"
        found = f"SELECT {', '.join([at, *new])} {self._stale(types, own)}{places}"
        names = ", ".join(f"{name_text(one)} = {FOUND}.new_{number}" for number, one in enumerate(self.columns))
        is_it = " AND ".join(
            f"written.{column} OPERATOR(pg_catalog.=) {FOUND}.{name}"
            for column, name in (("ctid", "place"), ("tableoid", "part"))
        )
        change = f"UPDATE {self.into} AS written SET {names} FROM ({found}) AS {FOUND} WHERE {is_it} RETURNING 1"  # noqa: S608
        return f"WITH batch AS ({change}) SELECT pg_catalog.count(*), 0 FROM batch"  # noqa: S608

    def _stale(self, types: Sequence[str], own: Collection[int]) -> str:
        values = ", ".join(f"({value})::{of}" for value, of in self._typed(types))
        columns = ", ".join(f"{self.name}.{name_text(column)}" for column in self.columns)
        at = f"{self.name}.ctid AS place, {self.name}.tableoid AS part, {self.name}.xmin AS made"
        copy = f"SELECT {at}, ROW({columns}) AS kept FROM {self.inner}"  # noqa: S608
        made = ", ".join(map(str, own))
        newer = f"pg_catalog.age({self.alias}.xmin) OPERATOR(pg_catalog.<) pg_catalog.age({COPY}.made)"
        return (
            f"FROM {self.sources}\nCROSS JOIN LATERAL ({copy}) AS {COPY}\nWHERE ({self.rest}\n)"
            f" AND {COPY}.made OPERATOR(pg_catalog.=) ANY ('{{{made}}}'::pg_catalog.xid[])"
            f" AND {newer} AND ROW({values}) OPERATOR(pg_catalog.*<>) {COPY}.kept"
        )

    def _typed(self, types: Sequence[str]) -> Sequence[tuple[str, str]]:
        return list(zip(self.values, types, strict=True))


def of(
    tree: Node, source: Node, there: Node, sources: str, given: Mapping[str, Node], conditions: Sequence[Node]
) -> CopySql | None:
    """Of an INSERT that can be done in batches; None: it copies nothing but the key.

    :param there: the query within its NOT EXISTS. :param sources: what stands behind FROM, as it is written.
    :param given: the columns beside the key, and their values. :param conditions: what its WHERE has between ANDs.
    """
    if not given:
        return None
    inner = there.from_clause[0].range_var
    alias = inner.alias.aliasname
    named = f"{'' if inner.inh else 'ONLY '}{relation_text(inner)}{f' AS {name_text(alias)}' if alias else ''}"
    rest = [one for one in conditions if all(link.subselect.select_stmt != there for link in find(one, "SubLink"))]
    return CopySql(
        sources=sources,
        alias=name_text(source.alias.aliasname if source.HasField("alias") else source.relname),
        rest=" AND ".join(f"({expression_text(one)})" for one in rest) or "true",
        into=relation_text(tree.relation),
        inner=f"{named} WHERE {expression_text(there.where_clause)}",
        name=name_text(alias or inner.relname),
        columns=tuple(given),
        values=tuple(map(expression_text, given.values())),
    )
