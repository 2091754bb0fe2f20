"""What the target's catalog says about the objects that a migration touches.

Collected once per analysis with one query per kind of fact; everything that decides from it is pure. Sizes are
`reltuples` scaled to the present number of pages, never `n_live_tup`, which is 0 on a standby.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ColumnFacts:
    type: str
    """As format_type() writes it: "character varying(20)"."""
    not_null: bool
    collation: str = ""


@dataclass(frozen=True)
class ConstraintFacts:
    name: str
    kind: str
    """pg_constraint.contype: c check, f foreign key, p primary key, u unique, x exclusion, n not null."""
    validated: bool
    definition: str
    columns: tuple[str, ...] = ()
    referenced: str | None = None
    """The table a foreign key points to."""


@dataclass(frozen=True)
class IndexFacts:
    name: str
    """Qualified: "public.users_pkey"."""
    unique: bool
    valid: bool
    columns: tuple[str, ...] = ()
    """Plain columns; an expression counts as ""."""
    constraint: bool = False


@dataclass(frozen=True)
class RelationFacts:
    name: str
    kind: str
    """pg_class.relkind: r table, p partitioned table, i index, I partitioned index, m materialized view, v view, ..."""
    rows: int = 0
    bytes: int = 0
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    constraints: tuple[ConstraintFacts, ...] = ()
    indexes: tuple[IndexFacts, ...] = ()
    partitions: tuple[str, ...] = ()
    """All descendants in the partition tree, the table itself not included."""
    parent: str | None = None
    default_partition: str | None = None
    referenced_by: tuple[str, ...] = ()
    """Tables whose foreign keys point here."""
    table: str | None = None
    """Of an index: the table it belongs to."""
    persistence: str = "p"


@dataclass(frozen=True)
class FunctionFacts:
    volatility: str
    """pg_proc.provolatile: i, s or v."""
    least: int
    """Fewest and most arguments that it takes."""
    most: int


@dataclass(frozen=True)
class DomainFacts:
    constrained: bool
    """A column of a constrained domain is checked row by row when it is added, and so is every row when the domain
    gets another constraint."""
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class CatalogFacts:
    server_version_num: int
    timezone: str = "UTC"
    schema: str = "public"
    """Where an unqualified name is looked up first."""
    relations: Mapping[str, RelationFacts] = field(default_factory=dict)
    functions: Mapping[str, tuple[FunctionFacts, ...]] = field(default_factory=dict)
    """By bare name, all schemas."""
    domains: Mapping[str, DomainFacts] = field(default_factory=dict)
    """By bare and by qualified name."""

    @property
    def major(self) -> int:
        return self.server_version_num // 10000
