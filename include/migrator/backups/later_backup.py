"""Whether a backup that is made after a migration can be restored: of its clone, dumped and restored beside it.

pg_dump and pg_restore empty the search_path (CVE-2018-1058). A function in an index, a CHECK, a generated column, a
materialized view or a domain that finds something through it works today and fails in each later restore: up to 16 the
table comes back without rows, from 17 on without the index. The schema is always tried; rows are where a restore puts
them through such functions and the migration has changed something about it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from migrator.backups import copies, copy_template, obstacle_facts
from migrator.backups.copy_template import Locale, Template
from migrator.backups.program_words import EMPTY_PATH
from migrator.backups.programs import client_programs, connection_by_service, run
from migrator.backups.table_of_contents import entry_of, is_left_out
from migrator.backups.trial import Trial
from migrator.database import queries, session
from migrator.database.schema_diff import Change, SchemaDiff
from migrator.database.session import Connection
from migrator.database.type_parts import with_parts
from migrator.database.vocabulary import told_name
from migrator.embedded.programs import Programs
from migrator.errors import ProgramFailed

HARMLESS = frozenset(
    {
        "column_order",
        "comment",
        "grant",
        "owner",
        "owner_grant",
        "policy",
        "publication",
        "security_label",
        "sequence",
        "statistics",
        "trigger",
    }
)
"""Kinds of objects that no function in an expression can miss."""
OF_A_TABLE = frozenset({"index", "constraint", "column"})
SHOWN = 5


@dataclass(frozen=True)
class Concerned:
    """A table, or a partition, whose rows a restore puts through functions of somebody's making."""

    name: str
    top: str
    """The table that has the index, the constraint or the column."""
    loose: tuple[str, ...] = ()
    """Those of the functions that look names up in the search_path of whoever calls them."""


def with_rows(concerned: Iterable[Concerned], changes: SchemaDiff) -> tuple[Concerned, ...]:
    """Those whose rows must be tried, since these changes may be what a restore misses. Pure."""
    relevant = [change for change in changes.of_objects().changes if change.kind not in HARMLESS]
    if any(_reaches_functions(change) for change in relevant):
        return tuple(concerned)
    tables = {(change.part_of or f"table {change.name}").partition(" ")[2] for change in relevant}
    return tuple(one for one in concerned if {one.name, one.top} & tables)


def _reaches_functions(change: Change) -> bool:
    """Anything that a function's body may name. Not a table that has come: nothing can have relied on it before."""
    if change.kind in OF_A_TABLE:
        return change.kind == "column" and change.before is not None
    return change.kind != "table" or change.after is None


