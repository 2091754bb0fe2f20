"""An application that keeps a copy of each of its rows in another table, which it writes in the same transaction.

What the model calls `b` is the copy's `v` here, always twice the row's `a` and one: a copy that has missed a change, or
outlived its row, is seen by the next who reads it, and at the end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from psycopg import sql

from tests.torture import backfill
from tests.torture.table import Row
from tests.torture.writer import Writer

TABLE = """
CREATE TABLE copies (owner int, n int, v bigint NOT NULL, token bigint NOT NULL, by text NOT NULL,
    PRIMARY KEY (owner, n));
CREATE FUNCTION public.copied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.filled VALUES (NEW.token, TG_OP, (NEW.v - 1) / 2, NULL, (NEW.v - 1) / 2, NEW.v);
    RETURN NULL;
END $$;
CREATE TRIGGER copied AFTER INSERT ON copies FOR EACH ROW
    WHEN (current_setting('application_name') LIKE '{watched}%') EXECUTE FUNCTION public.copied();
"""
"""The trigger counts what the engine copies, by the token of the write that has left it to be copied."""
WITHOUT_ROW = "SELECT owner, n, v, by FROM copies LEFT JOIN t USING (owner, n) WHERE t.token IS NULL"


class CopyingWriter(Writer):
    def _with_copies(self, found: list[tuple[Any, ...]], n: int | None = None) -> list[tuple[Any, ...]]:
        keys = [row[0] if n is None else n for row in found]
        query = sql.SQL("SELECT n, v FROM copies WHERE owner = %(owner)s AND n = ANY(%(keys)s)")
        copies = dict(self._rows(query, {"owner": self.number, "keys": keys}))
        return [(row[0], row[1], copies.get(key), *row[3:]) for key, row in zip(keys, found, strict=True)]

    def _made(self, n: int, old: bool) -> tuple[Row, dict[str, Any]]:
        row, values = super()._made(n, old)
        return row, {**values, "b": None}

    def _copy_is_made(self, n: int, row: Row) -> None:
        if row.b is not None:
            query = sql.SQL("INSERT INTO copies VALUES (%(owner)s, %(n)s, %(v)s, %(token)s, 'application')")
            self._rows(query, {"owner": self.number, "n": n, "v": row.b, "token": row.token})

    def _copy_moves(self, n: int, then: int) -> None:
        query = sql.SQL("UPDATE copies SET n = %(then)s WHERE owner = %(owner)s AND n = %(n)s")
        self._rows(query, {"owner": self.number, "n": n, "then": then})

    def _copy_goes(self, n: int) -> None:
        query = sql.SQL("DELETE FROM copies WHERE owner = %(owner)s AND n = %(n)s")
        self._rows(query, {"owner": self.number, "n": n})

    def _copies_follow(self, keys: list[int], by: int, *, owner: int | None = None) -> None:
        query = sql.SQL("UPDATE copies SET v = v + %(by)s WHERE owner = %(owner)s AND n = ANY(%(keys)s)")
        self._rows(query, {"owner": self.number if owner is None else owner, "keys": keys, "by": 2 * by})

    def _added(self, n: int, a: int, b: int | None, token: int, rank: int, by: int) -> None:
        row = self.model.saw(n, a - by, b, token, rank)
        filled = backfill.done(self.case.form, row.a + by)
        assert filled is not None
        copied = None if row.b is None else filled[1]
        self.model.put(n, replace(row, a=row.a + by, b=copied, filled=None))
