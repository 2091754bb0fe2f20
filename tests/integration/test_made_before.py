"""What a migration does to relations that it has made in an earlier transaction was predicted, and nothing else."""

from __future__ import annotations

import psycopg
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.plan_steps import steps_of_file
from migrator.database.session import Endpoint, connect
from migrator.evidence import StatementTrace
from migrator.facts.query import collect_facts
from migrator.ledger.ledger import Ledger
from migrator.parsing.statements import parse
from migrator.plan import Plan, Step
from migrator.rehearsal.comparison import unpredicted_writes
from migrator.rehearsal.observer import Observer
from migrator.run import RunContext
from migrator.steps import execution, undo
from migrator.steps.context import StepContext
from tests.factories import plan_from_sql

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, email text);
CREATE TABLE orders (id bigint PRIMARY KEY, total int);
INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 9) AS g;
INSERT INTO orders SELECT g, g FROM generate_series(1, 9) AS g;
"""


@pytest.fixture
def filled(database: Endpoint) -> Endpoint:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(SCHEMA.encode())
    return database


def plan_of(files: tuple[str, ...], down: str, endpoint: Endpoint, transaction: bool | None) -> Plan:
    """A step a file."""
    parsed = tuple(parse(sql, file=f"{i}.sql") for i, sql in enumerate(files))
    rollback = parse(down, file="rollback.sql")
    with connect(endpoint, purpose="observe") as conn:
        facts = collect_facts(conn, [*parsed, rollback])
    found = inspect(Sources(parsed, rollback=rollback, transaction=transaction), Known(facts=facts))
    steps: list[Step] = []
    for file in parsed:
        (made,) = steps_of_file(file, transaction=transaction, effects=found.effects)
        steps.append(Step(file.file, made.kind, made.transactional, made.statements))
    undone = steps_of_file(rollback, effects=found.effects)
    over = {"steps": tuple(steps), "rollback_steps": undone, "findings": found.findings}
    return plan_from_sql("SELECT 1", "SELECT 1", facts=facts, **over)


def observed(plan: Plan, endpoint: Endpoint) -> tuple[list[StatementTrace], list[StatementTrace]]:
    """Apply and rollback."""
    run = RunContext(run_id="run-1", version=plan.version, target=plan.target, actor="tester")
    found = []
    with Ledger(endpoint) as ledger:
        ledger.install()
        ledger.begin(plan, run=run)
        for back in (False, True):
            with Observer(endpoint, version=plan.version) as observer:
                ctx = StepContext(endpoint=endpoint, ledger=ledger, plan=plan, run=run, tracer=observer)
                if back:
                    undo.execute(ctx, reason="a test")
                else:
                    for step in plan.steps:
                        execution.run(step, ctx)
                found.append(list(observer.traces))
    return found[0], found[1]


FILL = "INSERT INTO emails SELECT id, email FROM users;"
EMAILS = "CREATE TABLE emails (user_id bigint PRIMARY KEY, email text);"


@pytest.mark.parametrize(
    "files, transaction, down",
    [
        ((EMAILS, FILL), None, "DROP TABLE emails;"),
        ((EMAILS + FILL,), False, "DROP TABLE emails;"),
        ((EMAILS + FILL,), None, "DROP TABLE emails;"),
        (("CREATE INDEX CONCURRENTLY by_email ON users (email);" + EMAILS + FILL,), None, "DROP TABLE emails;"),
        (("SELECT * INTO old FROM users; UPDATE old SET email = '';",), False, "DROP TABLE old;"),
        (
            (
                "CREATE TABLE parted (id bigint) PARTITION BY RANGE (id);"
                "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);",
                "INSERT INTO parted SELECT id FROM users;",
            ),
            None,
            "DROP TABLE parted;",
        ),
        (
            (
                "CREATE SCHEMA app CREATE TABLE emails (user_id bigint PRIMARY KEY, email text);",
                "INSERT INTO app.emails SELECT id, email FROM users;",
            ),
            None,
            "DROP TABLE app.emails; DROP SCHEMA app;",
        ),
        (
            (
                "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM users WITH NO DATA;",
                "REFRESH MATERIALIZED VIEW counted;",
            ),
            None,
            "DROP MATERIALIZED VIEW counted;",
        ),
        (
            (
                "CREATE TABLE archive (LIKE orders);"
                "WITH gone AS (DELETE FROM orders WHERE id < 5 RETURNING *) INSERT INTO archive SELECT * FROM gone;",
            ),
            None,
            "WITH gone AS (DELETE FROM archive RETURNING *) INSERT INTO orders SELECT * FROM gone; DROP TABLE archive;",
        ),
        ((EMAILS, "ALTER TABLE emails RENAME TO mails;", FILL.replace("emails", "mails")), None, "DROP TABLE mails;"),
        ((EMAILS, "CREATE INDEX by_email ON emails (email);", FILL), None, "DROP INDEX by_email; DROP TABLE emails;"),
        (
            (EMAILS, "ALTER TABLE emails ADD COLUMN n bigint DEFAULT 7, ALTER user_id TYPE numeric;"),
            None,
            "DROP TABLE emails;",
        ),
        (
            (EMAILS, "ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES emails NOT VALID;"),
            None,
            "DROP TABLE emails CASCADE;",
        ),
        ((EMAILS, "DROP TABLE emails;" + EMAILS + FILL), None, "DROP TABLE emails;"),
        ((EMAILS, "TRUNCATE emails;"), None, "DROP TABLE IF EXISTS emails;"),
        (("CREATE TABLE n (id serial PRIMARY KEY, v int);", "INSERT INTO n (v) VALUES (1);"), None, "DROP TABLE n;"),
        (("CREATE VIEW seen AS SELECT * FROM users;", "UPDATE seen SET email = '';"), None, "DROP VIEW seen;"),
        (("CREATE TEMP TABLE t AS SELECT * FROM users; DELETE FROM t;", "SELECT 1;"), None, "SELECT 1;"),
        (
            (
                EMAILS + "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN INSERT INTO emails VALUES (NEW.id); RETURN NEW; END';"
                "CREATE TRIGGER log AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION log();",
                "INSERT INTO orders VALUES (100, 1);",
            ),
            None,
            "DELETE FROM orders WHERE id = 100; DROP TRIGGER log ON orders; DROP FUNCTION log(); DROP TABLE emails;",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_it_was_predicted(filled: Endpoint, files: tuple[str, ...], transaction: bool | None, down: str) -> None:
    done, undone = observed(plan_of(files, down, filled, transaction), filled)
    traces = [*done, *undone]
    assert {trace.sql: unpredicted_writes(trace) for trace in traces if unpredicted_writes(trace)} == {}
    assert {trace.sql: trace.differences for trace in traces if trace.differences} == {}
