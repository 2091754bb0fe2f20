"""What psql would send of a file with CR LF line ends, we send: on a real server."""

from __future__ import annotations

from migrator.database.session import Endpoint
from migrator.evidence import Verdict
from tests.factories import plan_from_sql
from tests.integration.copies import check_of, failed, make_copy, rehearse

LETTERS = r"CREATE TABLE t (id int, x text); INSERT INTO t VALUES (1, E'Dear\r\nSir'), (2, E'a\r\nb');"


def test_a_row_is_found_and_given_back(copies: Endpoint) -> None:
    up, down = "DELETE FROM t\r\n WHERE x = 'Dear\r\nSir';\r\n", "INSERT INTO t VALUES (1, 'Dear\r\nSir');\r\n"
    evidence = rehearse(plan_from_sql(up, down), copies, make_copy(copies, LETTERS))
    assert evidence.verdict is Verdict.PASSED
    assert evidence.statements[0].rows == 1


def test_a_body_keeps_them(copies: Endpoint) -> None:
    body = "OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$\r\n select {}\r\n$$;"
    copy = make_copy(copies, f"CREATE {body.format(1)}")
    plan = plan_from_sql(f"CREATE {body.format(2)}", f"CREATE {body.format(1)}")
    assert rehearse(plan, copies, copy).verdict is Verdict.PASSED


def test_a_difference_in_line_ends_alone_is_seen(copies: Endpoint) -> None:
    body = "FUNCTION f() RETURNS int LANGUAGE sql AS $$\r\n select 1\r\n$$;"
    plan = plan_from_sql("SELECT 1;", f"CREATE OR REPLACE {body}".replace("\r\n", "\n"))
    check = check_of(failed(plan, copies, make_copy(copies, f"CREATE {body}")).evidence, "rollback_schema_equal")
    assert "\\r" in check.detail
