"""What a migration promises to change (`schema_changes.yaml`), compared with what really changed.

Both ways: a change that nobody declared is a problem, and so is a declared change that did not happen. What comes or
goes with a whole object (the columns, constraints, indexes, sequences, grants of an added table) needs no line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

SECTIONS: Mapping[str, str] = {"added": "+", "dropped": "-", "changed": "~"}
"""Section of the file and the sign of a change that belongs there."""

KINDS: Mapping[str, str] = {
    "schemas": "schema",
    "tables": "table",
    "columns": "column",
    "constraints": "constraint",
    "indexes": "index",
    "statistics": "statistics",
    "sequences": "sequence",
    "views": "view",
    "materialized_views": "materialized_view",
    "functions": "function",
    "procedures": "procedure",
    "aggregates": "aggregate",
    "triggers": "trigger",
    "rules": "rule",
    "policies": "policy",
    "types": "type",
    "extensions": "extension",
    "comments": "comment",
    "owners": "owner",
    "grants": "grant",
    "publications": "publication",
    "event_triggers": "event_trigger",
}
"""Key in the file and kind in `schema.Schema`. Rarer kinds are declared under `other` as "<kind> <name>"."""

OTHER = "other"


@dataclass(frozen=True)
class ExpectedChanges:
    """Names by kind, as `schema.Schema` names them: schema-qualified, quoted where PostgreSQL would quote."""

    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def declared(self) -> frozenset[tuple[str, str]]:
        """(sign, "<kind> <name>") of every line."""
        return frozenset(
            (sign, f"{kind} {name}")
            for section, sign in SECTIONS.items()
            for kind, names in getattr(self, section).items()
            for name in names
        )
