"""The proof of a restore: the copy has the content that the target had when the snapshot was taken.

It compares content, not counts: a zeroed page still counts its rows.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from migrator import wording
from migrator.backups import stand_ins
from migrator.backups.contract import Restored
from migrator.backups.copy_template import Template
from migrator.database import fingerprint, large_objects, schema, session
from migrator.database.schema import LEDGER_SCHEMA, MEMBER, ROLE_KINDS, Schema
from migrator.database.schema_diff import SchemaDiff, diff
from migrator.database.session import Endpoint
from migrator.errors import RestoreNotProven
from migrator.evidence import RIGHTS, Check, SnapshotRecord, TableFingerprint, Verdict

SHOWN = 10
"""Differences of one check that a message names."""
NOT_RESTORED = (*ROLE_KINDS, "publication", "subscription", "user_mapping", "event_trigger", "setting")
"""Kinds that reach beyond the database, or belong to roles of the source: pg_restore is told to leave them out."""

PUBLIC = "schema public"
_SWITCHED = re.compile(r"\[(?:disabled|replica|always) on (?P<table>[^\]]+)\]")
"""How the query `constraint` of schema.sql ends a definition."""
_STORED = re.compile(r"\bgenerated always as \(.*\) stored\b", re.DOTALL)
"""In the definition of a column, as the query `column` of schema.sql writes it."""


def compare_tables(wanted: Sequence[TableFingerprint], found: Sequence[TableFingerprint]) -> tuple[str, ...]:
    """Every table whose rows differ, in words. Pure."""
    there = {table.table: table for table in found}
    problems = []
    for table in wanted:
        copy = there.pop(table.table, None)
        if copy is None:
            problems.append(f"table {table.table} is missing")
        elif copy.rows != table.rows:
            problems.append(f"table {table.table} has {copy.rows:,} rows, the source had {table.rows:,}")
        elif copy.hash != table.hash:
            problems.append(f"table {table.table} has the same number of rows, but other content")
    problems += [f"table {name} was not in the source" for name in there]
    return tuple(problems)


def own_rows(record: SnapshotRecord) -> tuple[TableFingerprint, ...]:
    """Without materialized views, which older records have among the tables: a restore fills them anew. Pure."""
    derived = _materialized_views(record)
    return tuple(table for table in record.tables if table.table not in derived)


def _materialized_views(record: SnapshotRecord) -> Collection[str]:
    return Schema.from_dict(record.schema).names("materialized_view")


def _derived(record: SnapshotRecord) -> str:
    """What holds no rows or values of its own, in words."""
    columns = Schema.from_dict(record.schema).objects.get("column", {}).values()
    found = {
        "materialized view": len(_materialized_views(record)),
        "generated column": sum(_STORED.search(text) is not None for text in columns),
    }
    return ", ".join(wording.count(number, what) for what, number in found.items() if number)


def compare_sequences(record: SnapshotRecord, found: Mapping[str, int | None]) -> tuple[str, ...]:
    """A sequence is not part of a snapshot: the dump has its position of some moment while it ran. Pure."""
    problems = []
    for name in sorted({*record.sequences, *found}):
        if name not in found:
            problems.append(f"sequence {name} is missing")
        elif name not in record.sequences:
            problems.append(f"sequence {name} was not in the source")
        else:
            first, value = record.sequences[name], found[name]
            last = record.sequences_after.get(name, first)
            if not _between(first, value, last):
                problems.append(f"sequence {name} is elsewhere than the source")  # where, is a value of its row
    return tuple(problems)


def compare_large_objects(wanted: TableFingerprint, found: TableFingerprint) -> tuple[str, ...]:
    """Pure."""
    if found.rows != wanted.rows:
        return (f"{wording.count(found.rows, 'large object')} in the copy, the source had {wanted.rows:,}",)
    if found.hash != wanted.hash:
        return (f"other content in {wording.count(found.rows, 'large object')}",)
    return ()


def _between(first: int | None, value: int | None, last: int | None) -> bool:
    if value is None or first is None or last is None:
        return value == first or (value is not None and first is None and last is not None)
    return min(first, last) <= value <= max(first, last)


def comparable(
    wanted: Schema,
    found: Schema,
    *,
    grants: bool,
    role: str = "",
    template: Template | None = None,
    members: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Schema, Schema]:
    """Both without what a restore by another role cannot give back, and without what the template holds for others.
    Pure.

    :param role: the copy's, which is called like the copy; "": nobody owns anything in another's stead.
    :param members: of those that the source tells, whoever owns them on the copy."""
    kinds = [*NOT_RESTORED]
    if not grants or wanted.objects.get("default_privileges"):
        kinds.append("grant")
    found = replace(found, objects={**found.objects, MEMBER: members}) if members else found.without(MEMBER)
    if role:
        found = stand_ins.without_owners_rights(found, wanted, role)
    if public_is_the_servers(found, role):
        wanted, found = (_without_grants_on_public(one) for one in (wanted, found))
    both = wanted, _without_surplus(wanted, found, template)
    first, second = (_without_comments(one, kinds).without(*kinds) for one in both)
    return first, second


def public_is_the_servers(found: Schema, role: str) -> bool:
    """Until PostgreSQL 14 a new database's `public` belongs to the superuser, and is open to everybody. Pure."""
    return bool(role) and found.objects.get("owner", {}).get(PUBLIC, role) != role


