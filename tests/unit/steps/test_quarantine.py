"""A range that fails is halved until a page is alone; and what fails for a row, not for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.errors import StatementFailed
from migrator.parsing.statements import parse
from migrator.plan import Statement
from migrator.steps.batch_sql import batch_sql
from migrator.steps.batch_statement import Place
from migrator.steps.quarantine import Quarantine, is_of_rows
from tests.factories import plan_from_sql

SQL = "UPDATE t SET a = 1 WHERE b"


def unused(*_: Any) -> Any:
    raise AssertionError


def quarantine() -> Quarantine:
    statement: Statement = plan_from_sql(SQL).steps[0].statements[0]
    sql = batch_sql(parse(SQL, file="fill.sql").statements[0])
    return Quarantine(statement, sql, 5, unused, unused, unused, unused, unused)


@pytest.mark.parametrize("bad", [0, 1, 63, 64, 99, 127])
def test_a_range_is_halved(bad: int) -> None:
    """Until the page that fails is alone; what is before it and behind it takes few batches."""
    found, page, sent, alone = quarantine(), 0, 0, []
    while page < 128:
        pages = found.pages(page, 128)
        sent += 1
        if not page <= bad < page + pages:
            page += pages
        elif pages > 1:
            found.failed(page + pages)
        else:
            alone.append(page)
            page += 1
    assert alone == [bad]
    assert sent <= 24


def test_the_cursor_names_places() -> None:
    one, other = quarantine(), quarantine()
    one.rows = {Place(20, 3, 4): None, Place(17, 9, 1): None}
    one.over = {Place(20, 1, 1): StatementFailed("no")}
    other.load(one.cursor)
    assert list(other.rows) == [Place(17, 9, 1), Place(20, 1, 1), Place(20, 3, 4)]
    assert other.without(9, 10) == (
        " AND NOT ((t.tableoid OPERATOR(pg_catalog.=) '17'::pg_catalog.oid"
        " AND t.ctid OPERATOR(pg_catalog.=) ANY (ARRAY['(9,1)']::pg_catalog.tid[])))"
    )
    assert quarantine().cursor == {}


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"sqlstate": "23514"}, True),
        ({"sqlstate": "22012"}, True),
        ({"sqlstate": "P0001"}, True),
        ({"sqlstate": "42501"}, True),
        ({"sqlstate": None, "where": ()}, True),
        ({"sqlstate": None}, False),
        ({"sqlstate": "42P01"}, False),
        ({"sqlstate": "57014"}, False),
        ({"sqlstate": "53100"}, False),
        ({}, False),
    ],
)
def test_what_fewer_rows_may_do_better(fields: dict[str, Any], expected: bool) -> None:
    assert is_of_rows(StatementFailed("no", **fields)) is expected
