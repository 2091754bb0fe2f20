"""What is exchanged while a gate waits, or while it looks, is found before anything of it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query
from tests.integration.test_calendar import sql_step
from tests.integration.test_gate import CONDITION, gate, shut

SCRIPT = """
CREATE TABLE flags (done boolean); CREATE TABLE t (id int); CREATE TABLE secret (id int); INSERT INTO secret VALUES (7);
CREATE VIEW public.feed{0} AS SELECT 1 AS id WHERE false;
CREATE TABLE public.goods{0} (id int); INSERT INTO public.goods{0} VALUES (1);
CREATE FUNCTION public.pays() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.secret VALUES (8); RETURN new; END';
"""
OTHERS = {
    "INSERT INTO t (id) SELECT id FROM public.feed{0}": (
        "CREATE OR REPLACE VIEW public.feed{0} AS SELECT id FROM secret"
    ),
    "UPDATE public.goods{0} SET id = id + 1": (
        "CREATE TRIGGER pays BEFORE UPDATE ON public.goods{0} FOR EACH ROW EXECUTE FUNCTION public.pays()"
    ),
}


@pytest.mark.parametrize("sql", OTHERS, ids=["a view", "a trigger"])
@pytest.mark.parametrize(
    "mark", ["", "★", "e\u0301", "\u00a0x"], ids=["plain", "a sign", "a combining accent", "a space"]
)
def test_what_the_next_step_would_run(mark: str, sql: str, database: Endpoint, make_database: MakeDatabase) -> None:
    """PostgreSQL takes each character beyond ASCII for a part of a bare name; so `feed★` is one word."""
    script = SCRIPT.format(mark)
    query(database, script)
    steps = (
        sql_step("ALTER TABLE t ADD COLUMN b int", "expand", 0),
        gate(condition=CONDITION),
        sql_step(sql.format(mark), "fill", 2),
    )
    plan = replace(plan_from_sql("SELECT 1", "ALTER TABLE t DROP COLUMN IF EXISTS b"), steps=steps)
    bundle = rehearse(plan, database, make_database("twin", script=script))
    shut(plan, database, bundle)
    query(database, f"{OTHERS[sql].format(mark)}; INSERT INTO flags VALUES (true)")
    with pytest.raises(DriftDetected):
        apply_all(plan, database, bundle)
    assert (query(database, "SELECT id FROM t"), query(database, "SELECT id FROM secret")) == ([], [(7,)])
