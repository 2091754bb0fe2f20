"""Which function a statement means: of the schema and the name, with the same types of arguments."""

from __future__ import annotations

import pytest

from migrator.analysis.effects import World
from migrator.analysis.effects.names import routines
from migrator.facts.facts import CatalogFacts, ColumnFacts, FunctionFacts, RelationFacts, TypeFacts
from migrator.parsing.statements import parse

MOOD = TypeFacts("public.mood", "e", ())
COLUMNS = {"code": ColumnFacts("character varying(20)", False)}


def world_of(*arguments: str) -> World:
    known = FunctionFacts("v", len(arguments), len(arguments), schema="public", arguments=arguments)
    facts = CatalogFacts(
        180000,
        functions={"f": (known,)},
        relations={"public.t": RelationFacts("public.t", "r", columns=COLUMNS)},
        resolved={"t": "public.t"},
        types={"mood": MOOD, "public.mood": MOOD},
        complete=True,
    )
    return World(facts)


SIGNATURES = [
    (("integer",), "int", True),
    (("integer",), "pg_catalog.int4", True),
    (("integer",), "int[]", False),
    (("integer[]",), "int", False),
    (("integer[]",), "VARIADIC int[]", True),
    (("integer",), "int, int", False),
    (("character varying",), "varchar(20)", True),
    (("character varying",), "t.code%TYPE", True),
    (("text",), "t.code%TYPE", False),
    (("mood",), "mood", True),
    (("public.mood",), "mood", True),
    (("mood",), "public.mood", True),
    (("public.mood[]",), "mood", False),
    (("public.mood",), "other.mood", False),
    (("public.mood",), "other_mood", False),
    (('public."Odd"',), 'public."Odd"', True),
    (('"char"',), '"char"', True),
    (('"char"',), "char", False),
]


@pytest.mark.parametrize("known, written, is_same", SIGNATURES)
def test_a_function_is_known_by_its_arguments(known: tuple[str, ...], written: str, is_same: bool) -> None:
    world = world_of(*known)
    made = parse(f"CREATE FUNCTION f({written}) RETURNS int LANGUAGE sql AS 'SELECT 1'", file="x.sql").statements[0]
    dropped = parse(f"DROP FUNCTION f({written})", file="x.sql").statements[0]
    assert (routines.same(made.tree, world) is not None) is is_same
    assert bool(routines.named(dropped.tree.objects[0].object_with_args, world)) is is_same


def test_a_function_of_another_schema_is_another() -> None:
    made = parse("CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", file="x.sql").statements[0]
    assert routines.same(made.tree, world_of("integer")) is None
