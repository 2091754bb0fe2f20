"""Reads the catalog facts that a migration needs: one query per kind of fact, only for what it can reach.

Works on a standby and in a read-only session. Permissions on the tables are not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrator import sql
from migrator.facts import (
    CatalogFacts,
    ColumnFacts,
    ConstraintFacts,
    DomainFacts,
    FunctionFacts,
    IndexFacts,
    RelationFacts,
)
from migrator.nodes import Node, content, enum, find, name_of, strings
from migrator.statements import ParsedFile

if TYPE_CHECKING:
    from migrator.session import Connection


def collect_facts(conn: Connection, parsed: ParsedFile | Sequence[ParsedFile]) -> CatalogFacts:
    """What the catalog says about everything that these files name."""
    files = (parsed,) if isinstance(parsed, ParsedFile) else tuple(parsed)
    wanted = _Names()
    for file in files:
        for statement in file.statements:
            wanted.add(statement.node)
    server = _rows(conn, "server", {})[0]
    domains = _rows(conn, "domains", {"names": sorted(wanted.types)}) if wanted.types else []
    found = _rows(
        conn,
        "closure",
        {
            "names": sorted(wanted.relations),
            "schemas": sorted(wanted.schemas),
            "domains": sorted({row["name"] for row in domains}),
            "constraints": [],
        },
    )
    names = {row["oid"]: f"{row['schema']}.{row['name']}" for row in found}
    functions = _rows(conn, "functions", {"names": sorted(wanted.functions)}) if wanted.functions else []
    return CatalogFacts(
        server_version_num=server["server_version_num"],
        timezone=server["timezone"],
        schema=server["schema"],
        relations=_relations(conn, found, names),
        functions=_functions(functions),
        domains=_domains(domains, names),
    )


class _Names:
    """Names of objects that statements mention, as the server is to look them up."""

    def __init__(self) -> None:
        self.relations: set[str] = set()
        self.schemas: set[str] = set()
        self.types: set[str] = set()
        self.functions: set[str] = set()

    def add(self, node: Node) -> None:
        for item in find(node, "RangeVar", "FuncCall", "TypeName", "DropStmt", "CommentStmt"):
            kind = item.DESCRIPTOR.name
            if kind == "RangeVar":
                self._relation(tuple(part for part in (item.schemaname, item.relname) if part))
            elif kind == "FuncCall":
                self.functions.update(strings(item.funcname)[-1:])
            elif kind == "TypeName":
                self.types.update(strings(item.names)[-1:])
            elif kind == "DropStmt":
                self._dropped(item)
            elif item.object.HasField("list"):
                self._relation(strings(item.object.list.items))
                self._relation(strings(item.object.list.items)[:-1])
        if name_of(node) in ("alter_domain_stmt",):
            self.types.update(strings(node.alter_domain_stmt.type_name)[-1:])
        if name_of(node) == "reindex_stmt" and enum(node.reindex_stmt, "kind") == "REINDEX_OBJECT_SCHEMA":
            self.schemas.add(node.reindex_stmt.name)

    def _dropped(self, stmt: Node) -> None:
        for item in stmt.objects:
            if enum(stmt, "remove_type") == "OBJECT_SCHEMA":
                self.schemas.add(content(item).sval)
            elif item.HasField("list"):
                parts = strings(item.list.items)
                self._relation(parts)
                self._relation(parts[:-1])  # DROP TRIGGER t ON table: the table is all but the last part

    def _relation(self, parts: tuple[str, ...]) -> None:
        if parts:
            self.relations.add(".".join('"' + part.replace('"', '""') + '"' for part in parts[-2:]))


def _rows(conn: Connection, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with conn.cursor() as cursor:
        cursor.execute(sql.load("facts")[query].encode(), values)
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _relations(
    conn: Connection, found: Sequence[Mapping[str, Any]], names: Mapping[int, str]
) -> dict[str, RelationFacts]:
    oids = [row["oid"] for row in found]
    if not oids:
        return {}
    columns = _grouped(_rows(conn, "columns", {"oids": oids}), "oid")
    constraints = _grouped(_rows(conn, "constraints", {"oids": oids}), "oid")
    indexes = _grouped(_rows(conn, "indexes", {"oids": oids}), "table_oid")
    children: dict[int, list[int]] = defaultdict(list)
    referencing: dict[int, list[int]] = defaultdict(list)
    for row in found:
        if row["parent_oid"] is not None:
            children[row["parent_oid"]].append(row["oid"])
        for constraint in constraints[row["oid"]]:
            if constraint["kind"] == "f":
                referencing[constraint["referenced_oid"]].append(row["oid"])
    result = {}
    for row in found:
        oid = row["oid"]
        result[names[oid]] = RelationFacts(
            name=names[oid],
            kind=row["kind"],
            rows=_row_count(row),
            bytes=row["bytes"],
            columns={
                item["name"]: ColumnFacts(item["type"], item["not_null"], item["collation"]) for item in columns[oid]
            },
            constraints=tuple(_constraint(item, names) for item in constraints[oid]),
            indexes=tuple(
                IndexFacts(
                    names.get(item["oid"], ""),
                    item["is_unique"],
                    item["is_valid"],
                    tuple(item["columns"]),
                    item["backs_constraint"],
                )
                for item in indexes[oid]
            ),
            partitions=tuple(names[child] for child in _descendants(oid, children)),
            parent=names.get(row["parent_oid"]),
            default_partition=names.get(row["default_oid"]),
            referenced_by=tuple(dict.fromkeys(names[item] for item in referencing[oid])),
            table=names.get(row["table_oid"]),
            persistence=row["persistence"],
        )
    return result


def _constraint(item: Mapping[str, Any], names: Mapping[int, str]) -> ConstraintFacts:
    return ConstraintFacts(
        name=item["name"],
        kind=item["kind"],
        validated=item["validated"],
        definition=item["definition"],
        columns=tuple(item["columns"]),
        referenced=names.get(item["referenced_oid"]),
    )


def _row_count(row: Mapping[str, Any]) -> int:
    """reltuples scaled to the present size; a table that was never analysed is guessed as 100 bytes a row."""
    pages = row["bytes"] / row["block_size"]
    if row["reltuples"] < 0 or (row["relpages"] == 0 and pages > 0):
        return int(row["bytes"] / 100)
    if row["relpages"] == 0:
        return int(row["reltuples"])
    return int(row["reltuples"] * pages / row["relpages"])


def _descendants(oid: int, children: Mapping[int, list[int]]) -> Iterable[int]:
    stack = list(reversed(children.get(oid, [])))
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(children.get(current, [])))


def _grouped(rows: Iterable[Mapping[str, Any]], key: str) -> dict[int, list[Mapping[str, Any]]]:
    groups: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def _functions(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[FunctionFacts, ...]]:
    groups: dict[str, list[FunctionFacts]] = defaultdict(list)
    for row in rows:
        groups[row["name"]].append(FunctionFacts(row["volatility"], row["least"], row["most"]))
    return {name: tuple(items) for name, items in groups.items()}


def _domains(rows: Iterable[Mapping[str, Any]], names: Mapping[int, str]) -> dict[str, DomainFacts]:
    result = {}
    for row in rows:
        facts = DomainFacts(row["constrained"], tuple(names[oid] for oid in row["tables"] if oid in names))
        result[row["name"]] = result[f"{row['schema']}.{row['name']}"] = facts
    return result
