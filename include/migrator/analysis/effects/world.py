"""What is known about the database while a migration is walked through, statement by statement."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Set
from dataclasses import field
from typing import Any

from migrator.analysis.effects import expressions
from migrator.analysis.effects.journal import MISSING, State
from migrator.facts.facts import (
    CatalogFacts,
    ColumnFacts,
    ConstraintFacts,
    DomainFacts,
    FunctionFacts,
    IndexFacts,
    OperatorFacts,
    RelationFacts,
    TypeFacts,
)
from migrator.frozen import frozen
from migrator.parsing.nodes import Node

UNKNOWN_VERSION = 180000
"""Assumed without a connection: the newest server that the grammar knows."""
TEMPORARY = "pg_temp"
SETTINGS = ("search_path", "timezone", "check_function_bodies")
"""Those that change what later statements mean."""
TRANSACTION = "transaction"
"""Key of the number of the present one; ("created in", relation) has that of the one that made it."""
PERHAPS = "perhaps"
"""In place of True for a relation that IF NOT EXISTS or OR REPLACE made, where nobody knows whether there was one."""


@frozen
class Assumed:
    """What is taken for granted without a connection."""

    server_version_num: int = UNKNOWN_VERSION
    schema: str = "public"
    """Where unqualified names are looked up."""


ASSUMED = Assumed()


@frozen
class World:
    """Facts of the catalog plus what earlier statements of the same migration did.

    Everything that is asked for is as it is now: a renamed table is found under its new name, a dropped one not at all,
    and a new one with the columns that CREATE TABLE gave it.
    """

    facts: CatalogFacts | None = None
    assumed: Assumed = ASSUMED
    state: State = field(default_factory=State)
    """What the migration changed; `replay` writes it."""
    names: dict[tuple[str, ...], str] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What `dotted` has found; effects and rules ask for the same few names again and again."""
    asked: dict[str, RelationFacts | None] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What `relation` has found: likewise, and a dozen times for each statement."""

    @property
    def major(self) -> int:
        return (self.facts or self.assumed).server_version_num // 10000

    @property
    def schema(self) -> str:
        """Where an unqualified name is created."""
        path = self.search_path
        return path[0] if path else (self.facts or self.assumed).schema

    @property
    def search_path(self) -> tuple[str, ...] | None:
        """Set by the migration itself; None: the session's."""
        path = self.state.get(("setting", "search_path"), None)
        return path or None

    @property
    def timezone(self) -> str:
        """The session's TimeZone."""
        return str(self.state.get(("setting", "timezone"), None) or (self.facts.timezone if self.facts else "UTC"))

    def name(self, range_var: Node) -> str:
        """Qualified name of a RangeVar, as the search path finds it."""
        return self.dotted((range_var.schemaname, range_var.relname) if range_var.schemaname else (range_var.relname,))

    def dotted(self, parts: tuple[str, ...]) -> str:
        """Qualified name of a dotted name given as its parts."""
        found = self.names.get(parts)
        if found is None:
            found = self.names[parts] = ".".join(parts[-2:]) if len(parts) >= 2 else self._found(parts)
        return found

    def _found(self, parts: tuple[str, ...]) -> str:
        """Of an unqualified name."""
        bare = parts[0] if parts else ""
        temporary = f"{TEMPORARY}.{bare}"
        if self.state.get(("created", temporary), False):
            return temporary
        if self.search_path is not None:
            places = (f"{schema}.{bare}" for schema in self.search_path)
            return next((name for name in places if self.exists(name)), f"{self.schema}.{bare}")
        found = self.facts.resolved.get(bare) if self.facts else None
        moved = self.state.get(("bare", bare), None)
        if moved is not None and (found is None or self.exists(moved)):
            return str(moved)
        if found is None and self.facts is None and bare.startswith("pg_"):
            return f"pg_catalog.{bare}"
        return found or f"{self.schema}.{bare}"

    def is_new(self, relation: str) -> bool:
        """Whether the migration itself created the relation: nobody uses it yet. Without a catalog IF NOT EXISTS counts
        as making it, since files that repeat themselves would be full of warnings about locks."""
        return bool(self.state.get(("created", relation), False))

    def is_certainly_new(self, relation: str) -> bool:
        """The same without that assumption: for what would be lost."""
        return self.state.get(("created", relation), False) is True

    def made_by(self, relation: str) -> str | None:
        """The earlier migration that creates the relation: it may have any number of rows by now."""
        return None if self.is_new(relation) else self.state.get(("made by", relation), None)

    def changed_by(self, relation: str) -> str | None:
        """The last earlier migration that creates, changes or drops the relation."""
        found: str | None = self.state.get(("changed by", relation), None)
        return found

    def is_told(self, relation: str) -> bool:
        """Whether a migration makes it: what its SQL does not say (the columns of a query) is not known."""
        return self.is_new(relation) or self.made_by(relation) is not None

    @property
    def created(self) -> Set[str]:
        """Relations that this migration created: locks on them harm nobody."""
        return _Marked(self.state, "created", 1)

    @property
    def unseen(self) -> Container[str]:
        """Those of them that nobody else sees: made in the present transaction, or temporary."""
        return _Unseen(self.state)

    def in_another_transaction(self) -> World:
        """The same objects, once what is done so far is committed."""
        return World(
            self.facts, self.assumed, self.state.with_changes({TRANSACTION: self.state.get(TRANSACTION, 0) + 1})
        )

    @property
    def not_valid(self) -> Set[tuple[str, str]]:
        """(table, constraint) that this migration added NOT VALID and has not validated."""
        return _Marked(self.state, "not valid", 2)

    def exists(self, name: str) -> bool | None:
        """Whether there is such a relation now; None: nobody knows."""
        if self.relation(name) is not None:
            return True
        if self.state.get(("relation", name)) is None:
            return False
        if self.facts is None or not self.facts.complete:
            return None
        schema, _, bare = name.partition(".")
        if self.state.get(("moved schema", schema), False):
            return None
        here = schema == self.facts.schema and bare in self.facts.asked and bare not in self.facts.resolved
        return False if here or name in self.facts.asked else None

    def relation(self, name: str) -> RelationFacts | None:
        """What is known of it; None for unknown and dropped relations."""
        if name in self.asked:
            return self.asked[name]
        found = self.state.get(("relation", name))
        if found is MISSING:
            found = self.facts.relations.get(name) if self.facts is not None else None
        self.asked[name] = found
        return found  # type: ignore[no-any-return]

    def partial(self, name: str) -> RelationFacts | None:
        """The little that the migration itself tells of a relation that nobody asked the catalog about."""
        return self.relation(name) or self.state.get(("partial", name), None)

    def everything(self) -> tuple[RelationFacts, ...] | None:
        """All tables, materialized views and indexes of the database; None: nobody asked."""
        names = self.facts.everything if self.facts is not None else None
        return None if names is None else tuple(filter(None, map(self.relation, names)))

    def column(self, table: str, column: str) -> ColumnFacts | None:
        relation = self.partial(table)
        return relation.columns.get(column) if relation else None

    def index_of(self, name: str) -> tuple[RelationFacts, IndexFacts] | None:
        """The table and the facts of an index."""
        index = self.relation(name)
        table = self.relation(index.table) if index and index.table else None
        if table is None:
            return None
        return next(((table, item) for item in table.indexes if item.name == name), None)

    def constraint(self, table: str, name: str) -> ConstraintFacts | None:
        relation = self.partial(table)
        return next((item for item in relation.constraints if item.name == name), None) if relation else None

    def has(self, kind: str, name: str, before: bool) -> bool:
        """Whether there is such a schema, extension, publication or server now.

        :param before: what the catalog says.
        """
        return bool(self.state.get((kind, name), before))

    def is_gone(self, catalog: str, oid: int) -> bool:
        """Whether the migration has dropped it, or something that it went along with."""
        return bool(oid and self.state.get(("gone", f"{catalog}:{oid}:0"), False))

    def table_of_statistics(self, name: str) -> str | None:
        """None: there are no such extended statistics, as far as anybody knows."""
        mine = self.state.get(("statistics", name))
        if mine is not MISSING:
            return mine  # type: ignore[no-any-return]
        relations = self.facts.relations.values() if self.facts is not None else ()
        return next((item.name for item in relations if name in item.statistics), None)

    def leaves(self, table: str) -> tuple[str, ...]:
        """All tables below a partitioned table or an inheritance parent, at every depth."""
        relation = self.relation(table)
        return relation.partitions if relation else ()

    def storage(self, table: str) -> tuple[str, ...]:
        """The relations with rows: the table itself, of a partitioned one its partitions."""
        relation = self.relation(table)
        if relation is None or relation.kind != "p":
            return (table,)
        below = ((name, self.relation(name)) for name in relation.partitions)
        return tuple(name for name, facts in below if facts is None or facts.kind != "p")

    def type(self, parts: tuple[str, ...]) -> TypeFacts | None:
        """A type outside pg_catalog."""
        name = self._typename(parts)
        mine = self.state.get(("type", name))
        if mine is not MISSING:
            return mine  # type: ignore[no-any-return]
        known = self.facts.types.get(".".join(parts[-2:])) if self.facts is not None else None
        return None if known is not None and self.is_gone("pg_type", known.oid) else known

    def domain(self, parts: tuple[str, ...]) -> DomainFacts | None:
        mine = self.state.get(("domain", self._typename(parts)))
        if mine is not MISSING:
            return mine  # type: ignore[no-any-return]
        return self.facts.domains.get(".".join(parts[-2:])) if self.facts is not None else None

    def is_new_type(self, parts: tuple[str, ...]) -> bool:
        return bool(self.state.get(("created type", self._typename(parts)), False))

    def _typename(self, parts: tuple[str, ...]) -> str:
        """Qualified; the state has types under this name."""
        if len(parts) >= 2:
            return ".".join(parts[-2:])
        bare = parts[0] if parts else ""
        found = self.facts.types.get(bare) if self.facts else None
        mine = f"{self.schema}.{bare}"
        return found.name if found and self.state.get(("type", mine)) is MISSING else mine

    def routines(self, bare: str) -> tuple[FunctionFacts, ...]:
        """All functions and procedures of this name, in whatever schema, as they are now."""
        mine = self.state.get(("function", bare), ())
        known = self.facts.functions.get(bare, ()) if self.facts is not None else ()
        replaced = {(item.schema, item.arguments) for item in mine} | set(self.state.get(("functions gone", bare), ()))
        every = (*mine, *(item for item in known if (item.schema, item.arguments) not in replaced))
        return tuple(item for item in every if not self.is_gone("pg_proc", item.oid))

    def functions(self, parts: tuple[str, ...]) -> tuple[FunctionFacts, ...]:
        """Functions of this name that a call would find: those of the migration, then those on the search path."""
        every = self.routines(parts[-1] if parts else "")
        schema = parts[-2] if len(parts) >= 2 else None
        if schema is not None:
            return tuple(item for item in every if item.schema == schema)
        path = self.search_path
        if path is None:
            return tuple(item for item in every if item.position is not None)
        return tuple(item for item in every if item.schema in (*path, "pg_catalog"))

    def position(self, schema: str) -> int | None:
        """Where a schema stands in the search path, as far as what was found in it tells."""
        if self.facts is None or schema == self.facts.schema:
            return 0
        if any(name.startswith(f"{schema}.") for name in self.facts.resolved.values()):
            return 0
        known = (item for items in self.facts.functions.values() for item in items)
        return next((item.position for item in known if item.schema == schema), None)

    def operators(self, name: str) -> tuple[OperatorFacts, ...]:
        """Those outside pg_catalog, by bare name."""
        known = self.facts.operators.get(name, ()) if self.facts is not None else ()
        return (*self.state.get(("operator", name), ()), *known)

    def has_collation(self, name: str) -> bool:
        """Whether it is somebody's own, outside pg_catalog."""
        known = self.facts is not None and name in self.facts.collations
        return known or bool(self.state.get(("collation", name), False))

    def proves_not_null(self, table: str, column: str) -> bool | None:
        """Whether a valid constraint makes SET NOT NULL a formality; None when nobody knows."""
        relation = self.partial(table)
        facts = relation.columns.get(column) if relation else None
        if facts is not None and facts.not_null:
            return True
        for item in relation.constraints if relation else ():
            if item.kind in ("c", "n") and item.validated and item.enforced:
                proves = item.proves if item.proves is not None else expressions.not_null_columns(item.definition)
                if column in proves:
                    return True
        new = self.state.get(("added", table, column), False)  # what is on it, the migration itself has put there
        return False if new or self.relation(table) is not None else None

    def in_another_session(self) -> World:
        """The same objects, without what the session has set, and without its temporary ones."""
        changes: dict[Hashable, Any] = {}
        for key in self.state.written_since(0):  # what earlier migrations have left is gone: see `handed_over`
            word, name = (key[0], str(key[1])) if isinstance(key, tuple) else ("", "")
            name = str(self.state.get(key)) if word == "bare" else name
            if word == "setting" or (
                name.startswith(f"{TEMPORARY}.") and word in ("bare", "created", "relation", "partial")
            ):
                changes[key] = None
        return World(self.facts, self.assumed, self.state.with_changes(changes))

    def with_settings_of(self, other: World) -> World:
        """The same objects, with what the other one's session has set."""
        keys: list[Hashable] = [("setting", name) for name in SETTINGS]
        changes = {key: other.state.get(key, None) for key in keys}
        if all(self.state.get(key, None) == value for key, value in changes.items()):
            return self
        return World(self.facts, self.assumed, self.state.with_changes(changes))

    def branch(self) -> World:
        """The same, from where another way can be gone without a copy of everything."""
        return World(self.facts, self.assumed, self.state.branch())

    def handed_over(self, label: str, since: int) -> World:
        """The world in which the next migration starts. What this one made since that version of the state is there,
        but not new any more; its session, with settings and temporary objects, has ended."""
        changes: dict[Hashable, Any] = {}
        for key in self.state.written_since(since):
            word, name = (key[0], key[1]) if isinstance(key, tuple) else ("", "")
            temporary = str(name).startswith(f"{TEMPORARY}.")
            if word == "setting":
                changes[key] = None
            elif word == "not valid" and self.state.get(key):
                changes[key] = False
            elif word == "bare" and str(self.state.get(key)).startswith(f"{TEMPORARY}."):
                changes[key] = None
            elif word == "created" and self.state.get(key):
                changes[key] = False
                changes[("made by", name)] = None if temporary else label
            elif word in ("relation", "partial"):
                changes[("changed by", name)] = label
                if temporary:
                    changes[key] = None
        return World(self.facts, self.assumed, self.state.with_changes(changes))


class _Unseen:
    def __init__(self, state: State) -> None:
        self._state = state

    def __contains__(self, name: object) -> bool:
        if str(name).startswith(f"{TEMPORARY}."):
            return True
        return bool(self._state.get(("created in", name), -1) == self._state.get(TRANSACTION, 0))


class _Marked(Set[Any]):
    """Keys of a state that begin with a word and are marked as true, without that word."""

    def __init__(self, state: State, word: str, length: int) -> None:
        self._state, self._word, self._length = state, word, length

    def __contains__(self, item: object) -> bool:
        parts = item if isinstance(item, tuple) else (item,)
        return bool(self._state.get((self._word, *parts), False))

    def __iter__(self) -> Iterator[Any]:
        for key in self._state.written():
            if isinstance(key, tuple) and key[0] == self._word and self._state.get(key, False):
                yield key[1] if self._length == 1 else key[1:]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @classmethod
    def _from_iterable(cls, items: Any) -> frozenset[Hashable]:  # type: ignore[override]
        return frozenset(items)
