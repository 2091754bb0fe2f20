"""What must be true for all batches together to do what the one statement does: asked before the first of them, and in
a rehearsal, where nobody else writes, counted as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from migrator.database import naming, queries
from migrator.errors import StatementFailed
from migrator.parsing.running_functions import READ_NAMED, RUN_TEXTS
from migrator.steps import batch_tables
from migrator.steps.batch_looks import Looks
from migrator.steps.batch_statement import BatchSql
from migrator.steps.batch_tables import Table
from migrator.steps.transaction import Connection, failure

QUERIES = queries.load(__package__, "batch_promises")
REHEARSAL = "dry_run"
OWN_TABLE = "write what it finds there into a table of its own, in a step before, and read that"


@dataclass
class Promises:
    looks: Looks
    most: int | None = None
    """Of a rehearsal: how many rows the one statement would change."""
    locks_first: bool = False
    """Whether rows are locked before a batch: see `BatchSql`."""

    def before(self, tables: Sequence[Table], done: int) -> None:
        """:param tables: in which the rows lie. :param done: rows that an earlier attempt has changed.
        :raises StatementFailed: one of them is not kept."""
        looks, sql = self.looks, self.looks.sql
        self._require_all_seen()
        self._require_others_only()
        for table in tables[:1]:
            for text in sql.trials(
                table.target, self.locks_first
            ):  # also where nothing is to do, as on a copy without rows
                looks.ask(text)
        self._require_unique()
        self._require_apart()
        if looks.ctx.purpose == REHEARSAL and not done:
            self.most = int(looks.ask(sql.count()))

    def so_far(self, rows: int) -> None:
        """What a function reads, no text shows."""
        if self.most is not None and rows > self.most:
            raise self._broken(
                f"{rows} rows are changed already, and one statement would have changed {self.most}: what it reads"
                " changes with what it writes, or a row has several partners that each change it. write what decides"
                " into a table of its own, in a step before, and read that"
            )

    def at_end(self, rows: int) -> None:
        """A trigger may have left one out, or one that was written before has passed for its own."""
        if self.most is not None and self.looks.sql.is_whole and rows < self.most:
            raise self._broken(
                f"{rows} rows are inserted, and one statement would have inserted {self.most}: those that are missing"
                " pass for done by what others have inserted. see to it that each has a key of its own; or write ON"
                " CONFLICT DO NOTHING, where one of those with the same key is enough"
            )

    def _require_all_seen(self) -> None:
        """Else what nobody sees is left as it is, and nothing tells that."""
        tables = [self.looks.sql.relation, self.looks.sql.written, *self.looks.sql.reads]
        hidden = self._ask("hidden", {"tables": tables})
        if hidden:
            raise self._broken(
                f"row security is in force for our role, and a policy may hide rows of {hidden[0]['name']}: they would"
                " be left as they are, and the step would pass for done. let a role do it that sees all of them: one"
                " with BYPASSRLS, the owner while row security is not forced, or one with a policy FOR ALL USING (true)"
            )

    def _require_others_only(self) -> None:
        sql = self.looks.sql
        calls = sql.calls
        named = {
            "written": sql.written, "by_itself": sql.writes_only, "reads": list(sql.reads),
            "schemas": [schema for schema, _ in calls], "calls": [name for _, name in calls],
            "runs": sorted(RUN_TEXTS | READ_NAMED),
        }  # fmt: skip
        found = self._ask("others", named)
        for row in found:
            if row["reads"]:
                raise self._broken(
                    f"it reads {sql.written} beside the row that it writes, by {row['name']}: a batch would see what"
                    " those before it have done, and all of them together would do something else than this one"
                    f" statement. {OWN_TABLE}"
                )
            if row["opaque"]:
                raise self._broken(
                    f"nobody can tell whether {row['name']} reads {sql.written}: what it calls is in another language,"
                    " or runs a text that it puts together; then a batch would see what those before it have done."
                    f" {OWN_TABLE}; or declare IMMUTABLE what reads no table"
                )
        self.locks_first = sql.locks_first or any(row["owned"] for row in found)

    def _require_apart(self) -> None:
        """The one statement would fail for two rows of the same key. A batch finds what the one before has inserted."""
        sql = self.looks.sql
        if not sql.is_whole or sql.unique is None:
            return
        table, columns = sql.unique
        where = {"table": table, "columns": list(columns)}
        copied = {"source": sql.relation, "by_itself": sql.only, "given": list(sql.given), **where}
        if sql.given and self._ask("are_apart", copied)[0]["found"]:
            return
        types = [row["type"] for row in self._ask("types", where)]
        if self.looks.ask(sql.repeated(types)):
            raise self._broken(
                f"rows that it would insert have the same ({', '.join(columns)}): the one statement fails for them, and"
                " in batches the second one would pass for done. choose in WHERE which of them is copied; or write ON"
                " CONFLICT DO NOTHING, where any of them is enough"
            )

    def _ask(self, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        def query(conn: Connection, _: BatchSql) -> list[dict[str, Any]]:
            return naming.ask(conn, QUERIES[name], values).named

        return self.looks.at_peace(query)

    def _require_unique(self) -> None:
        """Else nothing keeps others from inserting the same row beside the statement."""
        if self.looks.sql.unique is None:
            return
        table, columns = self.looks.sql.unique
        if self.looks.at_peace(lambda conn, _: batch_tables.is_unique(conn, table, columns)):
            return
        raise self._broken(
            f"{table} has no unique index, of all its rows, on ({', '.join(columns)}) or some of these columns, each of"
            " them NOT NULL: whoever inserts the same row meanwhile would have it there twice. build one in a step"
            " before, or look in NOT EXISTS by the columns of one that is there"
        )

    def _broken(self, reason: str) -> StatementFailed:
        return failure(reason, self.looks.statement, self.looks.step)
