"""A migration after which no backup could be restored does not pass its dry run."""

from __future__ import annotations

import psycopg
import pytest

from migrator.backups import later_backup
from migrator.database.session import Endpoint, connect
from migrator.evidence import DryRunEvidence, Verdict
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import SHOP, check_of, failed, make_copy, rehearse

LOOSE = """
CREATE FUNCTION known(tenant bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN tenant IS NULL OR EXISTS (SELECT FROM tenants WHERE id = tenant); END $$;
CREATE FUNCTION short(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN left(t, 3); END $$;
CREATE FUNCTION shorter(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN short(t); END $$;
"""
DROP = "DROP FUNCTION shorter; DROP FUNCTION short; DROP FUNCTION known;"
BREAKING = {
    "CHECK": (
        f"{LOOSE} ALTER TABLE messages ADD CONSTRAINT is_known CHECK (known(tenant_id));",
        f"ALTER TABLE messages DROP CONSTRAINT is_known; {DROP}",
    ),
    "generated column": (
        f"{LOOSE} ALTER TABLE messages ADD COLUMN brief text GENERATED ALWAYS AS (shorter(body)) STORED;",
        f"ALTER TABLE messages DROP COLUMN brief; {DROP}",
    ),
    "domain": (
        f"{LOOSE} CREATE DOMAIN brief AS text CHECK (shorter(VALUE) <> ''); ALTER TABLE messages ADD COLUMN b brief;"
        "UPDATE messages SET b = 'x';",
        f"ALTER TABLE messages DROP COLUMN b; DROP DOMAIN brief; {DROP}",
    ),
    "domain inside": (
        f"{LOOSE} CREATE DOMAIN brief AS text CHECK (shorter(VALUE) <> ''); CREATE TYPE pair AS (a int, b brief[]);"
        "ALTER TABLE messages ADD COLUMN b pair; UPDATE messages SET b = (1, ARRAY['x']);",
        f"ALTER TABLE messages DROP COLUMN b; DROP TYPE pair; DROP DOMAIN brief; {DROP}",
    ),
    "partition": (
        f"{LOOSE} CREATE TABLE part (id bigint, t text CHECK (shorter(t) <> '')) PARTITION BY LIST (id);"
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1); INSERT INTO part VALUES (1, 'x');",
        f"DROP TABLE part; {DROP}",
    ),
}


@pytest.mark.parametrize("kind", BREAKING)
def test_what_a_restore_would_not_find_fails_the_dry_run(copies: Endpoint, kind: str) -> None:
    copy = make_copy(copies)
    failure = failed(plan_from_sql(*BREAKING[kind]), copies, copy)
    check = check_of(failure.evidence, "later_backup")
    assert check.verdict is Verdict.FAILED
    assert "cannot be restored" in check.detail
    function = "known(bigint)" if kind == "CHECK" else "shorter(text)"
    assert f"ALTER FUNCTION public.{function} SET search_path = public, pg_temp" in check.detail


def test_a_path_of_its_own_lets_it_pass(copies: Endpoint) -> None:
    up, down = BREAKING["generated column"]
    mended = "ALTER FUNCTION shorter(text) SET search_path = public, pg_temp; ALTER TABLE messages"
    evidence = rehearse(plan_from_sql(up.replace("ALTER TABLE messages", mended), down), copies, make_copy(copies))
    assert passed_with(evidence) == "the schema and the rows of public.messages"


READS = """
CREATE FUNCTION known(tenant bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp
AS $$ BEGIN RETURN EXISTS (SELECT FROM {table} WHERE id = tenant); END $$;
ALTER TABLE messages ADD CONSTRAINT is_known CHECK (known(tenant_id));
"""
UNREAD = "ALTER TABLE messages DROP CONSTRAINT is_known; DROP FUNCTION known"


def test_what_reads_a_table_that_is_filled_later_cannot_be_restored(copies: Endpoint) -> None:
    failure = failed(plan_from_sql(READS.format(table="tenants"), UNREAD), copies, make_copy(copies))
    assert "read other tables" in check_of(failure.evidence, "later_backup").detail


def test_what_reads_a_table_that_is_filled_before_passes(copies: Endpoint) -> None:
    """Its rows are not tried at first."""
    copy = make_copy(copies, f"{SHOP} CREATE TABLE earlier AS SELECT * FROM tenants;")
    assert "messages" in passed_with(rehearse(plan_from_sql(READS.format(table="earlier"), UNREAD), copies, copy))


