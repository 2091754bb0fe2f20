"""Reads the catalog facts that a migration needs: one query per kind of fact, only for what it can reach.

Works on a standby and in a read-only session. Permissions on the tables are not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrator.database import naming, queries
from migrator.database.session import Session
from migrator.database.type_parts import with_parts
from migrator.facts import objects as facts_objects
from migrator.facts import relations as facts_relations
from migrator.facts import rows as facts_rows
from migrator.facts.constants import Name
from migrator.facts.facts import CatalogFacts
from migrator.facts.garbage import no_collection
from migrator.facts.login import read_login
from migrator.facts.names import Mentioned
from migrator.facts.relations import Found
from migrator.facts.running import Running
from migrator.facts.surroundings import read_surroundings
from migrator.facts.table import Row, Table
from migrator.parsing.statements import ParsedFile

if TYPE_CHECKING:
    from migrator.database.session import Connection

HAVE_NO_COLUMNS = ("i", "I", "S")
"""Indexes and sequences have them in pg_attribute, but nobody names those."""
NAMED = ("named_roles", "collations", "servers", "constraints", "large_objects", "tablespaces")
"""What `Mentioned` has of names that are only looked up."""
MOST_RELATIONS = 20_000
"""Of a database with more of them nobody asks for all."""
MOST_CALLERS = 1_000
OF_RELATIONS = (
    "columns",
    "constraints",
    "indexes",
    "sequences",
    "triggers",
    "rules",
    "policies",
    "views",
    "view_calls",
)


def collect_facts(
    conn: Connection, parsed: ParsedFile | Sequence[ParsedFile], *, role: str | None = None
) -> CatalogFacts:
    """What the catalog says about everything that these files name.

    :param role: whose privileges are asked for; None: the session's own role. A session that watches keeps the login
        role, while the migration runs as another.
    """
    files = (parsed,) if isinstance(parsed, ParsedFile) else tuple(parsed)
    running = Running()
    for file in files:
        for statement in file.statements:
            running.add(statement)
    with no_collection():
        facts = _collect(conn, running.mentioned, role)
        while running.follow(facts):
            facts = _collect(conn, running.mentioned, role)
    return facts


def _collect(conn: Connection, wanted: Mentioned, role: str | None) -> CatalogFacts:
    ask = _Asker(conn)
    server = ask("server", role=role)[0]
    role = str(server["role"])
    oids = {(row["asked_schema"], row["asked_name"]): int(row["oid"]) for row in _names(ask, wanted)}
    wanted.roles |= {role} if wanted.own_objects else set()
    types = ask("types", names=sorted(wanted.types | wanted.dropped_types), role=role) if wanted.types else []
    objects = _objects(ask, wanted, oids)
    members = ask("publication_members", names=sorted(wanted.publications)) if wanted.publications else []
    catalogs = {row["oid"]: row["name"] for row in ask("catalogs")} if objects.rows else {}
    reached = {oid for (oid,) in objects.several("relation_oid")} | {row["oid"] for row in members}
    if wanted.statistics:
        reached |= {row["oid"] for row in ask("statistics_tables", names=sorted(wanted.statistics))}
    reached |= {oid for row in types for oid in (*row["tables"], *row["typed_tables"])}
    every = [row["name"] for row in ask("populated_schemas", most=MOST_RELATIONS)] if wanted.whole_database else []
    relations = ask.table(
        "closure",
        oids=_array({*oids.values(), *reached} - {None}),
        far=sorted(oids[name] for name in wanted.emptied if name in oids),
        schemas=sorted({*wanted.whole_schemas, *every}),
        role=role,
    )
    found = Found(relations)
    everything = _array(found.names)
    tables = _array(oid for oid, kind in found.kinds.items() if kind not in HAVE_NO_COLUMNS)
    details = {query: ask.table(query, oids=tables) if found.names else Table() for query in OF_RELATIONS}
    details["statistics"] = ask.table("statistics", oids=everything, names=sorted(wanted.statistics))
    details["publications"] = ask.table("publications", oids=everything, names=sorted(wanted.publications))
    published = [details["publications"].named(row) for row in details["publications"].rows]
    by_schema = ask("published_schemas") if server["server_version_num"] >= 150000 else []
    domains = [row["oid"] for row in types if row["kind"] == "d"]
    schemas = sorted(wanted.schemas | wanted.whole_schemas | {str(server["schema"])})
    extensions = sorted(wanted.extensions)
    if wanted.remade:
        callers = ask("callers", names=sorted(wanted.remade), most=MOST_CALLERS)
        wanted.functions |= {row["name"] for row in callers}
    functions = sorted(wanted.functions)
    missing = ask("missing", types=sorted(wanted.types), functions=functions, servers=sorted(wanted.servers))
    named = {kind: sorted(getattr(wanted, kind)) for kind in NAMED}
    absent = ask("absent", **named) if any(named.values()) else []
    bare = {name for schema, name in wanted.relations if schema is None}
    collations = ask("collations", names=named["collations"]) if wanted.collations else []
    return CatalogFacts(
        server_version_num=server["server_version_num"],
        timezone=server["timezone"],
        schema=server["schema"],
        relations=facts_relations.relations(found, details),
        functions=facts_rows.functions(ask("functions", names=functions, role=role) if functions else []),
        operators=facts_rows.operators(ask("operators", names=sorted(wanted.operators)) if wanted.operators else []),
        casts=facts_rows.casts(ask("casts")),
        collations=frozenset(row["name"] for row in collations),
        domains=facts_rows.domains(types, ask("domain_constraints", oids=domains) if domains else [], found),
        resolved={name: found.names[oid] for (schema, name), oid in oids.items() if schema is None},
        types=facts_rows.types(types, found),
        objects=facts_objects.Objects(objects, catalogs, found),
        roots=facts_objects.roots(objects, catalogs),
        schemas=facts_rows.schemas(ask("schemas", names=schemas, role=role), wanted.whole_schemas, found),
        extensions=facts_rows.extensions(ask("extensions", names=extensions, role=role) if extensions else []),
        event_triggers=facts_rows.event_triggers(ask("event_triggers")),
        publications=facts_rows.publications(published, found),
        publications_for_all=tuple(dict.fromkeys(row["name"] for row in published if row["for_all"])),
        published_schemas=facts_rows.published_schemas(by_schema),
        publishing_inserts=frozenset(row["name"] for row in (*published, *by_schema) if not row["changes"]),
        role=role,
        superuser=server["superuser"],
        standby=server["standby"],
        surroundings=read_surroundings(_Asker(conn, "surroundings"), found.names, standby=server["standby"]),
        login=read_login(_Asker(conn, "login"), _path(conn), bare, wanted.types, functions),
        complete=True,
        missing=frozenset(row["name"] for row in missing),
        absent=frozenset(row["name"] for row in absent),
        everything=tuple(map(found.names.__getitem__, facts_relations.stored(found))) if every else None,
        row_functions=frozenset(row["name"] for row in ask("row_functions")),
        database=server["database"],
        tablespace=server["tablespace"],
        asked=frozenset(f"{schema}.{name}" if schema else name for schema, name in wanted.relations),
    )


def _path(conn: Connection) -> str:
    return conn.target_path if isinstance(conn, Session) else ""


def _array(oids: Iterable[int]) -> str:
    """As PostgreSQL writes an array: for thousands of numbers far faster than a list of them."""
    return "{" + ",".join(map(str, sorted(oids))) + "}"


class _Asker:
    """Runs a query of facts.sql, or of another file."""

    def __init__(self, conn: Connection, topic: str = "facts") -> None:
        self._conn = conn
        self._queries = queries.load(__package__, topic)

    def __call__(self, query: str, **values: Any) -> list[Row]:
        table = self.table(query, **values)
        return [table.named(row) for row in table.rows]

    def table(self, query: str, **values: Any) -> Table:
        text = self._queries[query]
        answer = naming.ask(self._conn, with_parts(text) if query == "types" else text, values)
        return Table(list(answer.columns), answer.rows)


def _names(ask: _Asker, wanted: Mentioned) -> list[Row]:
    bare = {name for schema, name in wanted.relations if schema is None}
    wanted.relations |= {(schema, name) for schema in wanted.search_path for name in bare}
    names = sorted(wanted.relations, key=lambda name: (name[0] or "", name[1]))
    return ask("names", schemas=[schema for schema, _ in names], names=[name for _, name in names]) if names else []


def _objects(ask: _Asker, wanted: Mentioned, oids: Mapping[Name, int]) -> Table:
    roots: dict[str, list[Any]] = {
        "relations": sorted(oids[name] for name in wanted.dropped if name in oids),
        "types": sorted(wanted.dropped_types),
        "functions": sorted(wanted.dropped_functions),
        "schemas": sorted(wanted.whole_schemas),
        "extensions": sorted(wanted.extensions),
        "servers": sorted(wanted.dropped_servers),
        "wrappers": sorted(wanted.dropped_wrappers),
        "roles": sorted(wanted.roles),
    }
    return ask.table("objects", **roots) if any(roots.values()) else Table()
