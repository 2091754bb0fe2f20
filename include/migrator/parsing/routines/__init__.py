"""SQL inside DO blocks, functions and procedures: what is run when they run, each statement with its own place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from migrator.parsing.routines import plpgsql, sql_body
from migrator.parsing.routines.body import Body, body_of, own_settings
from migrator.parsing.routines.constants import constant, constant_of
from migrator.parsing.routines.contents import Contents, Fault, Gap, Piece
from migrator.parsing.routines.drafts import Draft, Hole, draft_of

READERS: Mapping[str, Callable[[Body], Contents]] = {"plpgsql": plpgsql.read, "sql": sql_body.read}


@functools.lru_cache(maxsize=256)
def contents_of(body: Body) -> Contents:
    """What the body runs; a body in another language than SQL and PL/pgSQL is one gap."""
    reader = READERS.get(body.language)
    if reader is None:
        why = f"it is written in {body.language}, which is not SQL"
        return Contents(gaps=(Gap(body.statement.start, body.statement.kind, why),))
    return reader(body)


__all__ = [
    "Body",
    "Contents",
    "Draft",
    "Fault",
    "Gap",
    "Hole",
    "Piece",
    "body_of",
    "constant",
    "constant_of",
    "contents_of",
    "draft_of",
    "own_settings",
]
