"""The shipped migrations through every stage that touches a database, one after the other, on two real servers."""

from __future__ import annotations

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from migrator.catalogue.catalogue import load_catalogue
from migrator.database.session import Endpoint
from migrator.evidence import TRAFFIC, EvidenceBundle, Verdict
from migrator.ledger.ledger import Ledger
from migrator.run import RunContext
from migrator.stages import analyze, dry_run, restore_test, snapshot
from tests.factories import NOW
from tests.integration.stages import apply_all, make_target, query, row_of, verify_it

VERSIONS = (
    "000_initial_schema",
    "001_add_analytics_tables",
    "002_messages_analytics_processed",
    "003_index_messages_tenant_created",
    "005_add_jsonb_columns",
)
LASTING = VERSIONS[2:]
SEED = """
INSERT INTO tenants (name, slug) SELECT 't' || g, 't' || g FROM generate_series(1, 5) AS g;
INSERT INTO contacts (tenant_id, phone) SELECT 1 + g % 5, '+' || (100000 + g) FROM generate_series(1, 100) AS g;
INSERT INTO messages (tenant_id, contact_id, direction, body)
SELECT 1 + g % 5, 1 + g % 100, 'inbound', 'm' || g FROM generate_series(1, 5000) AS g;
"""


def test_rehearsed_applied_and_verified(database: Endpoint, copies: Endpoint, tmp_path: Path, repository: Path) -> None:
    """Production belongs to one role and the copy to another; the ledger in the copy is production's."""
    assert conninfo_to_dict(database.conninfo)["user"] != conninfo_to_dict(copies.conninfo)["user"]
    catalogue = load_catalogue(repository / "migrations")
    target = make_target(storage=str(tmp_path / "snapshots"))
    for number, version in enumerate(VERSIONS):
        run = RunContext(run_id=f"run-{number}", version=version, target="test", actor="tester", clock=lambda: NOW)
        with Ledger(database) as ledger:
            plan = analyze.run_analyze(
                catalogue.require(version),
                target=target,
                catalogue=catalogue,
                endpoint=database,
                ledger=ledger,
                run=run,
            )
        record = snapshot.run(plan, endpoint=database, target=target, run=run)
        restore = restore_test.run(record, copies=copies, target=target, run=run)
        evidence = dry_run.run(plan, record, restore, copies=copies, run=run)
        assert evidence.verdict is Verdict.PASSED
        assert evidence.extra["surprises"] == [], "the analysis has predicted every lock"
        assert (TRAFFIC in evidence.extra) == (version in LASTING)
        for part in evidence.extra.get(TRAFFIC, {}).get("parts", ()):
            assert part["writes"]
            assert part["lacking"] == ""
        assert not evidence.extra.get(TRAFFIC, {}).get("refused"), "the application of today goes on beside it"
        bundle = EvidenceBundle(record, restore, evidence)
        apply_all(plan, database, bundle, run_id=run.run_id)
        verified = verify_it(plan, database, bundle, run_id=run.run_id)
        assert {check.name: check.verdict for check in verified.checks}["schema"] is Verdict.PASSED
        row = row_of(plan, database)
        assert row is not None
        assert row.status == "success"
        restore_test.drop_copy(restore, copies=copies, run=run)
        if number == 0:
            query(database, SEED)
    assert query(copies, "SELECT datname FROM pg_database WHERE NOT datistemplate") == [("postgres",)]
