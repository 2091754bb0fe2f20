"""From the rows of facts.sql to the values of facts.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from migrator.facts import (
    ColumnFacts,
    ConstraintFacts,
    DomainFacts,
    Edge,
    EventTrigger,
    ExtensionFacts,
    FunctionFacts,
    IndexFacts,
    ObjectFacts,
    RelationFacts,
    RuleFacts,
    SchemaFacts,
    TriggerFacts,
    TypeFacts,
    ViewUse,
)

Row = Mapping[str, Any]

NEVER_ANALYSED_ROW_BYTES = 100
_TRIGGER_EVENTS = ((4, "INSERT"), (8, "DELETE"), (16, "UPDATE"), (32, "TRUNCATE"))
_RULE_EVENTS = {"2": "UPDATE", "3": "INSERT", "4": "DELETE"}


class Found:
    """The relations that were found, by oid."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.names: dict[int, str] = {row["oid"]: f"{row['schema']}.{row['name']}" for row in rows}
        self.bytes: dict[int, int] = {row["oid"]: row["bytes"] for row in rows}

    def name(self, oid: int | None) -> str | None:
        return self.names.get(oid) if oid is not None else None

    def known(self, oids: Collection[int]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.names[oid] for oid in oids if oid in self.names)) if oids else ()


def stored(found: Found) -> list[int]:
    """Those that VACUUM, CLUSTER, REINDEX and ALL IN TABLESPACE go through."""
    return [row["oid"] for row in found.rows if row["kind"] in ("r", "p", "m", "i", "I") and row["persistence"] != "t"]


def relations(found: Found, details: Mapping[str, Sequence[Row]]) -> dict[str, RelationFacts]:
    by_oid = {query: _grouped(rows, "table_oid" if query == "indexes" else "oid") for query, rows in details.items()}
    sequences: dict[tuple[int, str], list[str]] = defaultdict(list)
    owners: dict[int, int] = {}
    for row in details["sequences"]:
        if row["used"] and row["oid"] in found.names:
            sequences[(row["table_oid"], row["column"])].append(found.names[row["oid"]])
        if row["owned"]:
            owners[row["oid"]] = row["table_oid"]
    children: dict[int, list[int]] = defaultdict(list)
    referencing: dict[int, list[int]] = defaultdict(list)
    reads: dict[int, list[int]] = defaultdict(list)
    for row in found.rows:
        if row["parent_oid"] is not None and row["kind"] not in ("i", "I"):
            children[row["parent_oid"]].append(row["oid"])
    for row in details["constraints"]:
        if row["kind"] == "f":
            referencing[row["referenced_oid"]].append(row["oid"])
    for row in details["views"]:
        if row["reads"]:
            reads[row["view_oid"]].append(row["oid"])
    numbers: dict[int, dict[int, str]] = defaultdict(dict)
    for row in details["columns"]:
        numbers[row["oid"]][row["number"]] = row["name"]
    result = {}
    for row in found.rows:
        oid = row["oid"]
        name = found.names[oid]
        of = partial(_of, by_oid, oid)
        result[name] = RelationFacts(
            name=name,
            kind=row["kind"],
            rows=_row_count(row),
            bytes=row["bytes"],
            columns={item["name"]: _column(item, sequences) for item in of("columns")},
            constraints=tuple(_constraint(item, numbers[oid], found) for item in of("constraints")),
            indexes=tuple(_index(item, numbers[oid], found) for item in of("indexes")),
            partitions=found.known(_descendants(oid, children)) if oid in children else (),
            parent=found.name(row["parent_oid"]) if row["kind"] not in ("i", "I") else None,
            default_partition=found.name(row["default_oid"]),
            referenced_by=found.known(referencing.get(oid, ())),
            table=found.name(row["table_oid"]),
            persistence=row["persistence"],
            oid=oid,
            children=found.known(children.get(oid, ())),
            is_partition=row["is_partition"],
            bound=row["bound"],
            partition_key=row["partition_key"],
            pending_detach=found.name(row["pending_oid"]),
            triggers=tuple(_trigger(item) for item in of("triggers")),
            rules=tuple(_rule(item) for item in of("rules")),
            policies=tuple(item["name"] for item in of("policies")),
            row_security=row["row_security"],
            force_row_security=row["force_row_security"],
            views=tuple(ViewUse(item["name"], tuple(item["columns"] or ())) for item in of("views")),
            reads=found.known(reads.get(oid, ())),
            publications=tuple(item["name"] for item in of("publications")),
            replica_identity=row["replica_identity"],
            owner=row["owner"],
            owned=row["owned"],
            privileges=None if row["privileges"] is None else frozenset(row["privileges"]),
            access_method=row["access_method"],
            tablespace=row["tablespace"],
            of_type=row["of_type"],
            populated=row["populated"],
            owned_by=found.name(owners.get(oid)),
            statistics=tuple(item["name"] for item in of("statistics")),
            row_type_used=row["row_type_used"],
        )
    return result


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


