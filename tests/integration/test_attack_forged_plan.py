"""An operator who may write a run's documents and its XCom has another text applied than the reviewers are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from airflow_migrator.storage.evidence_store import EvidenceStore
from migrator import documents
from migrator.database.session import Endpoint
from migrator.evidence import DryRunEvidence
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan, Risk
from migrator.reports.review_card import card
from migrator.stages import analyze
from tests.evidence import rehearse
from tests.factories import NOW, plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, run_of, verify_it
from tests.integration.test_apply import REVIEWED, answer, folder, loaded  # noqa: F401

EVIL = "CREATE TABLE thing (id bigint PRIMARY KEY, name text); GRANT ALL ON thing TO PUBLIC; DELETE FROM salaries;"
SCRIPT = "CREATE TABLE salaries (id int); INSERT INTO salaries VALUES (1);"


def forge(honest: Plan, **over: object) -> Plan:
    """The document that analyze left, edited: other statements below the same files and digests of files."""
    evil = plan_from_sql(EVIL, "DROP TABLE thing;")
    return replace(honest, steps=evil.steps, **over)  # type: ignore[arg-type]


def stored(tmp_path: Path, forged: Plan, honest: Plan) -> Plan:
    """As the operators read it: document and XCom both edited by whoever may edit files and XCom."""
    store = EvidenceStore(str(tmp_path / "evidence"), "test", "001_test", "run-1")
    xcom = store.put("analyze", honest)
    Path(xcom["uri"].removeprefix("file://")).write_text(documents.canonical_json(forged) + "\n")
    xcom["digest"] = documents.digest(forged)
    return store.own(xcom, Plan, stage="analyze")


def test_reviewers_approve_what_they_are_not_shown(
    database: Endpoint, make_database: MakeDatabase, folder: Path, tmp_path: Path  # noqa: F811
) -> None:
    for sql in SCRIPT.split(";")[:-1]:
        query(database, sql)
    honest = analyze.analyze(loaded(folder), target=make_target(), clock=lambda: NOW)
    plan = stored(tmp_path, forge(honest), honest)
    bundle = rehearse(plan, database, make_database("twin", script=SCRIPT))
    shown = card(plan, bundle)
    assert "DELETE FROM salaries" not in shown
    assert "GRANT ALL" not in shown
    assert "CREATE TABLE thing" in shown
    target = make_target(**REVIEWED)
    for who in ("ann", "bob"):
        answer(plan, bundle, database, who, target, "approved")
    apply_all(plan, database, bundle, target=target, migration=loaded(folder))
    verify_it(plan, database, bundle)
    assert query(database, "SELECT count(*) FROM salaries") == [(0,)], "nobody has reviewed that"


def test_risk_is_believed_so_nobody_is_asked(
    database: Endpoint, make_database: MakeDatabase, folder: Path, tmp_path: Path  # noqa: F811
) -> None:
    """Where low risk needs no review (staging as shipped): a document that says low, with any statements."""
    for sql in SCRIPT.split(";")[:-1]:
        query(database, sql)
    honest = analyze.analyze(loaded(folder), target=make_target(), clock=lambda: NOW)
    plan = stored(tmp_path, forge(replace(honest, risk=Risk.HIGH), risk=Risk.LOW, findings=()), honest)
    bundle = rehearse(plan, database, make_database("twin", script=SCRIPT))
    target = make_target(**{**REVIEWED, "reviews": {Risk.LOW: 0, Risk.MEDIUM: 2, Risk.HIGH: 2}})
    apply_all(plan, database, bundle, target=target, migration=loaded(folder))
    assert query(database, "SELECT count(*) FROM salaries") == [(0,)]


def test_the_author_takes_himself_out(
    database: Endpoint, make_database: MakeDatabase, folder: Path, tmp_path: Path  # noqa: F811
) -> None:
    """Authors, also sealed ones and whoever started the run, are believed from the document."""
    for sql in SCRIPT.split(";")[:-1]:
        query(database, sql)
    honest = analyze.analyze(loaded(folder), target=make_target(), clock=lambda: NOW)
    plan = stored(tmp_path, replace(honest, author="nobody@example.com", authors=()), honest)
    bundle = rehearse(plan, database, make_database("twin", script=SCRIPT))
    target = make_target(**{**REVIEWED, "reviews": {risk: 1 for risk in Risk}})
    answer(plan, bundle, database, "author", target, "approved")
    apply_all(plan, database, bundle, target=target, migration=loaded(folder))
    assert query(database, "SELECT to_regclass('thing')") == [("thing",)]


def test_the_proof_is_made_up(
    database: Endpoint, make_database: MakeDatabase, folder: Path, tmp_path: Path  # noqa: F811
) -> None:
    """A dry run that never was: the document says passed, and the card shows it as proved."""
    honest = analyze.analyze(loaded(folder), target=make_target(), clock=lambda: NOW)
    bundle = rehearse(honest, database, make_database("twin"))
    store = EvidenceStore(str(tmp_path / "evidence"), "test", "001_test", "run-1")
    failed = replace(bundle.dry_run, checks=(), verdict=bundle.dry_run.verdict, seconds=0.001)
    xcom = store.put("dry_run", failed)
    made_up = documents.to_dict(bundle.dry_run)
    Path(xcom["uri"].removeprefix("file://")).write_text(json.dumps(made_up))
    xcom["digest"] = documents.digest(made_up)
    assert store.own(xcom, DryRunEvidence, stage="dry_run").verdict == "passed"
