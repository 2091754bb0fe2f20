"""From the rows of facts.sql to what is known of each relation, made when it is first looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from migrator.facts.facts import (
    ColumnFacts,
    ConstraintFacts,
    IndexFacts,
    RelationFacts,
    RuleFacts,
    TriggerFacts,
    ViewUse,
)
from migrator.facts.lazily import Lazily
from migrator.facts.table import Row, Table, Values

NEVER_ANALYSED_ROW_BYTES = 100
DEFAULT_COLLATION = 100
"""DEFAULT_COLLATION_OID in src/include/catalog/pg_collation.dat."""
_INDEXES = ("i", "I")
_TRIGGER_EVENTS = ((4, "INSERT"), (8, "DELETE"), (16, "UPDATE"), (32, "TRUNCATE"))
_RULE_EVENTS = {"2": "UPDATE", "3": "INSERT", "4": "DELETE"}


class Found:
    """The relations that were found, by oid."""

    def __init__(self, table: Table) -> None:
        self.table = table
        basic = table.several("oid", "schema", "name", "kind", "bytes", "parent_oid")
        self.names: dict[int, str] = {oid: f"{schema}.{name}" for oid, schema, name, *_ in basic}
        self.schemas: dict[int, str] = {oid: schema for oid, schema, *_ in basic}
        self.kinds: dict[int, str] = {oid: kind for oid, _, _, kind, *_ in basic}
        self.bytes: dict[int, int] = {oid: size for oid, _, _, _, size, _ in basic}
        self.parents: dict[int, int] = {
            oid: parent for oid, _, _, kind, _, parent in basic if parent is not None and kind not in _INDEXES
        }

    def name(self, oid: int | None) -> str | None:
        return self.names.get(oid) if oid is not None else None

    def known(self, oids: Collection[int]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.names[oid] for oid in oids if oid in self.names)) if oids else ()


def stored(found: Found) -> list[int]:
    """Those that VACUUM, CLUSTER, REINDEX and ALL IN TABLESPACE go through."""
    rows = found.table.several("oid", "kind", "persistence")
    return [oid for oid, kind, persistence in rows if kind in ("r", "p", "m", "i", "I") and persistence != "t"]


def relations(found: Found, details: Mapping[str, Table]) -> Mapping[str, RelationFacts]:
    made = _Relations(found, details)
    place = found.table.columns.index("oid") if found.table.rows else 0
    return Lazily({found.names[row[place]]: row for row in found.table.rows}, made.relation)


class _Relations:
    """What tells of relations, by their oids."""

    def __init__(self, found: Found, details: Mapping[str, Table]) -> None:
        self._found = found
        self._details = details
        self._by_oid = {
            query: table.grouped("table_oid" if query == "indexes" else "oid") for query, table in details.items()
        }
        self._sequences: dict[tuple[int, str], list[str]] = defaultdict(list)
        self._owners: dict[int, int] = {}
        for oid, table_oid, column, used, owned in details["sequences"].several(
            "oid", "table_oid", "column", "used", "owned"
        ):
            if used and oid in found.names:
                self._sequences[(table_oid, column)].append(found.names[oid])
            if owned:
                self._owners[oid] = table_oid
        self._children: dict[int, list[int]] = defaultdict(list)
        self._referencing: dict[int, list[int]] = defaultdict(list)
        self._reads: dict[int, list[int]] = defaultdict(list)
        for oid, parent in found.parents.items():
            self._children[parent].append(oid)
        for oid, kind, referenced in details["constraints"].several("oid", "kind", "referenced_oid"):
            if kind == "f":
                self._referencing[referenced].append(oid)
        for oid, view, reads in details["views"].several("oid", "view_oid", "reads"):
            if reads:
                self._reads[view].append(oid)

    def _of(self, oid: int, query: str) -> list[Row]:
        table = self._details[query]
        return [table.named(values) for values in self._by_oid[query].get(oid, ())]

    def relation(self, values: Values) -> RelationFacts:
        found, row = self._found, self._found.table.named(values)
        oid, columns = row["oid"], self._of(row["oid"], "columns")
        numbers = {item["number"]: item["name"] for item in columns}
        collations = {item["number"]: item["collation"] for item in columns}
        return RelationFacts(
            name=found.names[oid],
            kind=row["kind"],
            rows=_row_count(row),
            bytes=row["bytes"],
            columns={item["name"]: _column(item, self._sequences) for item in columns},
            constraints=tuple(_constraint(item, numbers, found) for item in self._of(oid, "constraints")),
            indexes=tuple(_index(item, numbers, collations, found) for item in self._of(oid, "indexes")),
            partitions=found.known(_descendants(oid, self._children)) if oid in self._children else (),
            parent=found.name(found.parents.get(oid)),
            default_partition=found.name(row["default_oid"]),
            referenced_by=found.known(self._referencing.get(oid, ())),
            table=found.name(row["table_oid"]),
            persistence=row["persistence"],
            oid=oid,
            children=found.known(self._children.get(oid, ())),
            is_partition=row["is_partition"],
            bound=row["bound"],
            partition_key=row["partition_key"],
            pending_detach=found.name(row["pending_oid"]),
            triggers=tuple(_trigger(item) for item in self._of(oid, "triggers")),
            rules=tuple(_rule(item) for item in self._of(oid, "rules")),
            policies=tuple(item["name"] for item in self._of(oid, "policies")),
            row_security=row["row_security"],
            force_row_security=row["force_row_security"],
            views=tuple(ViewUse(item["name"], tuple(item["columns"] or ())) for item in self._of(oid, "views")),
            reads=found.known(self._reads.get(oid, ())),
            calls=tuple((item["schema"], item["name"]) for item in self._of(oid, "view_calls")),
            publications=tuple(item["name"] for item in self._of(oid, "publications")),
            replica_identity=row["replica_identity"],
            owner=row["owner"],
            owned=row["owned"],
            privileges=None if row["privileges"] is None else frozenset(row["privileges"]),
            access_method=row["access_method"],
            tablespace=row["tablespace"],
            of_type=row["of_type"],
            populated=row["populated"],
            owned_by=found.name(self._owners.get(oid)),
            sequence_type=row["sequence_type"] or "",
            statistics=tuple(item["name"] for item in self._of(oid, "statistics")),
            row_type_used=row["row_type_used"],
            options=tuple(row["options"] or ()),
            kept=tuple(row["kept"] or ()),
        )


def _column(row: Row, sequences: Mapping[tuple[int, str], list[str]]) -> ColumnFacts:
    return ColumnFacts(
        row["type"],
        row["not_null"],
        row["collation"],
        row["default"],
        row["generated"],
        row["identity"],
        row["domain"],
        tuple(dict.fromkeys(sequences[key])) if (key := (row["oid"], row["name"])) in sequences else (),
        row["base"],
    )


def _constraint(row: Row, numbers: Mapping[int, str], found: Found) -> ConstraintFacts:
    columns = tuple(numbers[number] for number in row["numbers"] or () if number in numbers)
    return ConstraintFacts(
        name=row["name"],
        kind=row["kind"],
        validated=row["validated"],
        definition=row["definition"] or _not_null(columns),
        columns=columns,
        proves=frozenset(columns) if row["kind"] == "n" else None,
        referenced=found.name(row["referenced_oid"]),
        index=found.name(row["index_oid"]),
        on_delete=row["on_delete"].strip() or "a",
        on_update=row["on_update"].strip() or "a",
        inherited=row["inherited"],
        enforced=row["enforced"],
    )


def _not_null(columns: tuple[str, ...]) -> str:
    """As pg_get_constraintdef() writes it, but always quoted; asking for each costs more than all the rest."""
    return "NOT NULL " + ", ".join('"' + column.replace('"', '""') + '"' for column in columns)


def _index(row: Row, numbers: Mapping[int, str], collations: Mapping[int, str], found: Found) -> IndexFacts:
    return IndexFacts(
        name=found.names.get(row["oid"], ""),
        unique=row["is_unique"],
        valid=row["is_valid"],
        columns=tuple(numbers.get(number, "") for number in row["numbers"][: row["key_columns"]]),
        collations=_collations(row, collations),
        constraint=row["backs_constraint"],
        primary=row["is_primary"],
        method=row["method"],
        predicate=row["predicate"],
        definition=row["definition"],
        partitioned=row["is_partitioned"],
        parent=found.name(row["parent_oid"]),
        clustered=row["is_clustered"],
        immediate=row["is_immediate"],
        replica_identity=row["is_replica_identity"],
        bytes=found.bytes.get(row["oid"], 0),
    )


def _collations(row: Row, collations: Mapping[int, str]) -> tuple[str, ...]:
    """By key column; "" where it is the column's own. Other than the default one, the server tells."""
    keys = row["key_columns"]
    if row["collations"] is not None:
        return tuple(row["collations"][:keys])
    pairs = zip(row["numbers"][:keys], row["collation_oids"], strict=False)
    return tuple(
        "default" if oid == DEFAULT_COLLATION and collations.get(number) != "default" else "" for number, oid in pairs
    )


def _trigger(row: Row) -> TriggerFacts:
    events = frozenset(name for bit, name in _TRIGGER_EVENTS if row["type"] & bit)
    return TriggerFacts(row["name"], row["function"], events, row["enabled"], row["inherited"], bool(row["type"] & 1))


def _rule(row: Row) -> RuleFacts:
    return RuleFacts(row["name"], _RULE_EVENTS[row["type"]], row["instead"], row["definition"], row["enabled"])


def _row_count(row: Row) -> int:
    """reltuples scaled to the present size; a table that was never analysed is guessed by its bytes."""
    pages = row["bytes"] / row["block_size"]
    if row["reltuples"] < 0 or (row["relpages"] == 0 and pages > 0):
        return int(row["bytes"] / NEVER_ANALYSED_ROW_BYTES)
    if row["relpages"] == 0:
        return int(row["reltuples"])
    return int(row["reltuples"] * pages / row["relpages"])


def _descendants(oid: int, children: Mapping[int, list[int]]) -> list[int]:
    found, stack = [], list(reversed(children.get(oid, [])))
    while stack:
        current = stack.pop()
        found.append(current)
        stack.extend(reversed(children.get(current, [])))
    return found