def _without_grants_on_public(schema: Schema) -> Schema:
    kept = {name: text for name, text in schema.objects.get("grant", {}).items() if name != PUBLIC}
    return replace(schema, objects={**schema.objects, "grant": kept}) if kept else schema.without("grant")


def _without_comments(schema: Schema, kinds: Collection[str]) -> Schema:
    """Without those on things of these kinds."""
    words = tuple(f"{kind.replace('_', ' ')} " for kind in kinds)
    kept = {name: text for name, text in schema.objects.get("comment", {}).items() if not name.startswith(words)}
    return replace(schema, objects={**schema.objects, "comment": kept}) if kept else schema.without("comment")


def _without_surplus(wanted: Schema, found: Schema, template: Template | None) -> Schema:
    if template is None:
        return found
    names = set(template.extensions)
    held = {
        "extension": names,
        "schema": {one.schema for one in template.extensions.values()},
        "comment": {f"extension {name}" for name in names},
    }
    objects = {
        kind: {
            name: text
            for name, text in names.items()
            if name in wanted.objects.get(kind, {}) or name.replace('"', "") not in held.get(kind, ())
        }
        for kind, names in found.objects.items()
    }
    return replace(found, objects={kind: names for kind, names in objects.items() if names})


def prove(
    record: SnapshotRecord,
    wanted: Schema,
    endpoint: Endpoint,
    missing: Sequence[str],
    restored: Restored,
    log: logging.Logger,
    *,
    template: Template | None = None,
) -> tuple[Check, ...]:
    """Content of all tables and large objects, positions of all sequences, and the schema: of the copy, and as the
    record has them."""
    checks = [*restored.checks]
    with session.connect(endpoint, purpose="restore") as conn:
        started = time.monotonic()
        found = fingerprint.tables(conn)
        rows = sum(table.rows for table in found)
        good = f"content of {len(found)} tables, {rows:,} rows, equal to the source at {record.lsn}"
        if derived := _derived(record):
            good += f"; not compared, because a restore fills them anew: {derived}"
        checks.append(_check("tables", compare_tables(own_rows(record), found), good, started))
        started = time.monotonic()
        good = f"{len(record.sequences)} sequences at the same position"
        checks.append(_check("sequences", compare_sequences(record, fingerprint.sequences(conn)), good, started))
        if record.large_objects is not None:
            started = time.monotonic()
            objects = large_objects.content(conn)
            if objects.rows or record.large_objects.rows:
                good = f"content of {wording.count(objects.rows, 'large object')}, equal to the source"
                problems = compare_large_objects(record.large_objects, objects)
                checks.append(_check("large_objects", problems, good, started))
        started = time.monotonic()
        read = schema.read(conn, exclude=(LEDGER_SCHEMA,))
        with session.translated():
            members = schema.members(conn, wanted.names(MEMBER)) if wanted.names(MEMBER) else {}
        here, there = comparable(
            wanted, read, grants=not missing, role=conn.info.dbname, template=template, members=members
        )
        good = f"equal; not compared: {', '.join(kind.replace('_', ' ') for kind in NOT_RESTORED)}"
        if missing:
            good += "; privileges not restored"
        if public_is_the_servers(read, conn.info.dbname):
            good += (
                "; nor privileges on schema public, which belongs to a superuser there, as in each new database of 14"
            )
        if template is not None:
            good += f'; made from the template database "{template.name}"'
        if restored.left_out:
            good += f"; {len(restored.left_out)} entries left out"
        differences = diff(here, there)
        checks.append(_check("schema", (*ways_out(differences), *differences.lines()), good, started))
    for check in checks:
        log.info("restore test, %s: %s (%s, %.1f s)", check.name, check.verdict, check.detail, check.seconds)
    return tuple(checks)


