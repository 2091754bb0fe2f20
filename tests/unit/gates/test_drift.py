"""What may have changed of the code that a step runs which is done in part."""

from __future__ import annotations

import re

import pytest

from migrator.database.queries import load
from migrator.database.schema import OF_ROLES, Schema
from migrator.errors import DriftDetected
from migrator.gates.drift import CHANGED_KINDS, PASSIVE_KINDS, require_same_code
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


def kinds_that_are_read() -> set[str]:
    text = "\n".join(load("migrator.database", "schema").values())
    return set(re.findall(r"(?:select|^   ) '([a-z_]+)'(?: as kind)?,", text, re.MULTILINE))


def test_every_kind_that_is_not_passive_is_looked_at() -> None:
    """A kind that is new in the schema counts until somebody says that it runs nothing."""
    kinds = kinds_that_are_read()
    assert {"used_by", "extension_member", "operator_family", "trigger", "constraint", "event_trigger"} <= kinds
    for kind in sorted(kinds - PASSIVE_KINDS - CHANGED_KINDS):
        now = Schema({**views().objects, kind: {"public.new": "other"}})
        with pytest.raises(DriftDetected):
            require_same_code(now, PLAN, make_bundle(PLAN, views(), views()))
    for kind in PASSIVE_KINDS:
        assert kind in kinds | set(OF_ROLES), kind
        require_same_code(Schema({**views().objects, kind: {"x": "y"}}), PLAN, make_bundle(PLAN, views(), views()))


def test_what_comes_with_a_table_of_the_migration_is_its_own() -> None:
    plan = plan_from_sql("CREATE TABLE tmp (id int PRIMARY KEY); VACUUM; DROP TABLE tmp;", "", transaction=False)
    before = Schema({})
    bundle = make_bundle(plan, before, before)
    half = Schema(
        {
            "table": {"public.tmp": "table"},
            "constraint": {"public.tmp.tmp_pkey": "PRIMARY KEY (id)"},
            "index": {"public.tmp_pkey": "..."},
        },
        {"constraint public.tmp.tmp_pkey": "table public.tmp", "index public.tmp_pkey": "table public.tmp"},
    )
    require_same_code(half, plan, bundle)
    foreign = Schema(
        {**half.objects, "trigger": {"public.tmp.audit": "CREATE TRIGGER"}},
        {**half.part_of, "trigger public.tmp.audit": "table public.tmp"},
    )
    with pytest.raises(DriftDetected, match=r"trigger public\.tmp\.…|trigger public\.tmp\.audit"):
        require_same_code(foreign, plan, bundle)
