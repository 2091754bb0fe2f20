"""Roles that the server for restored copies does not have: the rehearsal sees their rights all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from migrator.backups import copies as restored
from migrator.backups.copies import Copy
from migrator.backups.copy_role import CopyRole
from migrator.backups.trial import trial_database
from migrator.database import door, session
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import DryRunFailed, Refused
from migrator.evidence import Verdict
from migrator.rehearsal import census
from tests.integration.conftest import RESTORER, prepare_for_copies
from tests.integration.copies import COPY, RUN, check_of
from tests.integration.stages import query, roll_back
from tests.integration.test_copy_role import REFUSED
from tests.integration.test_one_window import Case
from tests.integration.test_policies import write

READER, OWNER = "app reader", "app_owner"
SHOP = f"""
CREATE TABLE users (id int PRIMARY KEY, email text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int);
CREATE VIEW of_users AS SELECT id FROM users;
CREATE FUNCTION secret() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION secret() FROM PUBLIC;
GRANT SELECT ON of_users, orders TO "{READER}";
GRANT EXECUTE ON FUNCTION secret() TO "{READER}";
GRANT USAGE, CREATE ON SCHEMA public TO {OWNER};
"""
GUARDED = "DO $$BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{}') THEN {}; END IF; END$$;"


@pytest.fixture
def case(database: Endpoint, copies: Endpoint, superuser: str, tmp_path: Path) -> Iterator[Case]:
    admin = replace(database, conninfo=superuser)
    query(admin, f'CREATE ROLE "{READER}" LOGIN; CREATE ROLE {OWNER}; GRANT {OWNER} TO migrator')
    query(database, SHOP)
    found = Case(tmp_path / "migrations", database, copies, tmp_path / "snapshots")
    found.adopts()
    yield found
    query(admin, f'DROP OWNED BY "{READER}", {OWNER}; DROP ROLE "{READER}", {OWNER}')


LOST = {
    "a view": (
        "DROP VIEW of_users; CREATE VIEW of_users AS SELECT id, email FROM users;",
        "DROP VIEW of_users; CREATE VIEW of_users AS SELECT id FROM users;",
        "- grant view",
    ),
    "a table": (
        "CREATE TABLE other (LIKE orders INCLUDING ALL); INSERT INTO other SELECT * FROM orders; DROP TABLE orders;"
        "ALTER TABLE other RENAME TO orders;",
        "ALTER TABLE orders RENAME TO other; CREATE TABLE orders (LIKE other INCLUDING ALL);"
        " INSERT INTO orders SELECT * FROM other; DROP TABLE other;",
        "- grant table",
    ),
    "a function": (
        "DROP FUNCTION secret(); CREATE FUNCTION secret() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';"
        " REVOKE ALL ON FUNCTION secret() FROM PUBLIC;",
        "DROP FUNCTION secret(); CREATE FUNCTION secret() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        " REVOKE ALL ON FUNCTION secret() FROM PUBLIC;",
        "~ grant function",
    ),
}


@pytest.mark.parametrize("what", LOST)
def test_a_rollback_that_loses_rights_is_found_out(case: Case, what: str) -> None:
    sql, back, told = LOST[what]
    write(case, "001_anew", sql, back)
    with pytest.raises(DryRunFailed) as caught:
        case.rehearsed("001_anew")
    assert told in check_of(caught.value.evidence, "rollback_schema_equal").detail


HONEST = {
    "a grant": (f'GRANT SELECT ON users TO "{READER}";', f'REVOKE SELECT ON users FROM "{READER}";'),
    "a grant if the role is there": (
        GUARDED.format(READER, f'GRANT SELECT ON users TO "{READER}"'),
        GUARDED.format(READER, f'REVOKE SELECT ON users FROM "{READER}"'),
    ),
    "a grant to whoever is there": (
        "DO $$DECLARE r name; BEGIN FOR r IN SELECT rolname FROM pg_roles WHERE rolname ~ '^app.r' LOOP"
        " EXECUTE format('GRANT SELECT ON users TO %I', r); END LOOP; END$$;",
        f'REVOKE SELECT ON users FROM "{READER}";',
    ),
    "a policy": (f'CREATE POLICY p ON orders TO "{READER}", migrator;', "DROP POLICY p ON orders;"),
    "an owner": (f"CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO {OWNER};", "DROP TABLE mine;"),
    "the owner who migrates": (
        f'CREATE TABLE mine (id int); GRANT SELECT ON mine TO migrator, "{READER}"; ALTER TABLE mine OWNER TO migrator;'
        " GRANT INSERT ON mine TO migrator; GRANT UPDATE ON orders TO migrator;",
        "DROP TABLE mine;",
    ),
    "another owner, and back": (
        f"ALTER TABLE orders OWNER TO {OWNER}; ALTER TABLE orders ADD COLUMN q int;",
        "ALTER TABLE orders DROP COLUMN q; ALTER TABLE orders OWNER TO migrator;",
    ),
    "in another role": (f"SET ROLE {OWNER}; CREATE TABLE mine (id int); RESET ROLE;", "DROP TABLE mine;"),
    "a view with its rights": (
        f'{LOST["a view"][0]} GRANT SELECT ON of_users TO "{READER}";',
        f'{LOST["a view"][1]} GRANT SELECT ON of_users TO "{READER}";',
    ),
}


@pytest.mark.parametrize("what", HONEST)
def test_what_names_roles_goes_all_the_way(case: Case, what: str) -> None:
    sql, back = HONEST[what]
    write(case, "001_roles", sql, back)
    plan, bundle = case.rehearsed("001_roles")
    assert bundle.dry_run.verdict is Verdict.PASSED
    case.done(plan, bundle)
    assert roll_back(plan, case.database, bundle, force=True).schema_equal


def test_what_others_have_granted_is_restored(case: Case) -> None:
    """pg_dump writes SET SESSION AUTHORIZATION for it, which is a superuser's."""
    query(case.database, f"GRANT SELECT ON users TO {OWNER} WITH GRANT OPTION")
    query(case.database, f'SET ROLE {OWNER}; GRANT SELECT ON users TO "{READER}"')
    write(case, "001_one", "CREATE TABLE one (id int);", "DROP TABLE one;")
    assert case.rehearsed("001_one")[1].dry_run.verdict is Verdict.PASSED