def _index(row: Row, numbers: Mapping[int, str], found: Found) -> IndexFacts:
    return IndexFacts(
        name=found.names.get(row["oid"], ""),
        unique=row["is_unique"],
        valid=row["is_valid"],
        columns=tuple(numbers.get(number, "") for number in row["numbers"][: row["key_columns"]]),
        collations=tuple(row["collations"][: row["key_columns"]]),
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


def _of(details: Mapping[str, Mapping[int, list[Row]]], oid: int, query: str) -> Sequence[Row]:
    return details[query].get(oid, ())


def _grouped(rows: Iterable[Row], key: str) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def functions(rows: Sequence[Row]) -> dict[str, tuple[FunctionFacts, ...]]:
    groups: dict[str, list[FunctionFacts]] = defaultdict(list)
    for row in rows:
        groups[row["name"]].append(
            FunctionFacts(
                row["volatility"],
                row["least"],
                row["most"],
                row["schema"],
                tuple(row["arguments"]),
                row["position"],
                row["language"],
                row["kind"],
                row["body"],
                row["oid"],
                row["owned"],
            )
        )
    return {name: tuple(items) for name, items in groups.items()}


def domains(rows: Sequence[Row], constraints: Sequence[Row], found: Found) -> dict[str, DomainFacts]:
    """Later rows are further down the search path: the first one keeps the bare name."""
    by_oid = _grouped(constraints, "oid")
    result: dict[str, DomainFacts] = {}
    for row in rows:
        if row["kind"] != "d":
            continue
        own = tuple(
            ConstraintFacts(item["name"], item["kind"], item["validated"], item["definition"])
            for item in by_oid[row["oid"]]
        )
        checked = row["not_null"] or bool(own) or row["checked_below"]
        facts = DomainFacts(
            checked, found.known(row["tables"]), row["base"], row["bottom"], row["not_null"], own, row["contained"]
        )
        result[f"{row['schema']}.{row['name']}"] = facts
        result.setdefault(row["name"], facts)
    return result


def types(rows: Sequence[Row], found: Found) -> dict[str, TypeFacts]:
    result: dict[str, TypeFacts] = {}
    for row in rows:
        facts = TypeFacts(
            f"{row['schema']}.{row['name']}",
            row["kind"],
            tuple(row["labels"]),
            found.known(row["tables"]),
            found.known(row["typed_tables"]),
            row["oid"],
            row["owned"],
        )
        result[facts.name] = facts
        result.setdefault(row["name"], facts)
    return result


def objects(rows: Sequence[Row], found: Found) -> dict[str, ObjectFacts]:
    result = {}
    for row in rows:
        key = f"{row['catalog']}:{row['oid']}:{row['subid']}"
        relation = found.name(row["relation_oid"])
        own = not row["subid"] and row["catalog"] == "pg_class"
        result[key] = ObjectFacts(
            key=key,
            catalog=row["catalog"],
            name=(relation or "") if own else row["name"],
            relation=relation,
            column=row["subid"],
            dependents=tuple([Edge(text[2:], text[0]) for text in dict.fromkeys(row["dependents"])]),
            needed_by=tuple((text[2:], text[0]) for text in row["needed_by"]),
        )
    return result


def roots(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    result: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for label in row["labels"]:
            result[label].append(f"{row['catalog']}:{row['oid']}:{row['subid']}")
    return {label: tuple(keys) for label, keys in result.items()}


def schemas(rows: Sequence[Row], whole: Collection[str], found: Found) -> dict[str, SchemaFacts]:
    inside: dict[str, list[str]] = defaultdict(list)
    for row in found.rows:
        if row["schema"] in whole and row["kind"] in ("r", "p", "m", "v", "S", "f"):
            inside[row["schema"]].append(found.names[row["oid"]])
    return {
        row["name"]: SchemaFacts(
            row["name"], row["owned"], row["may_create"], row["may_use"], tuple(inside[row["name"]])
        )
        for row in rows
    }


def extensions(rows: Sequence[Row]) -> dict[str, ExtensionFacts]:
    return {
        row["name"]: ExtensionFacts(
            row["name"], row["installed"], row["available"], tuple(row["versions"]), row["owned"]
        )
        for row in rows
    }


def event_triggers(rows: Sequence[Row]) -> tuple[EventTrigger, ...]:
    return tuple(EventTrigger(row["name"], row["event"], row["function"], tuple(row["tags"])) for row in rows)


def publications(rows: Sequence[Row], found: Found) -> dict[str, tuple[str, ...]]:
    result: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if not row["for_all"]:
            result[row["name"]].extend(found.known([row["oid"]] if row["oid"] is not None else []))
    return {name: tuple(tables) for name, tables in result.items()}
