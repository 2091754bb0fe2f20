"""What a rollback does not give back is told by column, with the trigger that has set it. Never a value of a row."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from tests.factories import plan_from_sql
from tests.integration.copies import check_of, failed, make_copy, rehearse

ACTOR = """
CREATE TABLE actor (id int PRIMARY KEY, name text, last_update timestamptz NOT NULL DEFAULT now(), n int DEFAULT 0);
INSERT INTO actor SELECT g, 'secret' || g, '2020-01-01' FROM generate_series(1, 9) AS g;
"""
TOUCH = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW."last_update" = CURRENT_TIMESTAMP; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON actor FOR EACH ROW EXECUTE FUNCTION touch();
"""
UP = "ALTER TABLE actor ADD COLUMN slug text; UPDATE actor SET slug = lower(name);"
DOWN = "ALTER TABLE actor DROP COLUMN slug;"
OFF, ON = (f"ALTER TABLE actor {state} TRIGGER touch;" for state in ("DISABLE", "ENABLE"))


@pytest.mark.parametrize(
    "there, up, said",
    [
        (TOUCH, UP, "column last_update, which trigger touch sets, differs"),
        (TOUCH, UP.replace("slug =", "n = 1, slug ="), "column last_update, which trigger touch sets, n differ"),
        ("", "UPDATE actor SET n = 7 WHERE id = 1;", "had 9 rows: column n differs"),
        (TOUCH.replace("BEFORE UPDATE", "BEFORE INSERT"), UP.replace("slug =", "n = 1, slug ="), ": column n differs"),
    ],
)
def test_they_are_named(copies: Endpoint, there: str, up: str, said: str) -> None:
    down = DOWN if "slug" in up else "SELECT 1;"
    evidence = failed(plan_from_sql(up, down), copies, make_copy(copies, ACTOR + there)).evidence
    detail = check_of(evidence, "rollback_data").detail
    assert "public.actor has other content in its 9 rows, had 9 rows" in detail
    assert said in detail
    assert "secret" not in detail
    assert ("ALTER TABLE public.actor DISABLE TRIGGER touch" in detail) is ("touch" in said)


def test_the_way_out_that_it_names_is_one(copies: Endpoint) -> None:
    evidence = rehearse(plan_from_sql(OFF + UP + ON, DOWN), copies, make_copy(copies, ACTOR + TOUCH))
    assert check_of(evidence, "rollback_data").detail.startswith("1 table with rows as before")


def test_values_that_have_changed_places_have_no_column(copies: Endpoint) -> None:
    up = "UPDATE actor SET name = CASE id WHEN 1 THEN 'secret2' ELSE 'secret1' END WHERE id < 3;"
    evidence = failed(plan_from_sql(up, "SELECT 1;"), copies, make_copy(copies, ACTOR)).evidence
    assert "had 9 rows: each column has the same values, in other rows" in check_of(evidence, "rollback_data").detail