def advice_on_views(told: str, wanted: Schema) -> str:
    """Why a restore makes no unique index, as far as that is known; "" for another failure. Pure."""
    if "could not create unique index" not in told:
        return ""
    views = sorted(
        part.removeprefix("materialized_view ")
        for name, text in wanted.objects.get("index", {}).items()
        if "UNIQUE" in text and (part := wanted.part_of.get(f"index {name}", "")).startswith("materialized_view ")
    )
    if not views:
        return "\nrows of the target break an index of its own: let amcheck's bt_index_check look at its unique indexes"
    named = ", ".join(dict.fromkeys(views))
    return (
        f"\na restore fills materialized views anew, and with today's rows {named} may have some twice that a unique"
        " index forbids. REFRESH MATERIALIZED VIEW on the target says which: mend those rows, or the view's query, or"
        " drop the index"
    )


def ways_out(differences: SchemaDiff) -> Iterator[str]:
    """What to do about what no dump has. Pure."""
    hidden = [change.name for change in differences.changes if change.kind == "used_by"]
    if hidden:
        yield (
            f"{', '.join(hidden[:SHOWN])}: a dump does not say which operator IS DISTINCT FROM, NULLIF, CASE x WHEN and"
            " JOIN USING take, nor which of several functions of a name. write it out: a OPERATOR(s.=) b, f(a::type)"
        )
    for change in differences.changes:
        switched = _SWITCHED.search(change.before or "") if change.kind == "constraint" else None
        if switched is not None and switched[0] not in (change.after or ""):
            yield (
                f"a dump does not say that triggers of the foreign key {change.name} are not enabled as usual. let a"
                f" superuser enable those of table {switched['table']}"
            )
        if change.kind == MEMBER and change.after is None:
            extension = str(change.part_of).removeprefix("extension ")
            what = change.name.removesuffix(f" of {extension}")
            yield (
                f"no dump has the {what}, which somebody has added to an extension. let its owner run:"
                f" ALTER EXTENSION {extension} DROP {what}"
            )


def _check(name: str, problems: Sequence[str], good: str, started: float) -> Check:
    shown = "; ".join(problems[:SHOWN]) + (f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else "")
    verdict = Verdict.FAILED if problems else Verdict.PASSED
    return Check(name, verdict, shown or good, time.monotonic() - started)


def rights(missing: Sequence[str]) -> tuple[Check, ...]:
    """What it means that the server for copies lacks roles. Pure."""
    if not missing:
        return ()
    return (
        Check(
            RIGHTS,
            Verdict.UNVERIFIED,
            f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} not on the server for restored copies, and a"
            " name that begins with pg_ is given by the server alone: the copy has none of the target's privileges, so"
            " nobody has seen which ones the migration and its rollback lose. use a server of the target's own release",
        ),
    )


def refuse_differences(record: SnapshotRecord, checks: Sequence[Check]) -> None:
    """:raises RestoreNotProven: with everything that differs. Pure."""
    failed = [check for check in checks if check.verdict is not Verdict.PASSED]
    if failed:
        differences = tuple(f"{check.name}: {check.detail}" for check in failed)
        raise RestoreNotProven(
            f"the restored copy of snapshot {record.id} does not equal the source:\n"
            + "\n".join(differences)
            + "\ndo not rely on this snapshot; find out why, then run again from snapshot",
            differences=differences,
        )
