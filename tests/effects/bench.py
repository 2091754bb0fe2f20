"""Predict what a statement does, run it on a real server, and see what it did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import psycopg

from migrator.analysis.effects import Effects, World, effects_of
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.plan_steps import to_statement
from migrator.database import session
from migrator.database.session import Connection, Endpoint
from migrator.evidence import StatementTrace
from migrator.facts.facts import CatalogFacts
from migrator.facts.query import collect_facts
from migrator.parsing.statements import ParsedFile, parse
from migrator.plan import Statement
from migrator.rehearsal.comparison import differences
from migrator.rehearsal.observer import Observer
from tests.effects.corpus import Case

NOT_IN_TRANSACTION = "25001"
ELSE_OUTSIDE = (NOT_IN_TRANSACTION, "2D000", "55P04")
"""What only fails in a transaction: these statements, COMMIT in a procedure, and the use of a new enum value."""
POLL_SECONDS = 0.005

EMPTY = """
DO $$
DECLARE victim text;
BEGIN
    FOR victim IN SELECT format('DROP EVENT TRIGGER %I', evtname) FROM pg_event_trigger LOOP EXECUTE victim; END LOOP;
    FOR victim IN SELECT format('DROP PUBLICATION %I', pubname) FROM pg_publication LOOP EXECUTE victim; END LOOP;
    FOR victim IN SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP EXECUTE victim; END LOOP;
    FOR victim IN SELECT format('DROP EXTENSION %I CASCADE', extname) FROM pg_extension
        WHERE extname <> 'plpgsql' LOOP EXECUTE victim; END LOOP;
