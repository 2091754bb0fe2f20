"""A constraint as statements, and what a definition must not be."""

from __future__ import annotations

import pytest

from migrator.parsing.statements import parse
from migrator.steps.constraint_sql import Wanted, pieces, undoing, wanted
from migrator.steps.kinds import constraint

REFERENCES = "FOREIGN KEY (a, b) REFERENCES s.u (x, y) MATCH FULL ON DELETE CASCADE DEFERRABLE"


def made(definition: str, major: int | None = None, *, table: str = "public.t", name: str = "added") -> list[str]:
    found = wanted(table, name, definition)
    assert isinstance(found, Wanted), found
    return list(pieces(found, major))


def test_not_null_is_proved_by_a_check_that_goes_away() -> None:
    assert made('NOT NULL "Odd"', 17) == [
        'SELECT FROM public.t WHERE "Odd" IS NULL LIMIT 1000',
        'ALTER TABLE public.t ADD CONSTRAINT added CHECK ("Odd" IS NOT NULL) NOT VALID',
        "ALTER TABLE public.t VALIDATE CONSTRAINT added",
        'ALTER TABLE public.t ALTER COLUMN "Odd" SET NOT NULL',
        "ALTER TABLE public.t DROP CONSTRAINT added",
    ]


def test_not_null_is_a_constraint_from_18_on() -> None:
    assert made("NOT NULL a", 18)[1:] == [
        "ALTER TABLE public.t ADD CONSTRAINT added NOT NULL a NOT VALID",
        "ALTER TABLE public.t VALIDATE CONSTRAINT added",
    ]


def test_a_server_that_nobody_knows_gets_what_all_take() -> None:
    assert made("NOT NULL a") == made("NOT NULL a", 14)


def test_a_check_is_counted_with_its_own_expression() -> None:
    assert made("CHECK (a > 0 OR b = 'x')")[:2] == [
        "SELECT FROM public.t WHERE NOT (a > 0 OR b = 'x') LIMIT 1000",
        "ALTER TABLE public.t ADD CONSTRAINT added CHECK (a > 0 OR b = 'x') NOT VALID",
    ]


def test_orphans_are_those_of_the_way_in_which_it_matches() -> None:
    full, simple = made(REFERENCES)[0], made(REFERENCES.replace("FULL", "SIMPLE"))[0]
    missing = "NOT EXISTS (SELECT FROM s.u AS parent WHERE parent.x = child.a AND parent.y = child.b)"
    assert simple == (
        f"SELECT FROM public.t AS child WHERE child.a IS NOT NULL AND child.b IS NOT NULL AND {missing} LIMIT 1000"
    )
    assert "OR ((child.a IS NOT NULL OR child.b IS NOT NULL) AND NOT (" in full
    assert made(REFERENCES)[2].endswith("MATCH FULL ON DELETE CASCADE DEFERRABLE NOT VALID")


def test_both_tables_of_a_foreign_key_are_locked_first() -> None:
    lock = "LOCK TABLE s.u, public.t IN SHARE ROW EXCLUSIVE MODE"
    assert made(REFERENCES)[1] == lock
    assert made(REFERENCES.replace("s.u", "public.t"))[1] == lock.replace("s.u, ", "")


def test_a_key_takes_over_an_index_of_its_name() -> None:
    assert made("UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (c) WITH (fillfactor = 70) INITIALLY DEFERRED") == [
        "SELECT FROM public.t WHERE true GROUP BY a, b HAVING count(*) > 1 LIMIT 1000",
        "CREATE UNIQUE INDEX CONCURRENTLY added ON public.t USING btree (a, b) INCLUDE (c) NULLS NOT DISTINCT"
        " WITH (fillfactor=70)",
        "ALTER TABLE public.t ADD CONSTRAINT added UNIQUE USING INDEX added DEFERRABLE INITIALLY DEFERRED",
    ]


def test_the_columns_of_a_primary_key_are_not_null_before() -> None:
    last = "ALTER TABLE public.t ADD CONSTRAINT added PRIMARY KEY USING INDEX added"
    assert [text.partition(" public.t ")[2] or text for text in made("PRIMARY KEY (a)", 17)][1:] == [
        "WHERE a IS NULL LIMIT 1000",
        "ADD CONSTRAINT t_a_not_null CHECK (a IS NOT NULL) NOT VALID",
        "VALIDATE CONSTRAINT t_a_not_null",
        "USING btree (a)",
        "ALTER COLUMN a SET NOT NULL",
        "DROP CONSTRAINT t_a_not_null",
        last.partition(" public.t ")[2],
    ]
    assert made("PRIMARY KEY (a)", 18)[-1] == last


@pytest.mark.parametrize(
    "definition, why",
    [
        ("CHECK (a > 0); DROP TABLE t", "is not one constraint"),
        ("NOT NULL a, DROP COLUMN b", "is not one constraint"),
        ("CHECK (", "cannot be read: syntax error"),
        ("EXCLUDE (a WITH =)", "is no constraint that can be added without"),
        ("CHECK (a > 0) NOT VALID", "says NOT VALID"),
        ("CHECK (a > 0) NOT ENFORCED", "is NOT ENFORCED"),
        ("UNIQUE USING INDEX i", "says USING INDEX"),
        ("UNIQUE (a, b WITHOUT OVERLAPS)", "compares ranges"),
        ("FOREIGN KEY (a) REFERENCES u", "does not name the columns"),
    ],
)
def test_what_is_no_definition(definition: str, why: str) -> None:
    given = constraint.Parameters("t", "added", definition)
    ((key, text, hint),) = constraint.contradictions(given)
    assert (key, text[: len(why)]) == ("definition", why)
    assert hint is not None
    assert "FOREIGN KEY (columns) REFERENCES table (columns)" in hint


def test_a_name_that_postgresql_would_cut_off() -> None:
    ((key, text, _),) = constraint.contradictions(constraint.Parameters("t", "a" * 64, "NOT NULL a"))
    assert (key, text) == ("constraint", "is longer than the 63 bytes that PostgreSQL keeps of a name")


def test_what_undoes_each() -> None:
    parsed = parse(";".join(made("PRIMARY KEY (a)", 17)), file="made").statements
    assert [undoing(item) for item in parsed] == [
        (),
        (),
        ("ALTER TABLE public.t DROP CONSTRAINT IF EXISTS t_a_not_null",),
        (),
        ("DROP INDEX CONCURRENTLY IF EXISTS public.added",),
        ("ALTER TABLE public.t ALTER COLUMN a DROP NOT NULL",),
        (),
        ("ALTER TABLE public.t DROP CONSTRAINT IF EXISTS added",),
    ]