def test_what_the_target_does_not_let_do_is_told(case: Case, superuser: str) -> None:
    query(replace(case.database, conninfo=superuser), f"REVOKE {OWNER} FROM migrator")
    write(case, "001_given", f"ALTER TABLE orders OWNER TO {OWNER};", "SELECT 1;")
    with pytest.raises(DryRunFailed, match=f'GRANT "{OWNER}" TO "migrator"; then clear snapshot'):
        case.rehearsed("001_given")


def test_a_role_of_somebody_else_is_left_alone(case: Case) -> None:
    """Whatever he has made it for: the rehearsal grants to it, and becomes nobody."""
    query(case.copies, f"CREATE ROLE {OWNER} LOGIN CREATEDB")
    before = query(case.copies, ROLE, OWNER)
    write(case, "001_granted", f"GRANT SELECT ON users TO {OWNER};", f"REVOKE SELECT ON users FROM {OWNER};")
    assert case.rehearsed("001_granted")[1].dry_run.verdict is Verdict.PASSED
    write(case, "002_given", f"ALTER TABLE orders OWNER TO {OWNER};", "SELECT 1;")
    with pytest.raises(DryRunFailed, match="drop or rename it there"):
        case.rehearsed("002_given")
    assert query(case.copies, ROLE, OWNER) == before
    assert query(case.copies, "SELECT 1 FROM pg_roles WHERE rolname = %s", READER) == []


ROLE = "SELECT to_jsonb(r) - 'rolpassword' FROM pg_roles AS r WHERE rolname = %s"


@pytest.fixture
def each_copies(each_server: Server) -> Iterator[Endpoint]:
    endpoint = prepare_for_copies(each_server)
    with psycopg.connect(each_server.conninfo(), autocommit=True) as admin:
        admin.execute("REVOKE ALL ON DATABASE template_of_tests FROM PUBLIC")
        yield endpoint
        with session.connect(endpoint, purpose="drop_copy") as conn:
            for run_id in "12":
                for copy in restored.of_run(conn, replace(RUN, run_id=run_id)):
                    restored.drop(conn, copy)
        admin.execute(f"DROP OWNED BY {RESTORER}; DROP ROLE {RESTORER}".encode())


