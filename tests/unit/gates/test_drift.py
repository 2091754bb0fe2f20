"""What may have changed of the code that a step runs which is done in part."""

from __future__ import annotations

import pytest

from migrator.database.schema import Schema
from migrator.errors import DriftDetected
from migrator.gates.drift import require_same_code
from tests.evidence import make_bundle
from tests.factories import plan_from_sql

VIEWS = {"public.v": "SELECT 1 AS a", "public.v2": "SELECT 2 AS a"}
PLAN = plan_from_sql("CREATE OR REPLACE VIEW v2 AS SELECT 3 AS a", "SELECT 1")


def views(**over: str) -> Schema:
    return Schema({"view": {**VIEWS, **{f"public.{name}": text for name, text in over.items()}}})


@pytest.mark.parametrize("rehearsed", ["SELECT 3 AS a", "SELECT 3 AS a -- not view public.v: SELECT 4"])
def test_a_change_of_v2_excuses_none_of_v(rehearsed: str) -> None:
    bundle = make_bundle(PLAN, views(), views(v2=rehearsed))
    require_same_code(views(), PLAN, bundle)
    require_same_code(views(v2=rehearsed), PLAN, bundle)
    with pytest.raises(DriftDetected, match=r"~ view public\.v:"):
        require_same_code(views(v="SELECT 9 AS a"), PLAN, bundle)


def test_what_the_migration_drops_may_be_gone() -> None:
    after = Schema({"view": {"public.v2": VIEWS["public.v2"]}})
    require_same_code(after, PLAN, make_bundle(PLAN, views(), after))
