"""Without a connection every statement of the corpus still has effects, and what was assumed is said."""

from __future__ import annotations

import pytest

from migrator.analysis.effects import Assumed, World, effects_of
from migrator.analysis.effects.replay.replay import world_after
from migrator.parsing.statements import parse
from tests.effects.corpus import MAJORS, load

CASES = load()
ON_RELATIONS = ("ALTER TABLE", "ALTER INDEX", "ALTER VIEW", "ALTER MATERIALIZED")


@pytest.mark.parametrize("major", MAJORS)
def test_every_statement_has_effects_without_a_catalog(major: int) -> None:
    for case in CASES:
        world = World(assumed=Assumed(server_version_num=major * 10000))
        for item in parse(case.sql, file=case.id).statements:
            effects = effects_of(item.node, world)
            says = effects.locks or effects.fails or not effects.known
            new = any(world.is_new(name) for name in world.created)
            assert says or new or not item.sql.upper().startswith(ON_RELATIONS), f"{case.id}: {item.sql}"
            world = world_after(item.node, world)


@pytest.mark.parametrize(
    "sql, needed",
    [
        ("ALTER TABLE t ALTER a TYPE bigint", "the present type of public.t.a is unknown"),
        ("ALTER TABLE t ALTER a SET NOT NULL", "no valid CHECK (a IS NOT NULL)"),
        ("ALTER TABLE t ADD b int DEFAULT own()", "own() is taken for volatile"),
        ("ALTER TABLE t ADD PRIMARY KEY USING INDEX i", "the columns of index i are NOT NULL already"),
        ("ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)", "no CHECK that proves the bound"),
        ("ALTER TABLE t ADD b int GENERATED ALWAYS AS (a + 1) VIRTUAL", "the server is PostgreSQL 18"),
    ],
)
def test_what_only_a_connection_could_tell_is_said(sql: str, needed: str) -> None:
    statement = parse(sql, file="x.sql").statements[0]
    found = effects_of(statement.node, World()).assumptions
    assert any(needed in text for text in found), found


@pytest.mark.parametrize(
    "sql, locked",
    [
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", {"public.t"}),
        ("WITH t AS (SELECT * FROM u) SELECT * FROM t", {"public.u"}),
        ("WITH t AS (SELECT * FROM u) INSERT INTO t SELECT * FROM t", {"public.t", "public.u"}),
    ],
)
def test_a_name_of_with_hides_a_table_where_it_is_seen(sql: str, locked: set[str]) -> None:
    effects = effects_of(parse(sql, file="x.sql").statements[0].node, World())
    assert {lock.relation for lock in effects.locks} == locked
