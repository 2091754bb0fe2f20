"""What analyze asks the target's past: is it known, does the catalogue still have it, is it the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_catalogue
from migrator.database.session import Endpoint
from migrator.errors import BaselineMissing, Refused, ReviewMissing, StatementFailed
from migrator.gates import reviews
from migrator.history import applied as history
from migrator.history.baseline import adopt
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import analyze
from tests.integration.stages import apply_all, make_target, query, verify_it

RUN = RunContext(run_id="run-1", version="001_one", target="test", actor="tester")
REVIEWERS = {"ann": "ann@example.com", "bob": "bob@example.com"}


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    for version in ("001_one", "002_two"):
        folder = tmp_path / "2025" / version
        folder.mkdir(parents=True)
        (folder / "migration-metadata.yaml").write_text(
            f"version: {version}\ndescription: a test\nauthor: author@example.com\nrisk_level: high\n"
            "estimated_duration: 1 minute\nrollback_available: true\n"
        )
        (folder / f"{version}.sql").write_text(f"CREATE TABLE t_{version} (id bigint);\n")
        (folder / f"{version}_rollback.sql").write_text(f"DROP TABLE t_{version};\n")
    return tmp_path


def analysed(
    migrations: Path,
    endpoint: Endpoint,
    version: str = "001_one",
    *,
    reviewers: Mapping[str, str] = REVIEWERS,
    **over: object,
) -> Plan:
    catalogue = load_catalogue(migrations)
    with Ledger(endpoint) as ledger:
        return analyze.run_analyze(
            catalogue.require(version),
            target=make_target(reviewers=reviewers),
            catalogue=catalogue,
            endpoint=endpoint,
            ledger=ledger,
            run=RUN,
            **over,
        )


def test_an_empty_database_needs_no_baseline(database: Endpoint, migrations: Path) -> None:
    assert not analysed(migrations, database).already_applied


def test_objects_without_a_history_are_refused(database: Endpoint, migrations: Path) -> None:
    query(database, "CREATE TABLE by_hand (id bigint)")
    with pytest.raises(BaselineMissing, match=r"by_hand.*migrator baseline"):
        analysed(migrations, database)
    with Ledger(database) as ledger:
        adopt(database, ledger, run=RUN, reason="looked")
    assert not analysed(migrations, database).already_applied


def test_what_the_runbooks_table_knows_is_not_applied_again(database: Endpoint, migrations: Path) -> None:
    query(database, "CREATE TABLE public.schema_migrations (version text)")
    query(database, "INSERT INTO public.schema_migrations VALUES ('001_one')")
    with pytest.raises(BaselineMissing, match="1 version"):
        analysed(migrations, database)
    with Ledger(database) as ledger:
        adopt(database, ledger, run=RUN, reason="looked")
    assert analysed(migrations, database).already_applied, "also when nobody knows with which content"


def test_files_that_are_gone_are_told(database: Endpoint, migrations: Path) -> None:
    plan = analysed(migrations, database)
    apply_all(plan, database, run=RUN)
    verify_it(plan, database)
    assert [one.rule for one in analysed(migrations, database, "002_two").findings if "missing" in one.rule] == []
    shutil.rmtree(migrations / "2025" / "001_one")
    late = analysed(migrations, database, "002_two")
    (finding,) = [one for one in late.findings if one.rule == history.RULE]
    assert "'001_one'" in finding.message
    assert reviews.required(make_target(), late) == 1, "a person has to let it pass"
    with pytest.raises(ReviewMissing):
        apply_all(late, database, run=replace(RUN, version="002_two"))
    with pytest.raises(Refused, match="name reviewers"):
        analysed(migrations, database, "002_two", reviewers={})


def test_an_emergency_is_part_of_the_plan(database: Endpoint, migrations: Path) -> None:
    urgent = analysed(migrations, database, emergency="the disk\nfills up")
    assert urgent.emergency == "the disk fills up"
    assert urgent.digest != analysed(migrations, database).digest
    with pytest.raises(Refused, match="needs a reason"):
        analysed(migrations, database, emergency=" ")


def test_what_is_applied_in_part_may_go_on(database: Endpoint, migrations: Path) -> None:
    """Its own first statement is there already, which is no reason to refuse the rest."""
    script = migrations / "2025" / "001_one" / "001_one.sql"
    script.write_text("CREATE TABLE t_001_one (id bigint);\nVACUUM;\nSELECT 1 / (SELECT count(*) FROM t_001_one);\n")
    plan = analysed(migrations, database)
    with pytest.raises(StatementFailed, match="division by zero"):
        apply_all(plan, database, run=RUN)
    with Ledger(database) as ledger:
        ledger.repair(plan.version, status="failed", run=RUN, reason="looked")
    query(database, "INSERT INTO t_001_one VALUES (1)")
    again = analysed(migrations, database)
    assert "may-fail" in {one.rule for one in again.findings}, "it is still told"
    apply_all(again, database, run=replace(RUN, run_id="run-2"))
    verify_it(again, database, run_id="run-2")
