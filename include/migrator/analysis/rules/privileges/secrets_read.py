"""Where the server keeps passwords."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.plan import Severity

TABLES = {
    "pg_authid": "the passwords of all roles",
    "pg_shadow": "the passwords of all roles",
    "pg_subscription": "the connection strings of subscriptions",
    "pg_user_mapping": "the passwords for other servers",
    "pg_user_mappings": "the passwords for other servers",
}
"""Tables and views of pg_catalog."""
SCHEMA_TABLES = dict.fromkeys(("user_mapping_options", "_pg_user_mappings"), "the passwords for other servers")
"""Views of information_schema, the second of which the first is made of."""


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if node.relname in TABLES and node.schemaname in ("", "pg_catalog"):
        yield Hit(f"{node.relname} holds {TABLES[node.relname]}")
    elif node.relname in SCHEMA_TABLES and node.schemaname == "information_schema":
        yield Hit(f"{node.schemaname}.{node.relname} holds {SCHEMA_TABLES[node.relname]}")


RULE = Rule(
    id="reads-passwords",
    severity=Severity.WARNING,
    condition="pg_authid, pg_shadow, pg_subscription, pg_user_mapping, information_schema.user_mapping_options",
    effect="what a view, a function or a table takes from there is for everybody who may read that",
    alternative="pg_roles, pg_user and pg_stat_subscription tell what is no secret",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "catalog-pg-authid.html",
    spot=check,
    kinds=("RangeVar",),
    in_rollback=True,
)
