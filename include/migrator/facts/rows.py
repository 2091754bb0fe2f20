"""From the rows of facts.sql to the values of facts.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from migrator.facts.facts import (
    CastFacts,
    ConstraintFacts,
    DomainFacts,
    FunctionFacts,
    OperatorFacts,
    TypeFacts,
)
from migrator.facts.outer import EventTrigger, ExtensionFacts, SchemaFacts
from migrator.facts.relations import Found
from migrator.facts.table import Row


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
                tuple(row["kept"] or ()),
                parts=tuple((schema, name) for schema, name in row["parts"]),
                restored=tuple(row["restored"]),
                used=tuple(row["used"]),
            )
        )
    return {name: tuple(items) for name, items in groups.items()}


def operators(rows: Sequence[Row]) -> dict[str, tuple[OperatorFacts, ...]]:
    groups: dict[str, list[OperatorFacts]] = defaultdict(list)
    for row in rows:
        function = row["function_schema"], row["function"]
        groups[row["name"]].append(OperatorFacts(row["schema"], function, tuple(row["operands"])))
    return {name: tuple(items) for name, items in groups.items()}


def casts(rows: Sequence[Row]) -> tuple[CastFacts, ...]:
    return tuple(
        CastFacts(row["source"], row["target"], tuple(row["own"]), (row["schema"], row["function"])) for row in rows
    )


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
            checked,
            found.known(row["tables"]),
            row["base"],
            row["bottom"],
            row["not_null"],
            own,
            default=row["default_text"] or "",
            contained=row["contained"],
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
            tuple(row["parts"]),
        )
        result[facts.name] = facts
        result.setdefault(row["name"], facts)
    return result


def schemas(rows: Sequence[Row], whole: Collection[str], found: Found) -> dict[str, SchemaFacts]:
    inside: dict[str, list[str]] = defaultdict(list)
    for oid, schema in found.schemas.items():
        if schema in whole and found.kinds[oid] in ("r", "p", "m", "v", "S", "f"):
            inside[schema].append(found.names[oid])
    return {
        row["name"]: SchemaFacts(
            row["name"],
            row["owned"],
            row["may_create"],
            row["may_use"],
            tuple(inside[row["name"]]),
            row["others_create"],
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


def published_schemas(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    result: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        result[row["schema"]].append(row["name"])
    return {schema: tuple(names) for schema, names in result.items()}
