"""No name of the engine's is captured: whoever may create functions cannot have them run as the migrator.

Two databases are full of twins of pg_catalog's functions and operators (`twins`): in one their schema comes first in
the search path, in the other behind pg_catalog, for arguments that the engine's queries pass only after a conversion.
The whole pipeline and the command line go through both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_catalogue
from migrator.cli import main
from migrator.database.session import Endpoint, connect
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.evidence import EvidenceBundle
from migrator.facts.query import collect_facts
from migrator.history import baseline
from migrator.ledger.ledger import Ledger
from migrator.operations import reconcile
from migrator.operations.reconcile import RunState
from migrator.parsing.statements import parse
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import analyze, dry_run, preflight, restore_test, snapshot
from migrator.targets.targets import Target
from tests.factories import NOW, plan_from_sql
from tests.integration import twins
from tests.integration.conftest import RESTORER, MakeDatabase, _conninfo, _prepare, database_on, prepare_for_copies
from tests.integration.stages import apply_all, make_target, outcome_of, query, roll_back, verify_it

RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester", clock=lambda: NOW)
SHOP = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN short AS text;
CREATE TABLE public.users (
    id bigint PRIMARY KEY, email short, age integer, mood mood, joined timestamptz, tags text[], born date
);
CREATE TABLE public.old (id integer PRIMARY KEY, user_id bigint REFERENCES public.users (id));
CREATE TABLE public.parts (id bigint, place text) PARTITION BY LIST (place);
CREATE TABLE public.part_a PARTITION OF public.parts FOR VALUES IN ('a');
CREATE SEQUENCE public.numbers;
CREATE TABLE public.words (word short PRIMARY KEY);
CREATE TABLE public.days (day date, place int) PARTITION BY RANGE (day, place);
CREATE TABLE public.day_one (day date, place int);
INSERT INTO public.day_one VALUES ('2025-01-01', 3), ('2025-01-03', 3);
INSERT INTO public.users VALUES (1, 'a@example.com', 30, 'good', '2025-01-01', '{a,b}', '2000-01-01');
INSERT INTO public.old VALUES (1, 1);
INSERT INTO public.parts VALUES (1, 'a');
CREATE MATERIALIZED VIEW public.seen AS SELECT id, email FROM public.users;
"""
MIGRATION = """
ALTER TABLE users ADD COLUMN nickname text DEFAULT 'none';
ALTER TABLE users ALTER COLUMN email SET NOT NULL;
ALTER TABLE users ALTER COLUMN age TYPE bigint;
CREATE TABLE public.notes (id bigint PRIMARY KEY, user_id bigint, body text UNIQUE);
ALTER TABLE notes ADD CONSTRAINT notes_user FOREIGN KEY (user_id) REFERENCES users (id);
INSERT INTO notes VALUES (7, 1, 'x');
CREATE INDEX notes_by_user ON notes (user_id);
CREATE TABLE public.part_b PARTITION OF parts FOR VALUES IN ('b');
DROP TABLE old;
"""
ROLLBACK = """
CREATE TABLE public.old (id integer PRIMARY KEY, user_id bigint REFERENCES users (id));
DROP TABLE part_b;
DROP TABLE notes;
ALTER TABLE users ALTER COLUMN age TYPE integer;
ALTER TABLE users ALTER COLUMN email DROP NOT NULL;
ALTER TABLE users DROP COLUMN nickname;
"""
CHECKED = """
ALTER TABLE public.users ADD CONSTRAINT old_enough CHECK (age IS NOT NULL);
ALTER TABLE public.users ADD CONSTRAINT once UNIQUE (email);
ALTER TABLE public.users ALTER COLUMN tags TYPE text;
ALTER TABLE public.notes ADD CONSTRAINT again FOREIGN KEY (user_id) REFERENCES public.users (id);
ALTER TABLE public.notes ADD CONSTRAINT more FOREIGN KEY (body) REFERENCES public.words (word);
CREATE TABLE public.part_c PARTITION OF public.parts FOR VALUES IN ('c');
ALTER TABLE public.days ATTACH PARTITION public.day_one FOR VALUES FROM ('2025-01-01', 1) TO ('2025-01-02', 5);
"""
METADATA = """
version: 001_test
description: every kind of statement
author: author@example.com
risk_level: high
rollback_available: true
verify:
  - SELECT true
"""


@dataclass(frozen=True)
class Trapped:
    """A database full of twins, the server for its copies, and the migration; both servers are for this test alone."""

    server: Server
    endpoint: Endpoint
    copies_server: Server
    copies: Endpoint
    folder: Path
    target: Target

    def called(self) -> list[str]:
        return twins.called(self.server, self.copies_server)

    def analyzed(self) -> Plan:
        catalogue = load_catalogue(self.folder)
        (migration,) = catalogue.migrations
        with Ledger(self.endpoint) as ledger:
            return analyze.run_analyze(
                migration, target=self.target, catalogue=catalogue, endpoint=self.endpoint, ledger=ledger, run=RUN
            )

    def rehearsed(self, plan: Plan) -> EvidenceBundle:
        taken = snapshot.run(plan, endpoint=self.endpoint, target=self.target, run=RUN)
        restored = restore_test.run(taken, copies=self.copies, target=self.target, run=RUN)
        rehearsed = dry_run.run(plan, taken, restored, copies=self.copies, run=RUN)
        return EvidenceBundle(taken, restored, rehearsed)

    def checked(self, plan: Plan, bundle: EvidenceBundle) -> None:
        with Ledger(self.endpoint) as ledger:
            preflight.run_checks(
                plan, bundle, endpoint=self.endpoint, ledger=ledger, target=self.target, migration=None, run=RUN
            )


