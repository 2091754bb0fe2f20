"""The tables of migrations/README.md, written from the JSON Schemas: `python -m migrator.cli.reference`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from migrator.cli.schema import json_schema

PAGE = Path("migrations/README.md")
MARKS = re.compile(r"(<!-- keys of (?P<file>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """`text` with every marked table made anew. Pure."""

    def table(match: re.Match[str]) -> str:
        return match[1] + "\n".join(_table(json_schema(match["file"]))) + "\n" + match[3]

    return MARKS.sub(table, text)


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | what it holds | default |"
    yield "| --- | --- | --- |"
    yield from _rows(schema, schema.get("$defs", {}), prefix="")


def _rows(schema: Mapping[str, Any], definitions: Mapping[str, Any], *, prefix: str) -> Iterator[str]:
    for key, description, default in _cells(schema):
        field = schema["properties"][key]
        yield f"| `{prefix}{key}` | {description} | {default} |"
        nested, many = _nested(field, definitions)
        if nested is not None:
            yield from _rows(nested, definitions, prefix=f"{prefix}{key}{'[]' if many else ''}.")
        yield from _variants(field, definitions, prefix=f"{prefix}{key}[].")


def _variants(field: Mapping[str, Any], definitions: Mapping[str, Any], *, prefix: str) -> Iterator[str]:
    """Of a list whose entries come in kinds: each key once, with the kinds that have it where not all do."""
    items = field.get("items", {})
    if "discriminator" not in items:
        return
    tag = items["discriminator"]["propertyName"]
    kinds = {name: definitions[one.rpartition("/")[2]] for name, one in items["discriminator"]["mapping"].items()}
    having: dict[tuple[str, str, str], list[str]] = {}
    for name in (one["$ref"].rpartition("/")[2] for one in items["oneOf"]):
        kind = next(key for key, one in kinds.items() if one is definitions[name])
        for row in _cells(definitions[name]):
            if row[0] != tag:
                having.setdefault(row, []).append(kind)
    what = "; ".join(kinds[kind]["properties"][tag]["description"].rstrip(".") for kind in _order(having))
    yield f"| `{prefix}{tag}` | What the step does: {what}. | required |"
    for (key, description, default), names in having.items():
        only = "" if len(names) == len(kinds) else f"Of {', '.join(f'`{name}`' for name in names)}: "
        yield f"| `{prefix}{key}` | {only}{description} | {default} |"


def _order(having: Mapping[Any, list[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in having.values() for name in names))


def _cells(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for key, field in schema.get("properties", {}).items():
        default = "required" if key in required else _default(field)
        yield key, field.get("description", "").replace("|", "/"), default


def _nested(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
    for option in (field, *field.get("anyOf", ())):
        many = "items" in option
        reference = (option["items"] if many else option).get("$ref", "")
        found = definitions.get(reference.rpartition("/")[2])
        if found is not None and "properties" in found:
            return found, many
    return None, False


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
