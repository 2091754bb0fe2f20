"""One session of the application under load: a thread that carries out its decisions and keeps a model of its rows."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from tests.torture import backfill
from tests.torture.case import SORTS, Case, Decision
from tests.torture.model import Model, Wrong
from tests.torture.table import HOT, HOT_ROWS, SCALE, TOKENS, Row, document_of, first_rows, id_of, key_columns, where

OLD = frozenset({"unset"})
"""Sorts that an application does no more once it knows the new column."""
NEW_ROWS = frozenset({"insert", "delete_and_insert", "insert_again", "upsert"})
SEEN = sql.SQL("RETURNING n, a, b, token, rank")
THINK_SECONDS, AT_EASE = 0.04, 3
"""How long it rests at most after a transaction; later longer, so that the step ends on a busy machine as well."""
BULK = 1
"""The block in which a bulk update takes all rows of its writer."""
AFTER = 6
"""So many transactions of the old sort follow once the step has ended: nobody may fill those."""

_PIDS = re.compile(r"Process (\d+) waits")


class Writer(threading.Thread):
    """Goes through its decisions until it is told to stop, or found what cannot be."""

    def __init__(self, number: int, case: Case, conninfo: str) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.number, self.case, self.role, self.conninfo = number, case, case.roles[number - 1], conninfo
        hot = 1 if case.form == "delete" else None
        self.model = Model(case.form, first_rows(case.shape, number, hot), undone=bool(case.undo))
        self.committed: Counter[str] = Counter()
        self.rows_written = 0
        self.refused: Counter[str] = Counter()
        """Statements that the server refused, by SQLSTATE."""
        self.deadlocks: list[tuple[float, list[int]]] = []
        """When, and between which processes."""
        self.longest = 0.0
        self.wrong: BaseException | None = None
        self.blocks = 0
        self.ended, self.stopping, self.through = threading.Event(), threading.Event(), threading.Event()
        self._next_n, self._next_token = case.shape.rows + 1, number * TOKENS + SCALE
        self._where = where(case.shape)

    def run(self) -> None:
        try:
            with psycopg.connect(self.conninfo, autocommit=True, application_name=f"app {self.number}") as conn:
                self.conn = conn
                if self.role.replica:
                    conn.execute("SET session_replication_role = replica")
                self._work()
        except BaseException as exc:
            self.wrong = exc
        finally:
            self.through.set()

    def _work(self) -> None:
        after = 0
        while self.role.decisions:
            for position, decision in enumerate(self.role.decisions):
                if position % len(SORTS) == 0 and position:
                    self.blocks += 1
                    if self.blocks >= self.role.blocks_of_old:
                        self.through.set()
                if self.stopping.is_set() and (self.case.undo or after >= AFTER):
                    return
                old = self.blocks < self.role.blocks_of_old
                if self.ended.is_set() and not self.case.undo and after < AFTER:
                    old, after = True, after + 1
                self._transaction(decision, old=old)
                self._rest(decision.picks[4] * THINK_SECONDS * (AT_EASE if self.through.is_set() else 1))

    def _transaction(self, decision: Decision, *, old: bool) -> None:
        sort = decision.sort
        if not old and (sort in OLD or (self.case.undo and sort in NEW_ROWS)):
            sort = "update"  # what is to be undone no writer fills, so new rows would be found for ever
        for _ in range(5):
            try:
                self.conn.execute(f"BEGIN ISOLATION LEVEL {self.role.isolation}".encode())
                getattr(self, f"do_{sort}")(decision, old and (not decision.full or bool(self.case.undo)))
                if sort == "rolled_back":
                    self.conn.execute("ROLLBACK")
                    self.model.forget()
                else:
                    self._send("COMMIT")
                    self.rows_written += self.model.settle(time.monotonic())
                self.committed[sort] += 1
                return
            except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as exc:
                self.refused[exc.sqlstate or ""] += 1
                if exc.sqlstate == "40P01":
                    pids = [int(pid) for pid in _PIDS.findall(exc.diag.message_detail or "")]
                    self.deadlocks.append((time.monotonic(), pids))
                self.conn.execute("ROLLBACK")
                self.model.forget()

    # What a transaction does. `old`: it leaves something to fill.

    def do_insert(self, decision: Decision, old: bool) -> None:
        for _ in range(3):
            self._new(self._fresh(), old)

    def do_update(self, decision: Decision, old: bool) -> None:
        self._change(self._pick(decision.picks[0]))

    def do_key_update(self, decision: Decision, old: bool) -> None:
        n, then = self._pick(decision.picks[0]), self._fresh()
        names = [name for name in ("id", "n") if name in key_columns(self.case.shape) or name in ("id", "n")]
        sets = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(one), sql.Placeholder(f"new_{one}")) for one in names
        )
        values = {"new_id": id_of(self.case.shape, self.number, then), "new_n": then}
        found = self._rows(
            sql.SQL("UPDATE t SET {} WHERE {} {}").format(sets, self._where, SEEN), {**self._key(n), **values}
        )
        if self._one(n, found):
            ((_, a, b, token, rank),) = self._with_copies(found, n)
            row = self.model.saw(n, a, b, token, rank)
            self.model.put(n, None)
            self.model.put(then, row)
            self._copy_moves(n, then)

    def do_delete(self, decision: Decision, old: bool) -> None:
        self._remove(self._pick(decision.picks[0]))

    def do_delete_and_insert(self, decision: Decision, old: bool) -> None:
        n = self._pick(decision.picks[0])
        self._remove(n)
        self._new(n, old)

    def do_insert_again(self, decision: Decision, old: bool) -> None:
        """A key that another transaction has deleted."""
        gone = sorted(self.model.gone)
        if not gone:
            n = self._pick(decision.picks[0])
            self._remove(n)
            self._send("COMMIT")
            self.model.settle(time.monotonic())
            self.conn.execute(f"BEGIN ISOLATION LEVEL {self.role.isolation}".encode())
            gone = [n]
        self._new(gone[int(decision.picks[0] * len(gone))], old)

    def do_upsert(self, decision: Decision, old: bool) -> None:
        n = self._pick(decision.picks[0]) if decision.picks[1] < 0.7 else self._fresh()
        if self.case.shape.key == "none":
            self._change(n) if self.model.row(n) else self._new(n, old)
            return
        row, values = self._made(n, old)
        arbiter = sql.SQL(", ").join(map(sql.Identifier, key_columns(self.case.shape)))
        query = sql.SQL(
            "INSERT INTO t AS t (id, owner, n, a, b, rank, token, document) VALUES"
            " (%(id)s, %(owner)s, %(n)s, %(a)s, %(b)s, %(rank)s, %(token)s, %(document)s)"
            " ON CONFLICT ({}) DO UPDATE SET a = t.a + 1 {}"
        ).format(arbiter, SEEN)
        found = self._rows(query, values)
        if found[0][3] == row.token:
            self.model.missing(n)
            self.model.put(n, row)
            self._copy_is_made(n, row)
        else:
            ((_, a, b, token, rank),) = self._with_copies(found)
            self._added(n, a, b, token, rank, 1)
            self._copies_follow([n], 1)

    def do_bulk_update(self, decision: Decision, old: bool) -> None:
        """All of its rows, in one statement and so in an order of the server's own. Later a few: the table would grow
        faster than small batches get through it."""
        few = self.blocks != BULK
        query = "UPDATE t SET a = a + 1 WHERE owner = %(owner)s AND n BETWEEN %(first)s AND %(last)s {}"
        first = int(decision.picks[0] * self.case.shape.rows) if few else 0
        last = first + 50 if few else SCALE
        rows = self._rows(sql.SQL(query).format(SEEN), {"owner": self.number, "first": first, "last": last})
        self._all_of(rows, 1, first, last)

    def do_savepoint(self, decision: Decision, old: bool) -> None:
        self._change(self._pick(decision.picks[0]))
        kept = dict(self.model.draft)
        self._send("SAVEPOINT s")
        self._change(self._pick(decision.picks[1]))
        self._remove(self._pick(decision.picks[2]))
        self._send("ROLLBACK TO s")
        self.model.draft = kept
        self._change(self._pick(decision.picks[3]))

    def do_long(self, decision: Decision, old: bool) -> None:
        self._change(self._pick(decision.picks[0]))
        self._rest(0.05 + decision.picks[5] * 0.25)
        self._change(self._pick(decision.picks[0]))

    def do_select_for_update(self, decision: Decision, old: bool) -> None:
        n = self._pick(decision.picks[0])
        query = sql.SQL("SELECT n, a, b, token, rank FROM t WHERE {} FOR UPDATE").format(self._where)
        found = self._rows(query, self._key(n))
        if self._one(n, found):
            ((_, a, b, token, rank),) = self._with_copies(found)
            self.model.saw(n, a, b, token, rank)
            self._rest(decision.picks[5] * 0.03)
            self._change(n)

    def do_several(self, decision: Decision, old: bool) -> None:
        """In an order that is nobody's: what waits for one of them may hold another."""
        for pick in decision.picks[:4]:
            self._change(self._pick(pick))

    def do_swap(self, decision: Decision, old: bool) -> None:
        """Two rows exchange what is unique: right only at COMMIT."""
        one, other = self._pick(decision.picks[0]), self._pick(decision.picks[1])
        if one == other or not self._change(one) or not self._change(other):
            return
        first, second = self.model.row(one), self.model.row(other)
        assert first is not None
        assert second is not None
        for n, row, rank in ((one, first, second.rank), (other, second, first.rank)):
            query = sql.SQL("UPDATE t SET rank = %(rank)s WHERE {}").format(self._where)
            self._rows(query, {**self._key(n), "rank": rank})
            self.model.put(n, replace(row, rank=rank))

    def do_document(self, decision: Decision, old: bool) -> None:
        n, number = self._pick(decision.picks[0]), self._token()
        query = sql.SQL("UPDATE t SET document = %(document)s WHERE {} {}").format(self._where, SEEN)
        found = self._rows(query, {**self._key(n), "document": document_of(self.case.shape, number)})
        if self._one(n, found):
            ((_, a, b, token, rank),) = self._with_copies(found)
            self.model.put(n, replace(self.model.saw(n, a, b, token, rank), document=number))

    def do_unset(self, decision: Decision, old: bool) -> None:
        n, token = self._pick(decision.picks[0]), self._token()
        if not self._change(n) or self.case.undo:
            return
        query = sql.SQL("UPDATE t SET b = NULL, token = %(token)s WHERE {}").format(self._where)
        self._rows(query, {**self._key(n), "token": token})
        row = self.model.row(n)
        assert row is not None
        self.model.put(n, replace(row, b=None, token=token))
        self._copy_goes(n)

    def do_hot(self, decision: Decision, old: bool) -> None:
        n, by = 1 + int(decision.picks[0] * HOT_ROWS), 1 + int(decision.picks[1] * 9)
        if self.case.form == "from":
            by *= 50  # what is filled then is the same for each of them
        key = {"id": id_of(self.case.shape, 0, n), "owner": 0, "n": n}
        found = self._rows(
            sql.SQL("UPDATE t SET a = a + %(by)s WHERE {} RETURNING n").format(self._where), {**key, "by": by}
        )
        if len(found) != 1:
            raise Wrong(f"hot row {n} was found {len(found)} times")
        self._copies_follow([n], by, owner=HOT)
        self._rows(sql.SQL("INSERT INTO hot_log VALUES (%(n)s, %(by)s) RETURNING n"), {"n": n, "by": by})

    def do_rolled_back(self, decision: Decision, old: bool) -> None:
        self._change(self._pick(decision.picks[0]))
        self._remove(self._pick(decision.picks[1]))
        self._new(self._fresh(), True)

    # What an application does in the same transaction that keeps copies of its rows in another table: see `copying`.

    def _with_copies(self, found: list[tuple[Any, ...]], n: int | None = None) -> list[tuple[Any, ...]]:
        """Rows as `SEEN`. :param n: the key under which the copy is kept until now, where it is another one."""
        return found

    def _copy_is_made(self, n: int, row: Row) -> None: ...

    def _copy_moves(self, n: int, then: int) -> None: ...

    def _copy_goes(self, n: int) -> None: ...

    def _copies_follow(self, keys: list[int], by: int, *, owner: int | None = None) -> None: ...

    # How it is done.

    def _change(self, n: int) -> bool:
        """Add to `a`. Returns whether the row is there."""
        if self.model.row(n) is None:
            return False
        found = self._rows(sql.SQL("UPDATE t SET a = a + 2 WHERE {} {}").format(self._where, SEEN), self._key(n))
        if not self._one(n, found):
            return False
        ((_, a, b, token, rank),) = self._with_copies(found)
        self._added(n, a, b, token, rank, 2)
        self._copies_follow([n], 2)
        return True

    def _remove(self, n: int) -> None:
        if self.model.row(n) is None:
            return
        found = self._rows(sql.SQL("DELETE FROM t WHERE {} {}").format(self._where, SEEN), self._key(n))
        if self._one(n, found):
            ((_, a, b, token, rank),) = self._with_copies(found)
            self.model.saw(n, a, b, token, rank)
            self.model.put(n, None)
            self._copy_goes(n)

    def _new(self, n: int, old: bool) -> None:
        row, values = self._made(n, old)
        query = sql.SQL(
            "INSERT INTO t (id, owner, n, a, b, rank, token, document) VALUES"
            " (%(id)s, %(owner)s, %(n)s, %(a)s, %(b)s, %(rank)s, %(token)s, %(document)s) RETURNING n"
        )
        self._rows(query, values)
        self.model.put(n, row)
        self._copy_is_made(n, row)

    def _made(self, n: int, old: bool) -> tuple[Row, dict[str, Any]]:
        token = self._token()
        a = token % 1000
        b = None if old or self.case.undo else backfill.by_application(self.case.form, a)
        row = Row(a, b, token, token, token)
        values = {"a": a, "b": b, "rank": token, "token": token, "document": document_of(self.case.shape, token)}
        return row, {**self._key(n), **values, "n": n, "owner": self.number}

    def _added(self, n: int, a: int, b: int | None, token: int, rank: int, by: int) -> None:
        """The row was changed: before, it was what it may have been."""
        row = self.model.saw(n, a - by, b, token, rank)
        self.model.put(n, replace(row, a=row.a + by))

    def _all_of(self, rows: list[tuple[Any, ...]], by: int, first: int, last: int) -> None:
        found = [row[0] for row in rows]
        if len(set(found)) != len(found):
            raise Wrong(f"rows are there twice: {sorted(n for n, times in Counter(found).items() if times > 1)}")
        for n in {n for n in self.model.there() if first <= n <= last} - set(found):
            self.model.missing(n)
        for n, a, b, token, rank in self._with_copies(rows):
            self._added(n, a, b, token, rank, by)
        self._copies_follow(found, by)

    def _one(self, n: int, found: list[tuple[Any, ...]]) -> bool:
        if len(found) > 1:
            raise Wrong(f"row {n} is there {len(found)} times")
        if not found:
            self.model.missing(n)
        return bool(found)

    def _pick(self, choice: float) -> int:
        there = self.model.there()
        return there[int(choice * len(there))]

    def _fresh(self) -> int:
        self._next_n += 1
        return self._next_n

    def _token(self) -> int:
        self._next_token += 1
        return self._next_token

    def _key(self, n: int) -> dict[str, Any]:
        return {"id": id_of(self.case.shape, self.number, n), "owner": self.number, "n": n}

    def _rows(self, query: sql.Composable, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        started = time.monotonic()
        try:
            cursor = self.conn.execute(query, values)
            return cursor.fetchall() if cursor.description else []
        finally:
            self.longest = max(self.longest, time.monotonic() - started)

    def _send(self, text: str) -> None:
        self._rows(sql.SQL(text), {})

    def _rest(self, seconds: float) -> None:
        self.stopping.wait(seconds)
