"""Large objects are in no table: a dry run and the proof of a restore look at them all the same, on a real server."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database import large_objects
from migrator.database.session import Endpoint
from migrator.evidence import Verdict
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import check_of, failed, make_copy, rehearse

TWO = r"""
CREATE TABLE docs (o oid);
INSERT INTO docs SELECT lo_from_bytea(4711, '\x010203');
INSERT INTO docs SELECT lo_from_bytea(4712, '\x04');
"""
PUT = r"SELECT lo_put(4711, 0, '\xffffff');"


@pytest.mark.parametrize(
    "up, down, said",
    [
        pytest.param(PUT, "SELECT 1;", "other content in the 2 large objects", id="overwritten by apply"),
        pytest.param("SELECT 1;", PUT, "other content in the 2 large objects", id="overwritten by the rollback"),
        pytest.param("SELECT lo_unlink(o) FROM docs;", "SELECT 1;", "0 large objects, there were 2", id="unlinked"),
        pytest.param(
            "DO $$BEGIN PERFORM lo_unlink(4711); END$$;",
            "SELECT lo_create(4711);",
            "other content in the 2 large objects",
            id="replaced by an empty one",
        ),
        pytest.param(
            "DO $$BEGIN PERFORM lo_truncate(lo_open(4711, 131072), 0); END$$;",
            "SELECT 1;",
            "other content in the 2 large objects",
            id="emptied",
        ),
        pytest.param("SELECT lo_create(9);", "SELECT 1;", "3 large objects, there were 2", id="one more"),
        pytest.param(
            "GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC;",
            "SELECT 1;",
            "other owners, grants or comments",
            id="granted",
        ),
        pytest.param(
            "COMMENT ON LARGE OBJECT 4711 IS 'x';", "SELECT 1;", "other owners, grants or comments", id="comment"
        ),
        pytest.param("REVOKE ALL ON LARGE OBJECT 4711 FROM CURRENT_USER;", "SELECT 1;", "other content", id="revoked"),
    ],
)
def test_what_a_migration_does_to_them_must_be_undone(copies: Endpoint, up: str, down: str, said: str) -> None:
    check = check_of(failed(plan_from_sql(up, down), copies, make_copy(copies, TWO)).evidence, "rollback_data")
    assert check.verdict is Verdict.FAILED
    assert f"the rollback leaves {said}" in check.detail


@pytest.mark.parametrize(
    "up, down",
    [
        ("CREATE TABLE other (id int);", "DROP TABLE other;"),
        (PUT, r"SELECT lo_put(4711, 0, '\x010203');"),
        ("SELECT lo_create(9);", "SELECT lo_unlink(9);"),
    ],
)
def test_as_before(copies: Endpoint, up: str, down: str) -> None:
    evidence = rehearse(plan_from_sql(up, down), copies, make_copy(copies, TWO))
    check = check_of(evidence, "rollback_data")
    assert check.detail == "no row of an older table was touched, 2 large objects as before"
    assert evidence.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "one, other",
    [
        ("'a'", "'b'"),
        ("''", "'a'"),
        ("convert_to(repeat('a', 1048576), 'UTF8')", "convert_to(repeat('a', 1048577), 'UTF8')"),
        ("convert_to(repeat('a', 3000000), 'UTF8')", "convert_to(repeat('a', 2999999) || 'b', 'UTF8')"),
    ],
)
def test_a_change_shows_in_their_hash(make_database: MakeDatabase, one: str, other: str) -> None:
    found = []
    for name, bytes_ in (("one", one), ("again", one), ("other", other)):
        endpoint = make_database(name, script=f"SELECT lo_from_bytea(4711, {bytes_})")
        with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
            found.append(large_objects.content(conn))
    assert found[0] == found[1] != found[2]
    assert found[0].rows == found[2].rows == 1


def test_the_same_bytes_under_other_numbers_are_others(make_database: MakeDatabase) -> None:
    script = "SELECT lo_from_bytea({}, 'a'); SELECT lo_from_bytea({}, 'b')"
    found = []
    for name, numbers in (("one", (1, 2)), ("other", (2, 1))):
        with psycopg.connect(make_database(name, script=script.format(*numbers)).conninfo, autocommit=True) as conn:
            found.append(large_objects.content(conn))
    assert found[0] != found[1]
