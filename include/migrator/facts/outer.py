"""What is neither in a schema nor part of anything that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from migrator.frozen import frozen


@frozen
class ExtensionFacts:
    name: str
    installed: str | None
    """Version, when it is."""
    available: bool
    versions: tuple[str, ...] = ()
    owned: bool = True


@frozen
class SchemaFacts:
    name: str
    owned: bool = True
    create: bool = True
    usage: bool = True
    relations: tuple[str, ...] = ()
    """Tables, materialized views, views, sequences and foreign tables in it; only where a statement is about them."""
    others_create: bool = False
    """Whether roles may create in it that neither own it nor are superusers; PUBLIC is one."""


@frozen
class EventTrigger:
    name: str
    event: str
    function: str
    tags: tuple[str, ...] = ()
    """Command tags that fire it; empty: all."""


@frozen
class Login:
    """How a plain session of the login role begins."""

    role: str
    search_path: str
    """As it is set: '"$user", public'."""
    timezone: str
    datestyle: str
    """ "ISO, DMY"."""
    schema: str | None = None
    """Where it creates what has no schema in its name; None: nowhere."""
    elsewhere: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By kind ("relation", "type", "function") and unqualified name, the schema in which it finds what we find in
    another, or not at all."""
    our_path: str = ""
    """The target's, in its place."""
