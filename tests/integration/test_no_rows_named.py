"""Every kind of thing that has a name, a text or a number can be made of rows at run time: nothing tells of one."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator import documents
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import DriftDetected, DryRunFailed, LockNotAvailable, MigratorError
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.reports.review_card import card
from migrator.stages import apply
from migrator.steps import batches
from tests.evidence import make_bundle, read_schema
from tests.factories import plan_from_sql
from tests.factories_evidence import record_of, restore_of
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import COPY, make_copy, rehearse
from tests.integration.stages import apply_all, make_target, query, roll_back, run_of
from tests.integration.test_backfill import backfill
from tests.integration.test_between_steps import step
from tests.integration.test_no_rows_defined import do
from tests.integration.test_no_rows_told import CANARY, ROWS, require_no_row_in

NUMBER = 4111222233334444
SCRIPT = f"""
{ROWS}
CREATE TABLE secret (card bigint);
INSERT INTO secret VALUES ({NUMBER});
CREATE SEQUENCE s;
CREATE TABLE counted (id serial PRIMARY KEY, name text);
INSERT INTO counted (name) VALUES ('one');
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION g() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
"""


def of_number(text: str) -> str:
    """With the number of a row in the place of %1$s."""
    return f"DO $$ BEGIN EXECUTE format($f${text}$f$, (SELECT card FROM secret)); END $$"


MADE = {
    "a table and what is on it": do(
        "CREATE TABLE %1$I (%1$I int CONSTRAINT %1$I CHECK (%1$I > 0), b text UNIQUE DEFAULT %1$L CHECK (b <> %1$L))",
        "CREATE INDEX ON %1$I (%1$I) WHERE b = %1$L; CREATE INDEX i ON counted (name) WHERE name = %1$L",
        "CREATE TRIGGER %1$I BEFORE INSERT ON %1$I FOR EACH ROW EXECUTE FUNCTION nothing()",
        "CREATE POLICY %1$I ON %1$I USING (b = %1$L)",
        "CREATE RULE %1$I AS ON INSERT TO %1$I WHERE new.b = %1$L DO ALSO NOTHING",
        "CREATE STATISTICS %1$I ON %1$I, b FROM %1$I",
        "COMMENT ON COLUMN %1$I.%1$I IS %1$L; COMMENT ON TABLE %1$I IS %1$L; COMMENT ON INDEX i IS %1$L",
        "GRANT SELECT ON %1$I TO pg_monitor; GRANT UPDATE (%1$I) ON %1$I TO pg_monitor",
        "ALTER TABLE counted ADD CONSTRAINT %1$I FOREIGN KEY (name) REFERENCES users (email) NOT VALID",
    ),
    "other things": do(
        "CREATE SCHEMA %1$I; CREATE TABLE %1$I.%1$I (a int); GRANT USAGE ON SCHEMA %1$I TO PUBLIC",
        "CREATE TYPE %1$I AS ENUM (%1$L); CREATE TYPE c1 AS (%1$I int)",
        "CREATE DOMAIN d1 AS text DEFAULT %1$L CONSTRAINT %1$I CHECK (value <> %1$L); COMMENT ON DOMAIN d1 IS %1$L",
        "CREATE SCHEMA o; CREATE VIEW o.%1$I AS SELECT %1$L AS %1$I; GRANT SELECT ON o.%1$I TO PUBLIC",
        "CREATE MATERIALIZED VIEW o.m AS SELECT %1$L AS %1$I; CREATE SCHEMA o2; CREATE SEQUENCE o2.%1$I",
        "CREATE FUNCTION %1$I(%1$I text DEFAULT %1$L) RETURNS text LANGUAGE sql AS $g$SELECT '%1$s'$g$",
        "ALTER FUNCTION %1$I(text) SECURITY DEFINER; CREATE PUBLICATION %1$I FOR TABLE counted",
        "CREATE PROCEDURE o.%1$I(text) LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() SET my.setting TO %1$L",
        "CREATE AGGREGATE o.%1$I(int) (SFUNC = pg_catalog.int4pl, STYPE = int, INITCOND = 0)",
        "CREATE TABLE o.p PARTITION OF parts FOR VALUES IN (%1$L); CREATE TABLE o2.p (%1$I serial)",
        'CREATE COLLATION %1$I FROM "C"; CREATE TEXT SEARCH CONFIGURATION %1$I (COPY = pg_catalog.simple)',
        "CREATE OPERATOR FAMILY %1$I USING btree",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA %1$I GRANT SELECT ON TABLES TO PUBLIC",
        "SELECT lo_create(5); COMMENT ON LARGE OBJECT 5 IS %1$L",
    ),
    "other names": do(
        "GRANT SELECT (email) ON orders TO PUBLIC; ALTER TABLE orders RENAME email TO %1$I",
        "ALTER TABLE orders RENAME CONSTRAINT orders_pkey TO %1$I; ALTER TABLE orders RENAME id TO b",
        "ALTER TYPE mood RENAME VALUE 'good' TO %1$L; ALTER TYPE mood RENAME TO %1$I; ALTER DOMAIN short RENAME TO t1",
        "ALTER FUNCTION shout(text) RENAME TO %1$I; ALTER FUNCTION %1$I(text) SECURITY DEFINER",
        "CREATE SCHEMA o; ALTER TABLE secret SET SCHEMA o; ALTER TABLE o.secret RENAME TO %1$I",
        "GRANT DELETE ON o.%1$I TO PUBLIC; ALTER VIEW young RENAME TO o",
        "ALTER VIEW o SET (security_barrier); ALTER SEQUENCE s RENAME TO s1; ALTER TABLE counted RENAME TO s",
    ),
    "a sequence that falls behind": do("CREATE TABLE %1$I (%1$I serial PRIMARY KEY)", "INSERT INTO %1$I VALUES (5)"),
    "a sequence that is narrower": do(
        "CREATE SEQUENCE %1$I AS smallint; ALTER TABLE counted ALTER id SET DEFAULT nextval('\"%1$s\"')"
    ),
    "a function in a CHECK": do(
        "CREATE FUNCTION %1$I(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT count(*) > 0 FROM orders'",
        "ALTER TABLE users ADD CHECK (%1$I(id))",
    ),
    "a table with a function in a CHECK": do(
        "CREATE FUNCTION many(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0'",
        "CREATE TABLE %1$I AS SELECT 1 AS %1$I; ALTER TABLE %1$I ADD CHECK (many(%1$I))",
    ),
    "rows of a table": do("CREATE TABLE %1$I AS SELECT * FROM orders; UPDATE orders SET id = id + 1 WHERE id > 1"),
}
COUNTED = {
    "the largest value": "CREATE TABLE x (id bigserial PRIMARY KEY); INSERT INTO x SELECT card FROM secret",
    "the next value": "CREATE TABLE x (id bigserial PRIMARY KEY); INSERT INTO x SELECT card FROM secret;"
    "SELECT setval('x_id_seq', (SELECT card FROM secret), false)",
    "a sequence at its end": "; ".join(
        (
            "CREATE TABLE x (id bigserial PRIMARY KEY)",
            of_number("ALTER SEQUENCE x_id_seq MAXVALUE %1$s"),
            "SELECT setval('x_id_seq', (SELECT card FROM secret))",
        )
    ),
    "costs": "; ".join(map(of_number, ("ALTER FUNCTION f() COST %1$s", "ALTER FUNCTION g() ROWS %1$s"))),
    "a default": of_number("ALTER TABLE counted ALTER id SET DEFAULT %1$s"),
    "a sequence's limits": of_number("ALTER SEQUENCE s MAXVALUE %1$s START %1$s INCREMENT %1$s"),
    "an identity": of_number("CREATE TABLE x (id bigint GENERATED ALWAYS AS IDENTITY (START %1$s))"),
    "a bound": of_number(
        "CREATE TABLE y (a bigint) PARTITION BY LIST (a); CREATE TABLE z PARTITION OF y FOR VALUES IN (%1$s)"
    ),
    "a large object": of_number("SELECT lo_create((%1$s %% 1000000007)::oid)"),
}


def told_of(up: str, down: str, copies: Endpoint, caplog: pytest.LogCaptureFixture) -> str:
    """Card, evidence, error and log of the dry run."""
    caplog.set_level(logging.DEBUG)
    copy, plan = make_copy(copies, SCRIPT), plan_from_sql(up, down, expected_changes={})
    try:
        evidence, said = rehearse(plan, copies, copy), ""
    except DryRunFailed as exc:
        evidence, said = exc.evidence, str(exc)
    apply = next(check for check in evidence.checks if check.name == "apply")
    assert apply.verdict == "passed", apply.detail
    record = record_of(copy)
    shown = card(plan, EvidenceBundle(snapshot=record, restore=restore_of(record, COPY), dry_run=evidence))
    logged = "\n".join(logging.Formatter().format(entry) for entry in caplog.records)
    return "\n".join([shown, said, json.dumps(documents.to_dict(evidence), ensure_ascii=False), logged])


@pytest.mark.parametrize("name", MADE)
def test_names_and_texts_of_every_kind(name: str, copies: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    require_no_row_in(told_of(MADE[name], "SELECT 1", copies, caplog))


@pytest.mark.parametrize("name", COUNTED)
def test_numbers_of_every_kind(name: str, copies: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    found = told_of(COUNTED[name], "SELECT 1", copies, caplog)
    assert re.findall(r".{0,80}4,?111,?222.{0,40}|.{0,80}4\.111.{0,40}", found) == []


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SIGNS = "".join(map(chr, range(0x2190, 0x2190 + len(LETTERS))))


@pytest.mark.parametrize("kind", ["TABLE %I ()", "FUNCTION %I() RETURNS int LANGUAGE sql AS 'SELECT 1/0'"])
def test_names_without_a_letter(kind: str, copies: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """A name of arrows has no word that nobody has written; it has the row all the same."""
    email = f"translate((SELECT email FROM users), '{LETTERS}', '{SIGNS}')"
    quoted = kind.replace("'", "''")
    told = told_of(
        f"DO $$ BEGIN EXECUTE format('CREATE {quoted}', {email}); END $$",
        f"DO $$ BEGIN EXECUTE format('DROP {quoted.split()[0]} %I', {email}); END $$",
        copies,
        caplog,
    )
    require_no_row_in(told.replace(SIGNS, "").translate(str.maketrans(SIGNS, LETTERS)))


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(logging.Formatter().format(entry) for entry in caplog.records)


def test_who_is_in_the_way(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """Of a table that the migration itself has made, in what it has committed: a lock on it is named by its table."""
    caplog.set_level(logging.DEBUG)
    database = make_database("locked", script=ROWS)
    first, second = plan_from_sql(do("CREATE TABLE %1$I ()")), plan_from_sql(do("LOCK TABLE %1$I"))
    steps = (replace(first.steps[0], name="first"), replace(second.steps[0], name="second"))
    plan = replace(first, steps=steps, lock_timeout_ms=400)
    bundle = make_bundle(plan, read_schema(database))
    step("first", plan, bundle, database)
    with psycopg.connect(database.conninfo) as holder:
        holder.execute(f'LOCK TABLE "{CANARY}" IN ROW EXCLUSIVE MODE'.encode())
        with (
            pytest.raises(LockNotAvailable, match=r'holds RowExclusiveLock on .*"…"') as caught,
            Ledger(database) as book,
        ):
            apply.run_step(
                plan,
                "second",
                endpoint=database,
                ledger=book,
                run=run_of(plan),
                target=make_target(),
                evidence=bundle,
                deadline_seconds=0.1,
            )
    require_no_row_in(f"{caught.value} {caught.value.fields} {logged(caplog)}")


def test_an_index_that_is_another_one(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    database = make_database("index", script=ROWS)
    up = f"{do('CREATE INDEX i ON users (id) WHERE email = %1$L')}; CREATE INDEX CONCURRENTLY i ON users (email)"
    plan = plan_from_sql(up, transaction=False)
    bundle = make_bundle(plan, read_schema(database))
    for _ in range(2):
        with pytest.raises(MigratorError, match=r"already exists|what this step may run was changed") as caught:
            apply_all(plan, database, bundle)
        require_no_row_in(f"{caught.value} {caught.value.fields}")
    require_no_row_in(logged(caplog))


MAKES = "EXECUTE format($f$CREATE FUNCTION %I() RETURNS int LANGUAGE sql AS 'SELECT 1'$f$, (SELECT email FROM users));"


def test_what_a_part_of_a_step_has_made(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """It cannot be told from what others make, whose names people look for: neither at the next try nor at rollback."""
    caplog.set_level(logging.DEBUG)
    database = make_database("half", script=ROWS)
    plan = plan_from_sql(f"DO $$ BEGIN {MAKES} END $$; VACUUM orders; SELECT 1", "SELECT 1", transaction=False)
    bundle = make_bundle(plan, read_schema(database))
    for _ in range(2):
        with pytest.raises(DriftDetected, match="was changed since it was rehearsed") as caught:
            apply_all(plan, database, bundle)
        require_no_row_in(f"{caught.value} {caught.value.fields}")
    report = roll_back(plan, database, bundle)
    require_no_row_in(f"{report} {logged(caplog)}")


def test_what_a_procedure_has_committed(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = f"CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN {MAKES} COMMIT; END$$"
    database = make_database("procedure", script=f"{ROWS} {made}")
    plan = plan_from_sql("CALL p(); CREATE TABLE more (id int)", "SELECT 1", transaction=False)
    bundle = make_bundle(plan, read_schema(database))
    with pytest.raises(MigratorError) as caught:
        apply_all(plan, database, bundle)
    require_no_row_in(f"{caught.value} {caught.value.fields} {logged(caplog)}")


@pytest.mark.parametrize(
    "child",
    [
        do("CREATE TABLE %1$I () INHERITS (filled)", "INSERT INTO %1$I VALUES (1)"),
        do("CREATE FOREIGN TABLE %1$I () INHERITS (filled) SERVER far"),
    ],
    ids=["table", "foreign"],
)
def test_the_children_of_a_table_that_is_changed_in_batches(
    child: str,
    server: Server,
    make_database: MakeDatabase,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(batches, "SAY_SECONDS", 0.0)
    script = f"{ROWS} CREATE TABLE filled (a int, b int); INSERT INTO filled VALUES (1)"
    database = make_database("batches", script=script)
    with psycopg.connect(server.conninfo(str(conninfo_to_dict(database.conninfo)["dbname"]))) as conn:
        conn.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w")
        conn.execute("GRANT USAGE ON FOREIGN SERVER far TO migrator")
    made = plan_from_sql(child)
    fill = backfill("UPDATE filled SET b = a WHERE b IS NULL", start=len(made.steps[0].statements))
    plan = replace(made, steps=(replace(made.steps[0], name="makes"), fill))
    bundle, said = make_bundle(plan, read_schema(database), states=()), ""
    try:
        apply_all(plan, database, bundle)
    except MigratorError as exc:
        said = f"{exc} {exc.fields}"
    assert ("no table that has pages" in said) == ("FOREIGN" in child)
    told = query(database, "SELECT detail::text FROM migrator.schema_migration_events")
    told += query(database, "SELECT error_message FROM migrator.schema_migrations")
    assert said or "…" in logged(caplog)
    require_no_row_in(f"{said} {logged(caplog)} {told}")