@pytest.fixture(params=["exact", "better"])
def trapped(request: pytest.FixtureRequest, programs: Programs, tmp_path: Path) -> Iterator[Trapped]:
    place = tmp_path / "2025" / "001_test"
    place.mkdir(parents=True)
    (place / "001_test.sql").write_text(MIGRATION)
    (place / "001_test_rollback.sql").write_text(ROLLBACK)
    (place / "migration-metadata.yaml").write_text(METADATA)
    with Server.temporary(programs=programs) as server, Server.temporary(programs=programs) as copies:
        _prepare(server)
        prepare_for_copies(copies)
        endpoint = database_on(server, "trapped", script=SHOP)
        if programs.major < 15:  # pg_dump 14 does not carry that nobody may: the restore's proof would find it
            query(endpoint, "GRANT CREATE ON SCHEMA public TO PUBLIC")
        if request.param == "exact":
            assert twins.set_exact(server.conninfo("trapped")) > 4000
            endpoint = replace(endpoint, search_path="trap, public, pg_catalog")
        else:
            assert twins.set_better(server.conninfo("trapped")) > 4000
        yield Trapped(
            server=server,
            endpoint=endpoint,
            copies_server=copies,
            copies=Endpoint(_conninfo(copies, "postgres", RESTORER), search_path=endpoint.search_path, name="copies"),
            folder=tmp_path,
            target=make_target(storage=str(tmp_path / "snapshots"), search_path=endpoint.search_path),
        )


def test_no_stage_calls_a_twin(
    trapped: Trapped, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = trapped.endpoint
    with Ledger(endpoint) as ledger:
        baseline.adopt(endpoint, ledger, run=RUN, reason="a test")
    assert trapped.called() == [], "baseline"
    plan = trapped.analyzed()
    assert trapped.called() == [], "analyze"
    bundle = trapped.rehearsed(plan)
    assert trapped.called() == [], "snapshot, restore_test, dry_run"
    trapped.checked(plan, bundle)
    apply_all(plan, endpoint, bundle)
    assert not verify_it(plan, endpoint, bundle).failed
    outcome_of(plan, endpoint)
    assert trapped.called() == [], "preflight, apply, verify, outcome"
    _one_by_one(trapped)
    _roll_back_and_repair(trapped)
    monkeypatch.chdir(trapped.folder)
    _command_line(trapped)
    found = capsys.readouterr().out
    assert "1 row of public.notes where (body) refers to no row of public.words" in found
    assert "1 row of public.day_one where the partition's bound does not admit it" in found


def _one_by_one(trapped: Trapped) -> None:
    """Statements that stand outside of a transaction, with what a second try looks for."""
    plan = plan_from_sql(
        "SET search_path = public; CREATE INDEX CONCURRENTLY by_age ON users (age); REINDEX INDEX CONCURRENTLY by_age;"
        " VACUUM users; CREATE INDEX CONCURRENTLY ON users (born);",
        "DROP INDEX CONCURRENTLY by_age;",
        version="002_index",
    )
    apply_all(plan, trapped.endpoint)
    assert not verify_it(plan, trapped.endpoint).failed
    assert query(trapped.endpoint, "SELECT pg_catalog.to_regclass('public.by_age')::pg_catalog.text") != [(None,)]
    assert trapped.called() == [], "one by one"


def _roll_back_and_repair(trapped: Trapped) -> None:
    endpoint = trapped.endpoint
    plan = plan_from_sql("CREATE TABLE public.more (id int);", "DROP TABLE public.more;", version="003_more")
    apply_all(plan, endpoint)
    roll_back(plan, endpoint, force=True)
    apply_all(plan, endpoint, run_id="run-2")
    with Ledger(endpoint) as ledger:
        reconcile.run(endpoint=endpoint, ledger=ledger, run=RUN, state_of=lambda row: RunState.GONE, sleep=_no_sleep)
        ledger.repair("003_more", status="rolled_back", run=RUN, reason="a test")
        assert ledger.verify_chain() == ()
    assert trapped.called() == [], "rollback, housekeeping, repair"


def _no_sleep(seconds: float) -> None: ...


def _command_line(trapped: Trapped) -> None:
    file = trapped.folder / "check.sql"
    file.write_text(CHECKED)
    dsn, folder = ["--dsn", trapped.endpoint.conninfo], ["--migrations", str(trapped.folder)]
    main(["analyze", str(file), *dsn, "--check-data"])
    main(["plan", "001_test", *folder, *dsn])
    for command in (["status"], ["ledger", "verify"]):
        main([*command, *folder, *dsn])
    assert trapped.called() == [], "command line"


def test_the_twin_that_was_found_first(make_database: MakeDatabase, tmp_path: Path) -> None:
    """The analysis of any migration called it."""
    endpoint = make_database(
        script="""
        CREATE TABLE t (id int);
        CREATE TABLE caught (by text);
        CREATE FUNCTION array_position(name[], name) RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO caught VALUES (current_user); RETURN 1; END $$;
        """
    )
    with connect(endpoint, purpose="observe") as conn:
        facts = collect_facts(conn, parse("ALTER TABLE t ADD COLUMN a int", file="f.sql"))
    assert facts.resolved == {"t": "public.t"}
    assert query(endpoint, "SELECT * FROM caught") == []
