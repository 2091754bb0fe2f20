"""An analysis as JSON: the contract that other programs build on. Its schema: `json_schema.py`."""

from __future__ import annotations

import json
from typing import Any

from migrator.reports.document import Analysis

SCHEMA_ID = "urn:migrator:analysis:1"


def piece(analysis: Analysis, *, indent: int | None = None) -> str:
    """One analysis as one JSON object. Frozen dataclasses become objects of their fields, tuples become lists."""
    return json.dumps(analysis, default=vars, ensure_ascii=False, indent=indent)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one analysis; many in one call are an array of them."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Analysis).json_schema(mode="serialization")
    return {"$id": SCHEMA_ID, **schema}
