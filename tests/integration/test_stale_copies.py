"""What is changed past its copy, by who cannot see it or does not write there, on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrator.database.session import Endpoint
from migrator.errors import ConnectionLost
from migrator.steps import stale_copies
from migrator.steps.batches import Work
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill_insert import COPY, ROWS, TABLE, plan_of, small_batches  # noqa: F401

SHAPES = {
    "": TABLE,
    "partitioned": TABLE.replace(
        "(id int PRIMARY KEY, v int, filler text);",
        "(filler text, v int, id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE one PARTITION OF s FOR VALUES FROM (0) TO (5);"
        "CREATE TABLE two (id int NOT NULL, filler text, v int); ALTER TABLE s ATTACH PARTITION two DEFAULT;",
    ).replace("INTO s SELECT g, g * 10, repeat('x', 200)", "INTO s (id, v, filler) SELECT g, g * 10, repeat('x', 200)"),
}
FORMS = {
    "plain": COPY,
    "other names": (
        "INSERT INTO public.t (v, id) SELECT v, id FROM s AS a -- the rows\nWHERE v > 0 AND NOT EXISTS"
        " (SELECT 1 FROM t AS b WHERE a.id = id AND id = a.id) ON CONFLICT DO NOTHING"
    ),
    "joined": (
        "INSERT INTO t (id, v) SELECT s.id, s.v + coalesce(u.w, 0) FROM s LEFT JOIN u ON u.id = s.id WHERE NOT EXISTS"
        " (SELECT FROM t WHERE t.id = s.id)"
    ),
}
MORE = "CREATE TABLE u (id int PRIMARY KEY, w int);"
OTHERS = (
    "UPDATE s SET v = v + 1 WHERE id IN (3, 4, 4000)",
    "UPDATE s SET filler = 'y' WHERE id = 8",
    "UPDATE t SET v = 99 WHERE id = 5",
    "UPDATE s SET v = v + 1 WHERE id = 5",
    "DELETE FROM s WHERE id = 6",
)
LEFT = "SELECT t.id, t.v FROM t LEFT JOIN s USING (id) WHERE s.v IS DISTINCT FROM t.v ORDER BY 1"


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Does something once, after the last batch."""

    def once(act: Callable[[], object]) -> None:
        real, left = stale_copies.settle, [act]

        def settle(work: Work) -> str:
            if left:
                left.pop()()
            return real(work)

        monkeypatch.setattr(stale_copies, "settle", settle)

    return once


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_what_a_batch_has_made_is_made_again(
    database: Endpoint, meanwhile: Callable[[Callable[[], object]], None], form: str, shape: str, workers: int
) -> None:
    """What the application has written there stays, and what is gone is deleted by nobody."""
    query(database, SHAPES[shape] + MORE)
    meanwhile(lambda: [query(database, text) for text in OTHERS])
    (result,) = apply_all(plan_of(FORMS[form], workers=workers), database)
    assert query(database, LEFT) == [(5, 99), (6, 60)]
    assert query(database, "SELECT count(*) FROM t") == [(ROWS,)]
    assert result.statements[0].note.startswith("3 rows changed past their copies and copied again: whoever writes")


def test_nothing_is_said_where_nothing_differs(
    database: Endpoint, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    query(database, TABLE)
    meanwhile(lambda: query(database, "UPDATE s SET v = v, filler = 'y' WHERE id < 100"))
    (result,) = apply_all(plan_of(), database)
    assert result.statements[0].note == ""
    assert query(database, LEFT) == []


def test_an_attempt_that_was_killed_before_leaves_it_to_the_next(
    database: Endpoint, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    query(database, TABLE)

    def killed() -> None:
        query(database, "UPDATE s SET v = 1 WHERE id = 7")
        raise ConnectionLost("gone")

    meanwhile(killed)
    with pytest.raises(ConnectionLost):
        apply_all(plan_of(), database)
    assert query(database, LEFT) == [(7, 70)]
    (result,) = apply_all(plan_of(), database)
    assert query(database, LEFT) == []
    assert result.statements[0].note.startswith("1 row changed past its copy")


def test_who_may_not_update_the_copies_is_told(
    database: Endpoint, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    query(database, TABLE)
    query(database, "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$")
    query(database, "CREATE TRIGGER no BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION no()")
    meanwhile(lambda: query(database, "UPDATE s SET v = 1 WHERE id = 7"))
    (result,) = apply_all(plan_of(), database)
    assert query(database, LEFT) == [(7, 70)]
    assert result.statements[0].note.startswith("nobody could copy again what was changed past its copy: ")