def succeeds(endpoint: Endpoint, texts: str) -> bool:
    first, _, rest = texts.partition("; ") if texts.startswith("SET ROLE ") else (texts, "", "")
    with session.connect(endpoint, purpose="apply") as conn:
        try:
            door.send(conn, first)
            if rest:
                door.send(conn, rest)
        except psycopg.Error:
            return False
        return True


def made(copies: Endpoint, run_id: str, roles: dict[str, str]) -> Copy:
    run = replace(RUN, run_id=run_id)
    with session.connect(copies, purpose="restore") as conn:
        name = COPY if run_id == "1" else restored.new_name(run)
        return restored.create(conn, CopyRole(name, copies), run=run, roles=roles)


def dropped(copies: Endpoint, copy: Copy) -> None:
    with session.connect(copies, purpose="drop_copy") as conn:
        restored.drop(conn, copy)


def test_copies_share_them_and_the_last_one_takes_them_along(each_copies: Endpoint) -> None:
    stand_ins = "SELECT rolname::text FROM pg_roles WHERE rolname IN ('a b', 'c', 'd', 'pg_no', 'public') ORDER BY 1"
    first = made(each_copies, "1", {"a b": "", "c": "inherit set", "pg_no": "", "public": ""})
    second = made(each_copies, "2", {"c": "set", "d": "inherit"})
    assert (first.stand_ins, second.stand_ins) == (("a b", "c"), ("c", "d"))
    dropped(each_copies, first)
    assert query(each_copies, stand_ins) == [("c",), ("d",)]
    dropped(each_copies, second)
    assert query(each_copies, stand_ins) == []


def test_who_may_become_one_gains_nothing_on_the_server(each_copies: Endpoint, each_server: Server) -> None:
    """Not in another copy either, which shares it; and what it does to itself is gone before the next attempt."""
    first, second = (made(each_copies, run, {"shared": "inherit set", "seen": ""}) for run in "12")
    with trial_database(each_copies, first) as trial, session.connect(each_copies, purpose="observe") as conn:
        before = census.take(conn, (*first.databases, *first.stand_ins))
        for text in REFUSED.values():
            assert not succeeds(trial.texts, f"SET ROLE shared; {text}"), text
        for text in (
            "SET ROLE seen",
            "GRANT shared TO seen",
            f"SET ROLE shared; GRANT shared TO {RESTORER}",
            f"SET ROLE shared; SET ROLE {second.name}",
            "SET ROLE shared; COMMENT ON ROLE shared IS NULL",
            "SET ROLE shared; ALTER ROLE shared LOGIN",
            "ALTER ROLE seen SET work_mem = '1GB'",
            "DROP ROLE shared",
        ):
            assert not succeeds(trial.texts, text), text
        assert census.differences(before, census.take(conn, (*first.databases, *first.stand_ins))) == ()
        connect = "EXISTS (SELECT FROM pg_database WHERE datallowconn AND has_database_privilege(oid, 'CONNECT'))"
        assert succeeds(trial.texts, f"SET ROLE shared; DO $$BEGIN ASSERT NOT {connect}; END$$")
        assert succeeds(trial.texts, "SET ROLE shared; ALTER ROLE shared SET work_mem = '1GB'")
        assert census.differences(before, census.take(conn, (*first.databases, *first.stand_ins))) == (
            "settings role shared is new",
        )
    with trial_database(each_copies, first), session.connect(each_copies, purpose="observe") as conn:
        again = census.take(conn, (*first.databases, *first.stand_ins))
        assert [name for kind, name, _ in again if kind == "settings"] == []
    with psycopg.connect(each_server.conninfo(), autocommit=True) as admin:
        for gift, taken, words in (
            ("GRANT pg_monitor TO shared", "REVOKE pg_monitor FROM shared", "is a member of roles"),
            ("ALTER ROLE seen LOGIN", "ALTER ROLE seen NOLOGIN", "may log in"),
            (
                "GRANT CONNECT ON DATABASE postgres TO shared",
                "REVOKE CONNECT ON DATABASE postgres FROM shared",
                'may connect to "postgres"',
            ),
        ):
            admin.execute(gift)
            with pytest.raises(Refused, match=words), trial_database(each_copies, first):
                pass
            admin.execute(taken)
