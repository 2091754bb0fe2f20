"""What may have changed of the code that a step runs which is done in part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from migrator.database.queries import load
from migrator.database.schema import OF_ROLES, Schema
from migrator.database.vocabulary import vocabulary
from migrator.errors import DriftDetected
from migrator.evidence import EvidenceBundle
from migrator.gates.drift import foreign_code, require_same_code, start_of
from migrator.gates.rehearsed import PASSIVE_KINDS, Reached
from migrator.gates.unheard import WHOLE
from migrator.ledger.rows import STATEMENTS_DONE, LedgerStep, StepStatus
from migrator.plan import Plan
from migrator.rehearsal.states import States
from tests.evidence import make_bundle
from tests.factories import plan_from_sql
from tests.unit.ledger_rows import step_row

VIEWS = {"public.v": "SELECT 1 AS a", "public.v2": "SELECT 2 AS a"}
PLAN = plan_from_sql("CREATE OR REPLACE VIEW v2 AS SELECT 3 AS a", "SELECT 1")


def views(**over: str) -> Schema:
    return Schema({"view": {**VIEWS, **{f"public.{name}": text for name, text in over.items()}}})


def rehearsed_as(plan: Plan, *schemas: Schema, **over: Any) -> EvidenceBundle:
    """From the first, by a statement each."""
    states = States(
        lambda: now, lambda: reached, before=schemas[0], start=schemas[0], known=vocabulary(plan, schemas[0])
    )
    for done in range(1, len(schemas)):
        now, reached = schemas[done], Reached(plan.steps[0].name, done)
        states.went_on()
    return make_bundle(plan, schemas[0], schemas[-1], states=states.taken(), **over)


def rows(plan: Plan, done: int, state: str = "done") -> tuple[LedgerStep, ...]:
    cursor = {"statement": done, "state": state, STATEMENTS_DONE: done}
    digests = tuple("" for _ in plan.steps[0].statements)
    return (step_row(step=plan.steps[0].name, status=StepStatus.RUNNING, cursor=cursor, statement_digests=digests),)


REPLACED = views(v2="SELECT 3 AS a")


@pytest.mark.parametrize("text", ["SELECT 9 AS a", VIEWS["public.v2"]])
def test_what_the_migration_has_changed_is_as_it_left_it(text: str) -> None:
    bundle = rehearsed_as(PLAN, views(), REPLACED)
    require(REPLACED, PLAN, bundle, *rows(PLAN, 1))
    with pytest.raises(DriftDetected, match=r"~ view public\.v2:"):
        require(views(v2=text), PLAN, bundle, *rows(PLAN, 1))
    with pytest.raises(DriftDetected, match=r"~ view public\.v2:"):
        require(REPLACED, PLAN, bundle)
    with pytest.raises(DriftDetected, match=r"~ view public\.v:"):
        require(views(v="SELECT 9 AS a", v2="SELECT 3 AS a"), PLAN, bundle, *rows(PLAN, 1))


def test_a_statement_that_was_interrupted_is_done_or_not_or_half() -> None:
    plan = plan_from_sql("CREATE INDEX CONCURRENTLY i ON t (a)", "", transaction=False)
    text = "CREATE INDEX i ON public.t USING btree (a)"
    before, after = Schema({}), Schema({"index": {"public.i": text}})
    half, other = (Schema({"index": {"public.i": f"{one} [invalid]"}}) for one in (text, text.replace("a", "b")))
    bundle = rehearsed_as(plan, before, after)
    for now in (before, after, half):
        require(now, plan, bundle, *rows(plan, 0, "intent"))
    for now, place in ((other, rows(plan, 0, "intent")), (half, rows(plan, 1)), (before, rows(plan, 1))):
        with pytest.raises(DriftDetected):
            require(now, plan, bundle, *place)


def test_an_index_of_a_partition_may_be_there_before_it_is_attached() -> None:
    plan = plan_from_sql("CREATE INDEX CONCURRENTLY i ON t (a)", "", transaction=False)
    part, other = (f"CREATE INDEX t_1_i ON public.t_1 USING btree ({column})" for column in "ab")
    after = Schema({"index": {"public.t_1_i": f"{part} attached to public.i"}})
    bundle = rehearsed_as(plan, Schema({}), after)
    for text in (part, f"{part} [invalid]"):
        require(Schema({"index": {"public.t_1_i": text}}), plan, bundle, *rows(plan, 0, "intent"))
    for text, place in ((other, rows(plan, 0, "intent")), (part, rows(plan, 1))):
        with pytest.raises(DriftDetected):
            require(Schema({"index": {"public.t_1_i": text}}), plan, bundle, *place)


@pytest.mark.parametrize(
    "copy, is_one",
    [
        ("INDEX i_ccnew ON public.t USING btree (a) [invalid]", True),
        ("INDEX i_ccold1 ON public.t USING btree (a) [invalid]", True),
        ("UNIQUE INDEX t_pkey_ccnew ON public.t USING btree (id) [invalid]", True),
        ("INDEX i_ccnew ON public.t USING btree (a)", False),
        ("UNIQUE INDEX i_ccnew ON public.t USING btree (a) [invalid]", False),
        ("INDEX i_ccnew ON public.t USING btree (f(a)) [invalid]", False),
        ("INDEX i_ccnew ON public.u USING btree (a) [invalid]", False),
        ("UNIQUE INDEX t_pkey_ccnew ON public.t USING btree (id) WHERE id > f() [invalid]", False),
    ],
)
def test_what_an_interrupted_reindex_leaves_runs_what_its_index_runs(copy: str, is_one: bool) -> None:
    plan = plan_from_sql("REINDEX TABLE CONCURRENTLY t", "", transaction=False)
    indexes = {"public.i": "CREATE INDEX i ON public.t USING btree (a) attached to public.p_i"}
    key = {"constraint": {"public.t.t_pkey": "PRIMARY KEY (id)"}}
    before = Schema({"index": indexes, **key})
    now = Schema({"index": {**indexes, "public.copy": f"CREATE {copy}"}, **key})
    bundle = rehearsed_as(plan, before, before)
    with nullcontext() if is_one else pytest.raises(DriftDetected):
        require(now, plan, bundle, *rows(plan, 0, "intent"))
    with pytest.raises(DriftDetected):
        require(now, plan, bundle, *rows(plan, 1))


def test_a_way_back_that_was_interrupted_has_left_a_part() -> None:
    made, gone = views(w="SELECT 1"), Schema({"view": {"public.v": VIEWS["public.v"]}})
    undoing = rehearsed_as(PLAN, made, views(), gone).dry_run.states
    bundle = rehearsed_as(PLAN, views(), made, undoing=undoing)
    start = start_of(bundle)
    for now in (made, views(), gone):
        assert not foreign_code(now, PLAN, start, rows(PLAN, 1), path="", undone_in_part=True)
    assert foreign_code(gone, PLAN, start, rows(PLAN, 1), path="")
    assert foreign_code(views(v="SELECT 9"), PLAN, start, rows(PLAN, 1), path="", undone_in_part=True)


def test_names_made_of_rows_are_known_by_the_whole_alone() -> None:
    """And not told."""
    made = views(canary="SELECT 1")
    bundle = rehearsed_as(PLAN, views(), made)
    require(made, PLAN, bundle, *rows(PLAN, 1))
    with pytest.raises(DriftDetected) as refused:
        require(views(canary="SELECT 1", v="SELECT 9"), PLAN, bundle, *rows(PLAN, 1))
    assert "view public.v:" in str(refused.value)
    assert "canary" not in str(refused.value)


def kinds_that_are_read() -> set[str]:
    text = "\n".join(load("migrator.database", "schema").values())
    return set(re.findall(r"(?:select|^   ) '([a-z_]+)'(?: as kind)?,", text, re.MULTILINE))


def require(now: Schema, plan: Plan, bundle: EvidenceBundle, *rows: LedgerStep, path: str = "public") -> None:
    require_same_code(now, plan, bundle, rows, path=path)


def test_every_kind_that_is_not_passive_is_looked_at() -> None:
    """A kind that is new in the schema counts until somebody says that it runs nothing."""
    kinds = kinds_that_are_read()
    assert {"used_by", "extension_member", "operator_family", "trigger", "constraint", "event_trigger"} <= kinds
    for kind in sorted(kinds - PASSIVE_KINDS):
        now = Schema({**views().objects, kind: {"public.v": "other"}})
        with pytest.raises(DriftDetected):
            require(now, PLAN, make_bundle(PLAN, views(), views()))
        if kind not in WHOLE:
            now = Schema({**views().objects, kind: {"public.unheard_of": "other"}})
            with pytest.raises(DriftDetected):
                require(now, PLAN, make_bundle(PLAN, views(), views()))
    for kind in PASSIVE_KINDS:
        assert kind in kinds | set(OF_ROLES), kind
        require(Schema({**views().objects, kind: {"x": "y"}}), PLAN, make_bundle(PLAN, views(), views()))


def with_table(name: str, **over: Mapping[str, str]) -> Schema:
    parts = {"column": {f"{name}.a": "text default v"}, **over}
    part_of = {f"{kind} {one}": f"table {name}" for kind in parts for one in parts[kind]}
    return Schema({**views().objects, "table": {name: "table"}, **parts}, part_of)


def test_a_new_table_counts_when_somebody_may_mean_it() -> None:
    bundle = make_bundle(PLAN, views(), views())
    fine = with_table("public.unheard_of", constraint={"public.unheard_of.v": "CHECK (a > 0)"})
    require(fine, PLAN, bundle)
    for named in (
        with_table("app.v2"),
        with_table('app."V"'),
        with_table("app.fine", index={"app.v": "CREATE INDEX"}),
        with_table("app.fine", constraint={"app.fine.v": "UNIQUE (a)"}),
        with_table("app.fine", constraint={"app.fine.a_fkey": "FOREIGN KEY (a) REFERENCES v(a)"}),
        with_table("app.fine", trigger={"app.fine.audit": "CREATE TRIGGER"}),
    ):
        with pytest.raises(DriftDetected):
            require(named, PLAN, bundle)


@pytest.mark.parametrize("sql", ["DO $$BEGIN EXECUTE 'SELECT 1'; END$$", "SELECT make()", 'SELECT U&"d\\0061ta"'])
def test_where_names_are_made_at_run_time_any_may_be_meant(sql: str) -> None:
    plan = plan_from_sql(sql, "SELECT 1", transaction=False)
    make = {"public.make()": "CREATE FUNCTION make() ... BEGIN EXECUTE format('DROP TABLE %I', a); END"}
    before = Schema({"function": make})
    now = Schema({**before.objects, "table": {"public.unheard_of": "table"}})
    with pytest.raises(DriftDetected):
        require(now, plan, make_bundle(plan, before, before))
    require(now, PLAN, make_bundle(PLAN, before, before))
    trigger = plan_from_sql("CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()", "SELECT 1")
    require(now, trigger, make_bundle(trigger, before, before))


def test_schemas_in_which_names_are_looked_up() -> None:
    before = replace(views(), role="deployer")
    bundle = make_bundle(PLAN, before, before)
    for name in ("app", "deployer"):
        now = replace(before, objects={**before.objects, "schema": {name: ""}})
        with pytest.raises(DriftDetected):
            require(now, PLAN, bundle, path='"$user", app, public')
    now = replace(before, objects={**before.objects, "schema": {"apart": ""}, "grant": {"schema apart": "+USAGE"}})
    require(replace(now, part_of={"grant schema apart": "schema apart"}), PLAN, bundle, path="app, public")
    opened = replace(before, objects={**before.objects, "grant": {"schema app": "+USAGE to deployer"}})
    with pytest.raises(DriftDetected):
        require(opened, PLAN, bundle)


def test_nothing_new_passes_among_names_made_of_rows() -> None:
    bundle = rehearsed_as(PLAN, views(), views(canary="SELECT 1"))
    now = Schema({**views(canary="SELECT 1").objects, "table": {"public.unheard_of": "table"}})
    with pytest.raises(DriftDetected):
        require(now, PLAN, bundle, *rows(PLAN, 1))
