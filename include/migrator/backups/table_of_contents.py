"""Which entries of a dump are not restored: pg_restore --list prints a line for each, --use-list takes what we leave.

A line is "<id>; <catalog> <oid> <KIND> <schema> <name> <owner>" (PrintTOCSummary in pg_backup_archiver.c).
"""

from __future__ import annotations

from dataclasses import dataclass

_FOREIGN = ("PUBLICATION ", "SUBSCRIPTION ", "EVENT TRIGGER ")
_SAID = tuple(f"{what} - {kind}" for what in ("COMMENT", "SECURITY LABEL", "ACL") for kind in _FOREIGN)
FOREIGN = ("DEFAULT ACL ", "USER MAPPING ", *_FOREIGN, *_SAID)
"""What reaches beyond the database, and what is said of it."""
INITIAL = "public"
"""Every database has this schema; what a dump says of it is restored."""


@dataclass(frozen=True)
class Held:
    """What the template has brought into a database before anything is restored into it."""

    extensions: tuple[str, ...] = ()
    """Those that do not belong to whoever restores. CREATE EXTENSION IF NOT EXISTS lets the others be."""
    schemas: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    """Of those extensions: the schema, then kind and name as the entry of their privileges has them."""
    tables: tuple[tuple[str, str], ...] = ()
    """The same of tables and sequences whose rows a dump may have."""


def is_left_out(line: str, *, privileges: bool, held: Held) -> bool:
    """Whether not to restore this line. Pure."""
    entry = entry_of(line) + " "
    return (
        entry.startswith(FOREIGN)
        or (not privileges and entry.startswith("ACL "))
        or entry.startswith(tuple(_beginnings(held)))
    )


def entry_of(line: str) -> str:
    """What the line is about; empty for a comment. Pure."""
    parts = line.split(None, 3)
    return parts[3] if len(parts) == 4 and not line.startswith(";") and ";" in line else ""


def _beginnings(held: Held) -> list[str]:
    """Of entries about what is there already, or what belongs to the administrator."""
    quoted = [f'"{name}"' for name in held.extensions]
    return [
        *(f"EXTENSION - {name} " for name in held.extensions),
        *(f"COMMENT - EXTENSION {name} " for name in (*held.extensions, *quoted)),
        *(f"SCHEMA - {name} " for name in held.schemas if name != INITIAL),
        *(f"ACL {schema} {name} " for schema, name in held.members),
        *(f"{kind} {schema} {name} " for schema, name in held.tables for kind in ("TABLE DATA", "SEQUENCE SET")),
    ]
