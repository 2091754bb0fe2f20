"""A migration that works for hours, and others beside it: who may begin, who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from migrator.database import locking, session
from migrator.database.session import Endpoint
from migrator.errors import HeldByOther, PreflightBusy, VerifyFailed
from migrator.evidence import EvidenceBundle
from migrator.gates import going_on
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages import apply
from migrator.steps import batch_size, batches
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from migrator.steps.context import StepHandle
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of, run_of, verify_it
from tests.integration.test_backfill import backfill
from tests.integration.test_calendar import sql_step

ROWS = 4_000
SCRIPT = f"""
CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT g, g FROM generate_series(1, {ROWS}) AS g;
CREATE TABLE v (id int PRIMARY KEY, x int); INSERT INTO v VALUES (1, 1);
CREATE TABLE asks (r int REFERENCES t); CREATE TABLE follows (r int REFERENCES t ON DELETE CASCADE);
"""
LONG = "002_long"


def long_plan() -> Plan:
    steps = (
        backfill("UPDATE t SET a = -a WHERE a > 0"),
        sql_step("ALTER TABLE t ADD CHECK (a < 0)", "publish", 1),
    )
    back = "ALTER TABLE t DROP CONSTRAINT IF EXISTS t_a_check; UPDATE t SET a = -a WHERE a < 0"
    return replace(plan_from_sql("SELECT 1", back, version=LONG), steps=steps)


def short_plan(sql: str, back: str = "SELECT 1", version: str = "003_short") -> Plan:
    return plan_from_sql(sql, back, version=version)


ON_V = ("ALTER TABLE v ADD COLUMN y int", "ALTER TABLE v DROP COLUMN y")


class Lab:
    def __init__(self, database: Endpoint, make_database: MakeDatabase) -> None:
        self.database = database
        self._make, self._count = make_database, 0
        self.deadlines: set[float] = set()
        """Of the batches of the long one: for how long each would wait for a lock, in seconds."""

    def rehearsed(self, plan: Plan) -> EvidenceBundle:
        self._count += 1
        return rehearse(plan, self.database, self._make(f"twin{self._count}", script=SCRIPT))

    def begin(self, plan: Plan, bundle: EvidenceBundle) -> None:
        """Its first step, and no patience."""
        with Ledger(self.database) as ledger:
            name = plan.steps[0].name
            given: dict[str, Any] = {"endpoint": self.database, "ledger": ledger, "run": run_of(plan, plan.version)}
            apply.run_step(plan, name, evidence=bundle, target=self.target, deadline_seconds=2.0, **given)

    @property
    def target(self) -> Any:
        from tests.integration.stages import make_target

        return make_target()

    @contextmanager
    def in_batches(self, monkeypatch: pytest.MonkeyPatch, plan: Plan, bundle: EvidenceBundle) -> Iterator[Any]:
        """The long one in a thread, which stands between two batches until the block is over, but goes on looking."""
        go_on, there, errors = threading.Event(), threading.Event(), list[BaseException]()
        real = Work._batch

        def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
            self.deadlines.add(work.ctx.deadline_seconds)
            if first >= 4 and work.ctx.plan.version == LONG:
                there.set()
                while not go_on.wait(0.05):
                    work.look(at_once=True)
            return real(work, table, then, first)

        def work() -> None:
            try:
                apply_all(plan, self.database, bundle, run_id=LONG)
            except BaseException as exc:
                errors.append(exc)
            there.set()

        monkeypatch.setattr(Work, "_batch", batch)
        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert there.wait(60)
            assert not errors, errors
            yield errors
        finally:
            go_on.set()
            thread.join(120)
        assert not thread.is_alive()


@pytest.fixture
def lab(database: Endpoint, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 2)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 2)
    monkeypatch.setattr(apply, "GIVE_WAY_SECONDS", 1.0)
    monkeypatch.setattr(going_on, "TURN_SECONDS", 0.0)
    query(database, SCRIPT)
    return Lab(database, make_database)


def statuses(database: Endpoint) -> dict[str, str]:
    return dict(query(database, "SELECT version, status FROM migrator.schema_migrations"))


def test_another_one_begins_and_ends_beside_it(database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    host, guest = long_plan(), short_plan(*ON_V)
    host_bundle, guest_bundle = lab.rehearsed(host), lab.rehearsed(guest)
    with lab.in_batches(monkeypatch, host, host_bundle) as errors:
        apply_all(guest, database, guest_bundle, run_id="guest")
        verify_it(guest, database, guest_bundle, run_id="guest")
        assert statuses(database) == {LONG: "running", guest.version: "success"}
    assert not errors, errors
    verify_it(host, database, host_bundle, run_id=LONG)
    assert statuses(database) == {LONG: "success", guest.version: "success"}
    assert query(database, "SELECT count(*) FROM t WHERE a = -id") == [(ROWS,)]
    with Ledger(database) as ledger:
        assert not ledger.verify_chain()
        assert lab.deadlines == {600.0}, "it waits for the other one as long as that takes, and for no row"
        (again, *_) = [event for event in ledger.events(LONG) if event.kind == "rests"]
        assert again.detail["step"] == "fill"


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD COLUMN y int",
        "UPDATE t SET a = 3 WHERE id = 1",
        "CREATE TABLE public.child (r int REFERENCES t)",
        "CREATE INDEX ON follows (r)",
        "CREATE TYPE public.mood AS ENUM ('good')",
        "DO $$ BEGIN EXECUTE 'UPDATE v SET x = 2'; END $$",
    ],
)
def test_what_touches_the_same_waits_as_ever(
    database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    host, guest = long_plan(), short_plan(sql)
    host_bundle, guest_bundle = lab.rehearsed(host), lab.rehearsed(guest)
    with lab.in_batches(monkeypatch, host, host_bundle), pytest.raises(HeldByOther):
        lab.begin(guest, guest_bundle)
    assert row_of(guest, database) is None


def test_a_table_that_only_asks_for_its_keys_is_free(
    database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, guest = long_plan(), short_plan("CREATE INDEX asks_r ON asks (r)", "DROP INDEX asks_r")
    host_bundle, guest_bundle = lab.rehearsed(host), lab.rehearsed(guest)
    with lab.in_batches(monkeypatch, host, host_bundle) as errors:
        lab.begin(guest, guest_bundle)
        verify_it(guest, database, guest_bundle, run_id=guest.version)
    assert not errors, errors


def test_it_waits_with_its_next_step_while_another_one_is_at_work(
    database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, guest = long_plan(), short_plan(*ON_V)
    host_bundle, guest_bundle = lab.rehearsed(host), lab.rehearsed(guest)
    with lab.in_batches(monkeypatch, host, host_bundle) as errors:
        lab.begin(guest, guest_bundle)  # and is not verified
    (busy,) = errors
    assert isinstance(busy, PreflightBusy)
    assert f"step 'publish' waits, what comes before it is applied: {guest.version} is being applied" in str(busy)
    assert busy.fields["begun"]
    verify_it(guest, database, guest_bundle, run_id=guest.version)
    apply_all(host, database, host_bundle, run_id=LONG)
    verify_it(host, database, host_bundle, run_id=LONG)


def test_whoever_asks_all_the_time_does_not_keep_it_from_working(
    database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three with long work one always asks; and any role may take an advisory lock."""
    monkeypatch.setattr(going_on, "TURN_SECONDS", 0.3)
    monkeypatch.setattr(apply, "GIVE_WAY_SECONDS", 0.1)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)
    plan, handle = replace(long_plan(), steps=(backfill("UPDATE t SET a = -a WHERE a > 0", pause_ms=50),)), StepHandle()
    bundle = lab.rehearsed(plan)
    with session.connect(database, purpose="observe") as conn, ThreadPoolExecutor(1) as pool:
        conn.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (locking.lock_key(conn) ^ 1,))
        applied = pool.submit(apply_all, plan, database, bundle, run_id=LONG, handle=handle)
        try:
            applied.result(timeout=40)
        finally:
            handle.cancel()
    with Ledger(database) as ledger:
        attempts = [event for event in ledger.events(LONG) if event.kind == "step_started"]
    assert len(attempts) > 1, "it has made way all the same"