OLD = f"""{SHOP} {LOOSE}
ALTER FUNCTION shorter(text) SET search_path = public, pg_temp;
ALTER TABLE messages ADD CONSTRAINT is_short CHECK (shorter(body) <> '');
"""


def test_a_function_that_changes_below_an_old_check_is_tried(copies: Endpoint) -> None:
    copy = make_copy(copies, OLD)
    plan = plan_from_sql(
        "ALTER FUNCTION shorter(text) RESET search_path;",
        "ALTER FUNCTION shorter(text) SET search_path = public, pg_temp;",
    )
    assert "later_backup" in str(failed(plan, copies, copy))


def test_what_moves_away_from_under_a_function_is_found(copies: Endpoint) -> None:
    copy = make_copy(copies, OLD)
    plan = plan_from_sql(
        "CREATE SCHEMA other; ALTER FUNCTION short(text) SET SCHEMA other;",
        "ALTER FUNCTION other.short(text) SET SCHEMA public; DROP SCHEMA other;",
    )
    assert "later_backup" in str(failed(plan, copies, copy))


def test_rows_stay_out_where_nothing_concerns_them(copies: Endpoint) -> None:
    evidence = rehearse(
        plan_from_sql("CREATE TABLE later (id bigint PRIMARY KEY)", "DROP TABLE later"), copies, make_copy(copies, OLD)
    )
    assert passed_with(evidence) == "the schema"


def test_a_table_without_rows_is_told_as_one(copies: Endpoint) -> None:
    made = "ALTER FUNCTION shorter(text) SET search_path = public, pg_temp;"
    parted = (
        "CREATE TABLE parted (id bigint, t text CHECK (shorter(t) <> '')) PARTITION BY LIST (id);"
        "CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1); CREATE TABLE part_2 PARTITION OF parted DEFAULT;"
        "INSERT INTO parted VALUES (1, 'x'); CREATE TABLE fresh (t text CHECK (shorter(t) <> ''));"
    )
    plan = plan_from_sql(f"{LOOSE} {made} {parted}", f"DROP TABLE fresh; DROP TABLE parted; {DROP}")
    told = passed_with(rehearse(plan, copies, make_copy(copies))).removeprefix("the schema and the rows of ")
    empty = {"public.fresh (no rows to try)", "public.part_2 (no rows to try)"}
    assert set(told.split(", ")) == {"public.parted", "public.part_1", *empty}


F = "CREATE FUNCTION f(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;"
INSIDE = f"""{F}
CREATE DOMAIN d AS text CHECK (f(VALUE)); CREATE DOMAIN d_d AS d; CREATE DOMAIN d_l AS d[];
CREATE TYPE c AS (a int, b d); CREATE DOMAIN d_c AS c;
CREATE TYPE r AS RANGE (subtype = d, subtype_opclass = text_ops, multirange_type_name = m);
CREATE TYPE gone AS (a int, b d); ALTER TYPE gone DROP ATTRIBUTE b; CREATE TABLE part OF c;
"""
HOLDING = ("d", "d[]", "d_d", "d_l", "c", "c[]", "d_c", "r", "m", "part")


def test_domains_inside_other_types_concern_a_table(make_database: MakeDatabase) -> None:
    tables = {f"t_{at}": name for at, name in enumerate((*HOLDING, "gone", "text", "int4range"))}
    script = "".join(f"CREATE TABLE {table} (b {name});" for table, name in tables.items())
    with connect(make_database(script=INSIDE + script), purpose="observe") as conn:
        found = later_backup._concerned(conn)
    assert {tables.get(one.name.removeprefix("public."), "itself") for one in found} == {*HOLDING, "itself"}
    assert {one.loose for one in found} == {("public.f(text)",)}


CLASS = """
CREATE FUNCTION compared(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN a - b; END $$;
CREATE OPERATOR CLASS odd FOR TYPE int USING btree AS
OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compared(int, int);
CREATE TABLE t (b int); CREATE INDEX ON t (b odd);
"""


def test_an_operator_class_is_told_by_its_functions(database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser) as conn:
        conn.execute(CLASS)
    with connect(database, purpose="observe") as conn:
        (found,) = later_backup._concerned(conn)
    assert (found.name, found.loose) == ("public.t", ("public.compared(integer,integer)",))


def passed_with(evidence: DryRunEvidence) -> str:
    check = check_of(evidence, "later_backup")
    assert (evidence.verdict, check.verdict) == (Verdict.PASSED, Verdict.PASSED)
    return check.detail
