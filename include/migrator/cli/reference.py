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
    required = schema.get("required", ())
    for key, field in schema.get("properties", {}).items():
        default = "required" if key in required else _default(field)
        yield f"| `{prefix}{key}` | {field.get('description', '').replace('|', '/')} | {default} |"
        nested, many = _nested(field, definitions)
        if nested is not None:
            yield from _rows(nested, definitions, prefix=f"{prefix}{key}{'[]' if many else ''}.")


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