def require(trial: Trial, changes: SchemaDiff, *, programs: Path | None, log: logging.Logger) -> str:
    """What was tried, in words. Where it fails with some tables' rows it is tried with all: a function may read others.

    :raises ProgramFailed: it cannot be restored, and which functions to look at.
    """
    with session.connect(trial.watching, purpose="observe") as conn:
        like = obstacle_facts.source(conn)
        concerned = with_rows(_concerned(conn), changes)
        tools = client_programs(conn.info.server_version // 10_000, configured=programs)
    with session.connect(trial.copies, purpose="observe") as conn:
        templates = obstacle_facts.server(conn).templates
    template = copy_template.choose(templates, like.locale, like.extensions)
    attempt = _Attempt(trial, tools, like.locale, template)
    names = list(dict.fromkeys(one.name for one in concerned))
    try:
        try:
            empty = attempt.some_rows(names)
        except ProgramFailed as exc:
            if not concerned:
                raise
            log.info("a backup with the rows of %s tables cannot be restored, so with all: %s", len(concerned), exc)
            empty = attempt.all_rows(names)
    except ProgramFailed as exc:
        text = f"a backup that is made after this migration cannot be restored: {exc}{_advice(concerned)}"
        raise ProgramFailed(text, **exc.fields) from None
    return tried(names, empty)


def tried(tables: Sequence[str], empty: Collection[str]) -> str:
    """In words. Pure."""
    told = [told_name(name) + (" (no rows to try)" if name in empty else "") for name in tables[:SHOWN]]
    return "the schema" + (f" and the rows of {', '.join(told)}" if told else "")


@dataclass(frozen=True)
class _Attempt:
    trial: Trial
    tools: Programs
    locale: Locale
    template: Template | None

    def some_rows(self, tables: Sequence[str]) -> frozenset[str]:
        """Those of them that have no rows."""
        with self._scratch() as (folder, name):
            schema, rows = folder / "schema", folder / "rows"
            self._dump(schema, "--schema-only")
            if tables:
                self._dump(rows, "--data-only", *(f"--table={name}" for name in tables))
            with self._listing(schema, name, foreign_keys=False) as listing, self.trial.role.lifted():
                self._restore(name, schema, "--section=pre-data", f"--use-list={listing}")
                if tables:
                    self._restore(name, rows, "--section=data")
                self._restore(name, schema, "--section=post-data", f"--use-list={listing}")
            return self._empty(name, tables)

    def all_rows(self, tables: Sequence[str]) -> frozenset[str]:
        """The same."""
        with self._scratch() as (folder, name):
            everything = folder / "everything"
            self._dump(everything)
            with self._listing(everything, name, foreign_keys=True) as listing, self.trial.role.lifted():
                self._restore(name, everything, f"--use-list={listing}")
            return self._empty(name, tables)

    def _empty(self, database: str, tables: Sequence[str]) -> frozenset[str]:
        if not tables:
            return frozenset()
        with session.connect(self.trial.copies.with_database(database), purpose="observe") as conn:
            query = queries.load(__package__, "later_backup")["empty"]
            with session.translated():
                return frozenset(row[0] for row in conn.execute(query, {"tables": list(tables)}).fetchall())

    @contextmanager
    def _scratch(self) -> Iterator[tuple[Path, str]]:
        with (
            tempfile.TemporaryDirectory(prefix="migrator-later-") as folder,
            copies.scratch(self.trial.copies, self.trial.copy, locale=self.locale, template=self.template) as name,
        ):
            yield Path(folder), name

    def _dump(self, folder: Path, *options: str) -> None:
        encoding = "SQL_ASCII" if self.locale.encoding == "SQL_ASCII" else "UTF8"
        with connection_by_service(self.trial.watching) as (conninfo, env):
            shape = ["--format=directory", f"--file={folder}", f"--encoding={encoding}", "--no-password"]
            run(self.tools, "pg_dump", *shape, f"--dbname={conninfo}", *options, env=env)

    def _restore(self, database: str, folder: Path, *options: str) -> None:
        with connection_by_service(self.trial.role.on(database)) as (conninfo, env):
            shape = ["--exit-on-error", "--no-owner", "--no-tablespaces", "--no-password", f"--dbname={conninfo}"]
            run(self.tools, "pg_restore", *shape, *options, str(folder), env=env)

    @contextmanager
    def _listing(self, folder: Path, scratch: str, *, foreign_keys: bool) -> Iterator[str]:
        """Foreign keys want the rows that they refer to; privileges may name roles of another server."""
        with session.connect(self.trial.copies.with_database(scratch), purpose="observe") as conn:
            held = obstacle_facts.held(conn)
        with tempfile.NamedTemporaryFile("w", prefix="migrator-toc-", suffix=".list") as listing:
            for line in self.tools.run("pg_restore", "--list", folder).splitlines():
                left = is_left_out(line, privileges=False, held=held)
                if not left and (foreign_keys or not entry_of(line).startswith("FK CONSTRAINT ")):
                    listing.write(f"{line}\n")
            listing.flush()
            yield listing.name


def _advice(concerned: Iterable[Concerned]) -> str:
    loose = sorted({name for one in concerned for name in one.loose})
    if not loose:
        return f"\n{EMPTY_PATH}"
    commands = "; ".join(
        f"ALTER FUNCTION {told_name(name)} SET search_path = public, pg_temp" for name in loose[:SHOWN]
    )
    return (
        "\na restore has an empty search_path: a function that an index, a CHECK, a generated column, a materialized"
        f" view or a domain calls finds nothing through it. give it its own path, with the schemas it needs: {commands}"
    )


def _concerned(conn: Connection) -> tuple[Concerned, ...]:
    with session.translated():
        rows = conn.execute(with_parts(queries.load(__package__, "later_backup")["concerned"])).fetchall()
    return tuple(Concerned(name, top, tuple(loose or ())) for name, top, loose in rows)