def test_two_that_begin_beside_it_exclude_each_other(
    database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, one = long_plan(), short_plan(*ON_V)
    other = short_plan("CREATE TABLE public.w (id int)", "DROP TABLE public.w", "004_other")
    bundles = [lab.rehearsed(plan) for plan in (host, one, other)]
    with lab.in_batches(monkeypatch, host, bundles[0]):
        lab.begin(one, bundles[1])
        with pytest.raises(HeldByOther, match=one.version):
            lab.begin(other, bundles[2])


def test_each_is_undone_by_itself(database: Endpoint, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    host, guest = long_plan(), short_plan(*ON_V)
    host_bundle, guest_bundle = lab.rehearsed(host), lab.rehearsed(guest)
    with lab.in_batches(monkeypatch, host, host_bundle) as errors:
        apply_all(guest, database, guest_bundle, run_id="guest")
        assert roll_back(guest, database, guest_bundle, run_id="guest").schema_equal
        apply_all(guest, database, guest_bundle, run_id="again")
        verify_it(guest, database, guest_bundle, run_id="again")
    assert not errors, errors
    report = roll_back(host, database, host_bundle, run_id=LONG)
    assert (report.action, report.schema_equal) == ("rolled_back", True)
    assert query(database, "SELECT count(*) FROM t WHERE a = id") == [(ROWS,)]
    assert statuses(database) == {LONG: "rolled_back", guest.version: "success"}


def test_what_a_resting_one_undoes_is_no_fault_of_another(
    database: Endpoint, lab: Lab, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between apply and verify of the other one; what nobody has written down is still found."""
    first = "ALTER TABLE t ADD COLUMN b int"
    last = sql_step("ALTER TABLE t ADD CHECK (b > 0)", "publish", 2)
    steps = (sql_step(first, "expand", 1), backfill("UPDATE t SET b = a WHERE b IS NULL"), last)
    host = replace(long_plan(), steps=steps)
    host = replace(host, rollback_steps=short_plan(first, "ALTER TABLE t DROP COLUMN IF EXISTS b").rollback_steps)
    guest = replace(
        short_plan(*ON_V), steps=(*short_plan(*ON_V).steps, sql_step("CREATE INDEX v_y ON v (y)", "two", 2))
    )
    host_bundle = lab.rehearsed(host)
    with lab.in_batches(monkeypatch, host, host_bundle):
        guest_bundle = rehearse(guest, database, make_database("beside", script=f"{SCRIPT};{first}"))
        lab.begin(guest, guest_bundle)
    assert roll_back(host, database, host_bundle, run_id=LONG).action == "rolled_back"
    assert query(database, "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b'") == []
    apply_all(guest, database, guest_bundle, run_id=guest.version)
    query(database, "ALTER TABLE v ADD COLUMN z int")
    with pytest.raises(VerifyFailed, match=r"not rehearsed: . column public\.v\."):
        verify_it(guest, database, guest_bundle, run_id=guest.version)
    query(database, "ALTER TABLE v DROP COLUMN z")
    report = verify_it(guest, database, guest_bundle, run_id=guest.version)
    (others,) = [one for one in report.checks if one.name == "others"]
    assert f"{LONG} has undone" in others.detail
    assert "column public.t.b" in others.detail
    assert statuses(database) == {LONG: "rolled_back", guest.version: "success"}
    back = roll_back(guest, database, guest_bundle, run_id=guest.version, force=True)
    assert (back.action, back.schema_equal) == ("rolled_back", True)
