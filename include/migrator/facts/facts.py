"""What the target's catalog says about the objects that a migration touches.

Collected once per analysis with one query per kind of fact (facts_query.py); everything that decides from it is pure.
Names are qualified and not quoted ("public.users"). Sizes are `reltuples` scaled to the present number of pages, never
`n_live_tup`, which is 0 on a standby.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeVar

from migrator.facts.outer import EventTrigger, ExtensionFacts, Login, SchemaFacts
from migrator.facts.surroundings import Surroundings
from migrator.frozen import frozen


@frozen
class ColumnFacts:
    type: str
    """As format_type() writes it: "character varying(20)"."""
    not_null: bool
    collation: str = ""
    default: str | None = None
    """As pg_get_expr() writes it; of a generated column, how it is computed."""
    generated: str = ""
    """pg_attribute.attgenerated: s stored, v virtual."""
    identity: str = ""
    """pg_attribute.attidentity: a always, d by default."""
    domain: bool = False
    """Whether its type is a domain."""
    sequences: tuple[str, ...] = ()
    """Sequences that its default or identity takes values from."""
    base: str = ""
    """Of a column of a domain: the type below it."""


@frozen
class ConstraintFacts:
    name: str
    kind: str
    """pg_constraint.contype: c check, f foreign key, p primary key, u unique, x exclusion, n not null."""
    validated: bool
    definition: str
    columns: tuple[str, ...] = ()
    referenced: str | None = None
    """The table a foreign key points to."""
    index: str | None = None
    """The index that backs a key, or that a foreign key relies on."""
    on_delete: str = "a"
    """pg_constraint.confdeltype: a no action, r restrict, c cascade, n set null, d set default."""
    on_update: str = "a"
    inherited: bool = False
    """It belongs to the constraint of a partitioned parent, or to an inheritance parent's."""
    enforced: bool = True
    proves: frozenset[str] | None = None
    """Columns that it proves to be not null; None: its definition tells."""


@frozen
class IndexFacts:
    name: str
    """Qualified: "public.users_pkey"."""
    unique: bool
    valid: bool
    columns: tuple[str, ...] = ()
    """Plain columns; an expression counts as ""."""
    names: tuple[str, ...] = ()
    """Of all its columns, which those of partitions get their names from; not asked."""
    constraint: bool = False
    """It backs a constraint, so that only DROP CONSTRAINT removes it."""
    primary: bool = False
    collations: tuple[str, ...] = ()
    """By key column; "" where it is the column's own."""
    method: str = "btree"
    predicate: str | None = None
    definition: str = ""
    """As pg_get_indexdef() writes it."""
    mentions: tuple[str, ...] = ()
    """Columns that it has beside its key, where there is no definition: included, in expressions, in the predicate."""
    partitioned: bool = False
    parent: str | None = None
    """The index of the partitioned table that it is part of."""
    clustered: bool = False
    """CLUSTER without USING takes this one."""
    immediate: bool = True
    replica_identity: bool = False
    bytes: int = 0

    @property
    def expressions(self) -> bool:
        return "" in self.columns


@frozen
class TriggerFacts:
    name: str
    function: str
    """Qualified, without arguments."""
    events: frozenset[str] = frozenset()
    """INSERT, UPDATE, DELETE, TRUNCATE."""
    enabled: str = "O"
    """pg_trigger.tgenabled: O origin, D disabled, R replica, A always."""
    inherited: bool = False
    for_each_row: bool = True


@frozen
class RuleFacts:
    name: str
    event: str
    """INSERT, UPDATE, DELETE. The rule that makes a view is not listed."""
    instead: bool
    definition: str = ""
    """CREATE RULE as pg_get_ruledef() writes it."""
    enabled: str = "O"
    """pg_rewrite.ev_enabled: O origin, D disabled, R replica, A always."""


@frozen
class ViewUse:
    """A view that reads a table."""

    name: str
    columns: tuple[str, ...] = ()


