"""Case 15: long work under the scheduler: what a person asks of it at the command line, and who works beside it."""

from __future__ import annotations

from typing import Any

from migrator.cli import main
from tests.acceptance.case import Case, Gate, Run, wait_until
from tests.acceptance.specs import ADD_TABLE, FILL, GATE, NUMBERS, PATIENT, Files, scenario
from tests.acceptance.test_04_killed import expect_gone

SLOWLY = {"batch_ms": 10, "pause_ms": 500}
"""Some fifty batches."""
FILLED = Files(
    sql=NUMBERS,
    rollback="DROP TABLE numbers;\n",
    metadata={
        **PATIENT,
        "on_failure": "hold",
        "steps": [
            {"name": "make", "kind": "sql"},
            {"name": "gate", "kind": "sql", "file": "gate.sql"},
            {"name": "fill", "kind": "backfill", "file": "fill.sql", **SLOWLY, "pause_ms": 900, "workers": 2},
        ],
    },
    more={"gate.sql": GATE, "fill.sql": FILL},
)
STEP = (
    "SELECT status, rows_done, cursor -> 'waiting' ->> 'name', backend_pid FROM migrator.schema_migration_steps"
    " WHERE version = %s AND step = 'fill'"
)

STOPPED = ("somebody stopped this step", "stopped from outside", "somebody has ended this session")
"""The task's own signal, or the rollback that ends the session of a task that is marked: whichever comes first."""


def ask(case: Case, name: str, command: str, *options: str) -> None:
    """As the person on call types it."""
    given = ("--dsn", case.laboratory.uri(case), "--actor", "carol", "--reason", "the disk is slow")
    assert main([command, case.version(name), *given, *options]) == 0


def step(case: Case, name: str = "") -> tuple[Any, ...]:
    """status, rows_done, what it waits for, backend"""
    (row,) = case.query(STEP, case.version(name))
    return row


def filled(case: Case, table: str = "numbers") -> int:
    return int(case.value(f"SELECT count(*) FROM {table} WHERE done"))


def until_more(run: Run, than: int) -> None:
    case = run.case

    def there() -> bool:
        return bool(filled(case) > than) or case.is_over()

    wait_until(there, what=lambda: f"more rows than {than}: {case.diagnosis()}", every=0.1)
    assert filled(case) > than, case.diagnosis()


@scenario(slow=True, migrations={"": FILLED})
def test_paused_tuned_cancelled_and_gone_on(case: Case) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
    wait_until(lambda: case.value("SELECT to_regclass('numbers') IS NOT NULL"), what="the table", every=0.1)
    until_more(run, 0)

    ask(case, "", "pause")
    wait_until(lambda: step(case)[2] == "paused", what="the step to say that it is paused", every=0.1)
    before = filled(case)
    ask(case, "", "tune", "--pause-ms", "400", "--batch-ms", "12")
    wait_until(lambda: "batches of 12 ms, pauses of 400 ms" in run.log("apply.fill"), what="the log to tell")
    assert filled(case) == before, "paused is paused, whatever else is asked"
    assert run.states()["apply.fill"] == "running"
    ask(case, "", "resume")
    until_more(run, before)

    backend = step(case)[3]
    run.mark_task("apply.fill", "failed")
    expect_gone(case, backend)
    assert run.wait() == "failed"
    done = filled(case)
    assert 0 < done < 20_000
    assert step(case)[1] == done, "what the ledger says is what is committed"
    row = case.row()
    assert row is not None
    assert row.status == "failed"
    log = run.log("apply.fill")
    assert any(words in log for words in STOPPED), log[-2000:]
    assert "'make', 'gate', 'fill' stay applied" in run.log("outcome")

    run.clear("apply.fill", downstream=True)
    until_more(run, done)
    ask(case, "", "tune", "--pause-ms", "0")
    assert run.wait() == "success"
    case.expect_applied()
    assert case.query("SELECT times, count(*) FROM numbers WHERE done GROUP BY times") == [(1, 20_000)]


@scenario(slow=True, migrations={"fill": FILLED, "other": Files(sql=ADD_TABLE)})
def test_another_table_is_migrated_beside_long_work(case: Case) -> None:
    long = case.trigger("fill")
    with Gate(case) as gate:
        gate.wait_for_waiter()
    wait_until(lambda: case.value("SELECT to_regclass('numbers') IS NOT NULL"), what="the table", every=0.1)
    until_more(long, 0)
    ask(case, "fill", "tune", "--pause-ms", "2000")
    other = case.trigger("other")
    assert other.wait() == "success"
    assert case.row("other").verified_at is not None  # type: ignore[union-attr]
    assert step(case, "fill")[0] == "running"
    ask(case, "fill", "tune", "--pause-ms", "0")
    assert long.wait() == "success"
    assert "goes first" in long.log("apply.fill")
    case.expect_applied("other", others=("fill",))
    assert case.query("SELECT times, count(*) FROM numbers WHERE done GROUP BY times") == [(1, 20_000)]


LABELLED = Files(
    sql="ALTER TABLE messages ADD COLUMN done boolean;\n",
    rollback="ALTER TABLE messages DROP COLUMN done;\n",
    metadata={
        "steps": [
            {"name": "expand", "kind": "sql"},
            {"name": "fill", "kind": "backfill", "file": "fill.sql", **SLOWLY},
        ]
    },
    more={"fill.sql": "UPDATE messages SET done = true WHERE done IS NULL;\n"},
)


@scenario(
    slow=True,
    migrations={
        "fill": LABELLED,
        "other": Files(
            sql="ALTER TABLE messages ADD COLUMN note text;\n",
            rollback="ALTER TABLE messages DROP COLUMN note;\n",
        ),
    },
)
def test_two_that_share_a_table_begin_at_once(case: Case) -> None:
    """Whoever comes second changes nothing, is told who is in its way since when, and goes on when it is cleared."""
    runs = {name: case.trigger(name) for name in ("fill", "other")}
    ended = {name: run.wait() for name, run in runs.items()}
    assert "success" in ended.values()
    for name, state in ended.items():
        if state == "success":
            continue
        run = runs[name]
        (failed,) = [task for task, one in run.states().items() if one == "failed" and task != "outcome"]
        (other,) = set(runs) - {name}
        assert case.version(other)[:30] in run.log(failed)
        assert case.row(name) is None
        run.clear("snapshot", downstream=True)
        assert run.wait() == "success"
    first, second = sorted(runs, key=lambda name: case.row(name).started_at)  # type: ignore[union-attr,arg-type,return-value]
    case.expect_applied(second, others=(first,))
    assert case.value("SELECT count(*) FROM messages WHERE NOT done OR done IS NULL") == 0
