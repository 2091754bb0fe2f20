"""How a plain session of the login role would begin: what psql would make of the same file.

A migration's session has the target's search path, UTC and ISO dates, whatever the role, the database or the server
are set to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from migrator.database import naming
from migrator.facts.outer import Login

SYSTEM = "pg_catalog"


Ask = Callable[..., Sequence[Mapping[str, Any]]]


def read_login(
    ask: Ask, our_path: str, relations: Iterable[str], types: Iterable[str], functions: Iterable[str]
) -> Login:
    """:param ask: runs a query of login.sql. :param relations: and the others: names without a schema."""
    row = ask("settings")[0]
    path = [row["role"] if name == "$user" else name for name in naming.names_in(row["search_path"])]
    schemas = [found["name"] for found in ask("schemas", path=path)]
    searched = schemas if SYSTEM in schemas else [SYSTEM, *schemas]
    named = {"relations": sorted(relations), "types": sorted(types), "functions": sorted(functions)}
    return Login(
        role=row["role"],
        search_path=row["search_path"],
        timezone=row["timezone"],
        datestyle=row["datestyle"],
        schema=schemas[0] if schemas else None,
        elsewhere={
            (found["kind"], found["name"]): found["schema"] for found in ask("elsewhere", path=searched, **named)
        },
        our_path=our_path,
    )