@frozen
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
    """All descendants, of a partition tree or of inheritance; the table itself not included."""
    parent: str | None = None
    """Of a partition: its partitioned table; of an inheritance child: its first parent."""
    default_partition: str | None = None
    referenced_by: tuple[str, ...] = ()
    """Tables whose foreign keys point here."""
    table: str | None = None
    """Of an index: the table it belongs to."""
    persistence: str = "p"
    oid: int = 0
    children: tuple[str, ...] = ()
    """Direct descendants."""
    is_partition: bool = False
    bound: str | None = None
    """Of a partition, as pg_get_expr() writes it: "FOR VALUES IN ('a')"."""
    partition_key: str | None = None
    """As pg_get_partkeydef() writes it: "RANGE (created)"."""
    pending_detach: str | None = None
    """A partition that DETACH CONCURRENTLY left half way."""
    triggers: tuple[TriggerFacts, ...] = ()
    """The users' own, without those of foreign keys."""
    rules: tuple[RuleFacts, ...] = ()
    policies: tuple[str, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    views: tuple[ViewUse, ...] = ()
    """Views and materialized views that read this relation directly."""
    reads: tuple[str, ...] = ()
    """Of a view: the relations that it reads directly."""
    calls: tuple[tuple[str, str], ...] = ()
    """Of a view that is not materialized: schema and name of the functions that it calls."""
    publications: tuple[str, ...] = ()
    """Those that name this table; those for all tables are in `CatalogFacts.publications_for_all`."""
    replica_identity: str = "d"
    """pg_class.relreplident: d primary key, n nothing, f full, i index."""
    owner: str = ""
    owned: bool = True
    """Whether the migration's role is the owner, or a member of the owner."""
    privileges: frozenset[str] | None = None
    """What the migration's role may do: SELECT, INSERT, ...; None: not asked."""
    access_method: str | None = None
    tablespace: str | None = None
    """None: the database's own."""
    of_type: str | None = None
    populated: bool = True
    """False for a materialized view WITH NO DATA."""
    owned_by: str | None = None
    """Of a sequence: the table whose column owns it."""
    sequence_type: str = ""
    """Of a sequence: "smallint", "integer", "bigint"; "" where nobody told."""
    statistics: tuple[str, ...] = ()
    """Qualified names of its extended statistics."""
    row_type_used: bool = False
    """Whether a column of another table has this table's rows as its type."""
    options: tuple[str, ...] = ()
    """Of a view, as the catalog has them: "security_invoker=true"."""
    kept: tuple[str, ...] = ()
    """Statements that give owner, grants and comment to one that is made anew."""
    more_columns: bool = False
    """Whether it may have others than `columns`: a query, or a table that nobody knows, gave it some."""
    more_keys: bool = False
    """Whether it may have other unique indexes: those of the table it was made LIKE."""

    def lacks(self, column: str) -> bool:
        """Whether it certainly has no such column; without any known, nobody has asked."""
        return bool(self.columns) and not self.more_columns and column not in self.columns


F = TypeVar("F")


def altered(facts: F, **fields: Any) -> F:
    """`dataclasses.replace` for these and other values that a walk through a migration changes by the thousand, and
    replace() sets each of their forty fields by itself, which takes ten times as long."""
    made = object.__new__(type(facts))
    made.__dict__.update(facts.__dict__, **fields)
    return made


@frozen
class FunctionFacts:
    volatility: str
    """pg_proc.provolatile: i, s or v."""
    least: int
    """Fewest and most arguments that it takes."""
    most: int
    schema: str = "pg_catalog"
    arguments: tuple[str, ...] = ()
    """Types of the input arguments, as format_type() writes them."""
    position: int | None = 0
    """Where its schema stands in the search path; None: not on it."""
    language: str = "internal"
    kind: str = "f"
    """pg_proc.prokind: f function, p procedure, a aggregate, w window function."""
    body: str = ""
    """Of SQL and PL/pgSQL functions outside pg_catalog: CREATE FUNCTION as pg_get_functiondef() writes it."""
    oid: int = 0
    owned: bool = True
    kept: tuple[str, ...] = ()
    """Statements that give owner, grants and comment to one that is made anew, and take EXECUTE from PUBLIC."""
    restored: tuple[str, ...] = ()
    """What calls it and is computed anew by a restore, in words: "index public.i", "CHECK c of public.t"."""
    used: tuple[str, ...] = ()
    """What else calls it for whoever comes there: "trigger t of public.t", "a default of public.t"."""
    parts: tuple[tuple[str, str], ...] = ()
    """Of an aggregate: schema and name of the functions that it is made of."""


@frozen
class OperatorFacts:
    schema: str
    function: tuple[str, str]
    """Schema and name of what it calls."""
    operands: tuple[str, ...]
    """Types of one or two, as format_type() writes them."""


@frozen
class CastFacts:
    source: str
    target: str
    own: tuple[str, ...]
    """Those of the two that are not the server's."""
    function: tuple[str, str]
    """Schema and name."""


@frozen
class DomainFacts:
    constrained: bool
    """A column of a constrained domain is checked row by row when it is added, and so is every row when the domain
    gets another constraint."""
    tables: tuple[str, ...] = ()
    """Tables and materialized views with a column of it, also by way of other domains and composite types."""
    type: str = ""
    """The type below it."""
    bottom: str = ""
    """The type below all domains that it is made of."""
    not_null: bool = False
    constraints: tuple[ConstraintFacts, ...] = ()
    contained: bool = False
    """Whether a column of an array, range or composite type has it inside: then it cannot get a checked constraint."""
    default: str = ""
    """As pg_get_expr() writes it."""


@frozen
class TypeFacts:
    name: str
    """Qualified."""
    kind: str
    """pg_type.typtype: b base, c composite, d domain, e enum, m multirange, r range."""
    labels: tuple[str, ...] = ()
    """Of an enum, in its order."""
    tables: tuple[str, ...] = ()
    """Tables and materialized views with a column of it, also inside arrays, domains and composite types."""
    typed_tables: tuple[str, ...] = ()
    """Of a composite type: tables made OF it."""
    oid: int = 0
    owned: bool = True
    parts: tuple[str, ...] = ()
    """What it is made of that pg_catalog does not have: the type below a domain, attributes, bounds, array elements."""


@frozen
class Edge:
    """One object depends on another."""

    key: str
    """Of the dependent object, in `CatalogFacts.objects`."""
    kind: str
    """pg_depend.deptype: n normal (stops DROP without CASCADE), a auto, i internal, P and S partition, e extension."""


@frozen
class ObjectFacts:
    """An object that a DROP of the migration reaches, and what depends on it."""

    key: str
    """Catalog, oid and number of the column."""
    catalog: str
    """"pg_class", "pg_constraint", ..."""
    name: str
    """Of a column, constraint, trigger, ...: its own name; of a relation, its qualified one."""
    relation: str | None = None
    """The relation it is, or belongs to."""
    column: int = 0
    """pg_depend's objsubid."""
    dependents: tuple[Edge, ...] = ()
    needed_by: tuple[tuple[str, str], ...] = ()
    """What it is part of, with the kind of the dependency: an index of its constraint, a member of its extension. It
    cannot be dropped without that."""


@frozen
class CatalogFacts:
    server_version_num: int
    timezone: str = "UTC"
    schema: str = "public"
    """Where an unqualified name is created."""
    relations: Mapping[str, RelationFacts] = field(default_factory=dict)
    functions: Mapping[str, tuple[FunctionFacts, ...]] = field(default_factory=dict)
    """By bare name, all schemas."""
    operators: Mapping[str, tuple[OperatorFacts, ...]] = field(default_factory=dict)
    """Outside pg_catalog, by bare name."""
    casts: tuple[CastFacts, ...] = ()
    """Those with a function that is neither the server's nor in C."""
    collations: frozenset[str] = frozenset()
    """Bare names of those that stand outside pg_catalog alone."""
    domains: Mapping[str, DomainFacts] = field(default_factory=dict)
    """By bare and by qualified name."""
    resolved: Mapping[str, str] = field(default_factory=dict)
    """Unqualified names of the files as the search path finds them: "users" is "app.users"."""
    types: Mapping[str, TypeFacts] = field(default_factory=dict)
    """By bare (as the search path finds it) and by qualified name."""
    objects: Mapping[str, ObjectFacts] = field(default_factory=dict)
    """What the DROPs reach, by key."""
    roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of what is no relation, type or function: "schema other", "extension x", "owned by somebody"."""
    schemas: Mapping[str, SchemaFacts] = field(default_factory=dict)
    extensions: Mapping[str, ExtensionFacts] = field(default_factory=dict)
    event_triggers: tuple[EventTrigger, ...] = ()
    publications: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tables by publication, for those that list them."""
    publications_for_all: tuple[str, ...] = ()
    published_schemas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Publications by schema, for those that have all of its tables."""
    publishing_inserts: frozenset[str] = frozenset()
    """Publications that have neither UPDATE nor DELETE."""
    role: str = ""
    """Whose privileges these are."""
    superuser: bool = True
    standby: bool = False
    surroundings: Surroundings | None = None
    """None: not asked."""
    login: Login | None = None
    """None: not asked."""
    complete: bool = False
    """The catalog was asked. False for facts made by hand, as for `--server-version`."""
    missing: frozenset[str] = frozenset()
    """What the files name and no schema has: "type x", "function f", "server s"."""
    row_functions: frozenset[str] = frozenset()
    """Bare names of functions that take a row as their only argument: t.f may be f(t)."""
    everything: tuple[str, ...] | None = None
    """All tables, materialized views and indexes of the database, where a statement is about all; None: not asked."""
    database: str = ""
    tablespace: str = ""
    """The database's own."""
    absent: frozenset[str] = frozenset()
    """The same of what stands in no schema, or in any: "role x", "collation c", "server s", "constraint k"."""
    asked: frozenset[str] = frozenset()
    """Names of relations, qualified or not, that it was asked for: those that are not in `relations` do not exist."""

    @property
    def major(self) -> int:
        return self.server_version_num // 10000
