"""What must be true for all batches together to do what the one statement does: asked before the first of them, and in
a rehearsal, where nobody else writes, counted as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrator.database.vocabulary import told_name
from migrator.errors import StatementFailed
from migrator.steps import batch_readings, batch_tables
from migrator.steps.batch_looks import Looks
from migrator.steps.batch_tables import Table
from migrator.steps.transaction import failure

REHEARSAL = "dry_run"


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
        self._require_all_read()
        for table in tables[:1]:  # also where nothing is to do, as on a copy without rows
            for text in sql.trials(table.target, self.locks_first):
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

    def after(self, own: Sequence[int]) -> None:
        """What a trigger writes, no text shows either: of a rehearsal, where its rows are there to be seen.

        :param own: transactions of the batches, without their epoch.
        """
        if self.most is None or not own:
            return
        made = ", ".join(map(str, own))
        for table in self.looks.at_peace(batch_readings.read_tables):
            is_own = f"xmin OPERATOR(pg_catalog.=) ANY ('{{{made}}}'::pg_catalog.xid[])"
            text = f"SELECT EXISTS (SELECT FROM ONLY {table} WHERE {is_own})"  # noqa: S608
            if self.looks.ask(text):
                raise self._broken(
                    f"it reads {told_name(table)}, and its batches have written there, by a trigger or the like: each"
                    f" would see what those before it have done. {batch_readings.OWN_TABLE}"
                )

    def _require_all_read(self) -> None:
        looks = self.looks
        reads, owned = looks.at_peace(batch_readings.others)
        for reason in (looks.at_peace(batch_readings.hidden), reads):
            if reason is not None:
                raise self._broken(reason)
        self.locks_first = looks.sql.locks_first or owned

    def _require_apart(self) -> None:
        looks = self.looks
        if not looks.at_peace(batch_readings.may_repeat):
            return
        if looks.ask(looks.sql.repeated(looks.at_peace(batch_readings.key_types))):
            columns = ", ".join((looks.sql.unique or ("", ()))[1])
            raise self._broken(
                f"rows that it would insert have the same ({columns}): the one statement fails for them, and in batches"
                " the second one would pass for done. choose in WHERE which of them is copied; or write ON CONFLICT DO"
                " NOTHING, where any of them is enough"
            )

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
