"""Who may read what a migration makes, by the target's default privileges, which are not in force on its copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.evidence import EvidenceBundle
from migrator.reports.review_card import card
from migrator.stages import dry_run, restore_test, snapshot
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, make_target, query, run_of, verify_it

READER = "app_readonly"
SCRIPT = """
CREATE TABLE secret (id int, card text); INSERT INTO secret VALUES (1, '4111');
GRANT USAGE ON SCHEMA public TO {who};
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {who};
"""
MADE = {
    "table": ("CREATE TABLE a_copy AS SELECT * FROM secret;", "DROP TABLE a_copy;", "a_copy"),
    "view": ("CREATE VIEW seen AS SELECT * FROM secret;", "DROP VIEW seen;", "seen"),
    "rebuilt": (
        "CREATE TABLE n AS SELECT * FROM secret; DROP TABLE secret; ALTER TABLE n RENAME TO secret;",
        "SELECT 1;",
        "secret",
    ),
}


@pytest.fixture(autouse=True)
def reader(server: Server) -> Iterator[None]:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {READER}")
    yield
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        for (name,) in conn.execute("SELECT datname FROM pg_database WHERE datname ~ '^real_'").fetchall():
            conn.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))
        conn.execute(f"DROP ROLE {READER}")


@pytest.mark.parametrize("who", [READER, "PUBLIC"])
@pytest.mark.parametrize("name", MADE)
def test_the_card_tells_them(
    make_database: Callable[..., Endpoint], copies: Endpoint, tmp_path: Path, name: str, who: str
) -> None:
    up, down, made = MADE[name]
    database = make_database("real", script=SCRIPT.format(who=who))
    plan, target = plan_from_sql(up, down), make_target(storage=str(tmp_path))
    record = snapshot.run(plan, endpoint=database, target=target, run=run_of(plan))
    restore = restore_test.run(record, copies=copies, target=target, run=run_of(plan))
    dry = dry_run.run(plan, record, restore, copies=copies, run=run_of(plan))
    bundle = EvidenceBundle(record, restore, dry)
    assert f"{who} may now select from public.{made}" in dry.extra["privileges"]
    assert f"{who} may now select from public.{made}".replace("_", r"\_") in card(plan, bundle).replace(r"\.", ".")
    apply_all(plan, database, bundle)
    if name != "rebuilt":
        verify_it(plan, database, bundle)
    assert query(database, f"SELECT has_table_privilege('{READER}', 'public.{made}', 'SELECT')") == [(True,)]