END
$$;
CREATE SCHEMA public AUTHORIZATION migrator;
GRANT USAGE, CREATE ON SCHEMA public TO somebody;
"""


@dataclass(frozen=True)
class Run:
    """One statement: what was predicted and what happened."""

    statement: Statement
    effects: Effects
    trace: StatementTrace | None
    sqlstate: str | None
    """None: it succeeded."""
    message: str
    transactional: bool
    waited: bool

    def problems(self, case: Case) -> Iterator[str]:
        """Every difference between prediction and observation, as a sentence."""
        predicted = self.effects
        if not predicted.known:
            if not case.unknown:
                yield "the prediction says that nothing is known"
            return
        if predicted.assumptions and not case.assumes:
            yield f"the prediction assumes in spite of the catalog: {'; '.join(predicted.assumptions)}"
        yield from self._failure()
        if self.transactional != predicted.transactional:
            yield f"transactional is {self.transactional}, predicted {predicted.transactional}"
        if self.sqlstate is None and self.waited != predicted.waits_for_old_transactions:
            yield f"waits for old transactions: {self.waited}, predicted {predicted.waits_for_old_transactions}"
        if self.trace is not None:
            yield from differences(self.statement, self.trace)

    def _failure(self) -> Iterator[str]:
        fails, may_fail = self.effects.fails, {failure.sqlstate for failure in self.effects.may_fail}
        if self.sqlstate is None and fails is not None:
            yield f"succeeded, failure with {fails.sqlstate} ({fails.message}) was predicted"
        elif self.sqlstate is not None and fails is not None and fails.sqlstate != self.sqlstate:
            yield f"failed with {self.sqlstate} ({self.message}), {fails.sqlstate} ({fails.message}) was predicted"
        elif self.sqlstate is not None and fails is None and self.sqlstate not in may_fail:
            yield f"failed with {self.sqlstate} ({self.message}), which was not predicted"


class Bench:
    """One database of one server, used for one case after the other."""

    def __init__(self, endpoint: Endpoint, superuser: str) -> None:
        self._endpoint = endpoint
        self._conn = session.connect(endpoint, purpose="dry_run", lock_timeout_ms=20_000)
        self._conn.execute("SET search_path = public")  # it sends the cases itself
        self._admin = psycopg.connect(superuser, autocommit=True)
        self._old = psycopg.connect(superuser, autocommit=True)
        self._observer = Observer(endpoint, version="effects")
        self._there: tuple[str, str] | None = None
        """Superuser's and owner's set-up that the database has now; None: something else may be in it."""
        self._last: tuple[Case, CatalogFacts] | None = None
        """The case whose facts were collected last: the tests of one case follow each other."""

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._observer.__exit__(kind, error, traceback)
        for conn in (self._conn, self._admin, self._old):
            conn.close()

    def run(self, case: Case) -> list[Run]:
        """All statements of a case; the first failing one is the last."""
        parsed = parse(case.sql, file=case.id)
        assert not parsed.problems, parsed.problems
        predicted = self._predict(parsed, self.facts(case, parsed))
        self.prepare(case)
        with self._settings(case):
            runs = self._in_transaction(predicted)
            if runs[-1].sqlstate != NOT_IN_TRANSACTION:
                return runs
            self._there = None
            return self._one_by_one(predicted)

    def errors(self, case: Case) -> list[psycopg.Error | None]:
        """How each statement ends, without a look at what it does; the first failing one is the last."""
        self.prepare(case)
        statements = [item.sql for item in parse(case.sql, file=case.id).statements]
        self._conn.execute("BEGIN")
        try:
            found = self._ends(statements)
        finally:
            self._conn.execute("ROLLBACK")
        if found[-1] is not None and found[-1].sqlstate in ELSE_OUTSIDE:
            self._there = None
            return self._ends(statements)
        return found

    def _ends(self, statements: Sequence[str]) -> list[psycopg.Error | None]:
        found: list[psycopg.Error | None] = []
        for sql in statements:
            try:
                self._conn.execute(sql.encode())
                found.append(None)
            except psycopg.Error as exc:
                return [*found, exc]
        return found

    def facts(self, case: Case, parsed: ParsedFile) -> CatalogFacts:
        """What the catalog says before the case runs."""
        if self._last is None or self._last[0] != case:
            self.prepare(case)
            with self._settings(case):
                (self._conn.target_path,) = self._conn.execute("SHOW search_path").fetchone() or ("",)
                self._last = case, collect_facts(self._conn, parsed)
        return self._last[1]

    def prepare(self, case: Case) -> None:
        """Have the database as the case wants to find it; nothing is done when it is so since the case before."""
        wanted = (case.superuser, case.setup)
        if self._there == wanted:
            return
        self._there = None
        self._admin.execute(EMPTY)
        if case.superuser:
            self._admin.execute(case.superuser.encode())
        self._conn.execute(case.setup.encode() or b"SELECT")
        self._there = wanted

    @contextmanager
    def _settings(self, case: Case) -> Iterator[None]:
        before = {}
        for name, value in case.settings.items():
            before[name], *_ = self._conn.execute("SELECT current_setting(%s)", (name,)).fetchone() or ("",)
            self._conn.execute("SELECT set_config(%s, %s, false)", (name, value))
        try:
            yield
        finally:
            for name, value in before.items():
                self._conn.execute("SELECT set_config(%s, %s, false)", (name, value))

    def _predict(self, parsed: ParsedFile, facts: CatalogFacts) -> list[tuple[Statement, Effects]]:
        world = World(facts)
        found = []
        for item in parsed.statements:
            effects = effects_of(item.node, world)
            found.append((to_statement(item, file=parsed.file, index=item.index, effects=effects), effects))
            world = world_after(item.node, world)
        return found

    def _in_transaction(self, predicted: list[tuple[Statement, Effects]]) -> list[Run]:
        self._conn.execute("BEGIN")
        try:
            return self._each(predicted, transactional=True, waited=lambda: False)
        finally:
            self._conn.execute("ROLLBACK")

    def _one_by_one(self, predicted: list[tuple[Statement, Effects]]) -> list[Run]:
        """Outside a transaction, beside one that is older and has looked at every table."""
        runs = []
        for item in predicted:
            with OldTransaction(self._old, self._admin, self._conn) as old:
                runs += self._each([item], transactional=False, waited=partial(getattr, old, "waited"))
        return runs

    def _each(
        self, predicted: Sequence[tuple[Statement, Effects]], *, transactional: bool, waited: Callable[[], bool]
    ) -> list[Run]:
        runs = []
        for statement, effects in predicted:
            self._observer.before("effects", statement, self._conn)
            trace, sqlstate, message = None, None, ""
            try:
                cursor = self._conn.execute(statement.sql.encode())
                self._observer.after("effects", statement, self._conn, rows=max(0, cursor.rowcount))
                trace = self._observer.traces[-1]
            except psycopg.Error as exc:
                sqlstate, message = exc.sqlstate or "?????", exc.diag.message_primary or str(exc)
            runs.append(Run(statement, effects, trace, sqlstate, message, transactional, waited()))
            if sqlstate is not None:
                break
        return runs


class OldTransaction:
    """A transaction that has a snapshot and has read every table. It ends when the statement waits for it."""

    def __init__(self, conn: psycopg.Connection, watcher: psycopg.Connection, watched: Connection) -> None:
        self._conn, self._watcher, self._pid = conn, watcher, watched.info.backend_pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.waited = False

    def __enter__(self) -> OldTransaction:
        self._conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        names = self._conn.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n"
            " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'"
            " AND n.nspname <> 'information_schema'"
        ).fetchall()
        if names:
            self._conn.execute(f"LOCK TABLE {', '.join(name for (name,) in names)} IN ACCESS SHARE MODE".encode())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        if self._conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self._conn.execute("ROLLBACK")

    def _watch(self) -> None:
        """Let go once the statement waits for us: for our end (virtualxid), or, like anybody, for a lock of ours."""
        mine = self._conn.info.backend_pid
        while not self._ended.is_set():
            rows = self._watcher.execute(
                "SELECT locktype FROM pg_locks WHERE pid = %(pid)s AND NOT granted AND"
                " %(mine)s = ANY (pg_blocking_pids(%(pid)s))",
                {"pid": self._pid, "mine": mine},
            ).fetchall()
            if rows:
                self.waited = any(kind == "virtualxid" for (kind,) in rows)
                self._conn.execute("ROLLBACK")
                return
            time.sleep(POLL_SECONDS)
