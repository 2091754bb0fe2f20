"""What the estimates rest on: rows, indexes, expressions, transactions; no server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.estimate import Basis, Costs, Estimate, Profile, Statistics
from migrator.estimate.model import ColumnStatistics, Traffic
from migrator.facts import CatalogFacts, ColumnFacts, ConstraintFacts, IndexFacts, RelationFacts
from migrator.inspection import inspect
from migrator.plan import Risk
from migrator.statements import parse

pytestmark = pytest.mark.unit

MILLION = 1_000_000


def table(rows: int = MILLION, *, indexes: int = 1) -> RelationFacts:
    found = tuple(
        IndexFacts(f"public.t_{number}", False, True, (column,), definition="")
        for number, column in enumerate(("id", "email", "a", "created")[:indexes])
    )
    columns = {
        "id": ColumnFacts("bigint", False),
        "a": ColumnFacts("integer", False),
        "email": ColumnFacts("text", False, "en_US"),
        "created": ColumnFacts("timestamp with time zone", False),
    }
    checks = (ConstraintFacts("later", "c", False, "CHECK ((a > 0))", ("a",)),)
    return RelationFacts("public.t", "r", rows, rows * 150, columns, checks, found)


def facts(relation: RelationFacts | None = None) -> CatalogFacts:
    relation = relation or table()
    indexes = {item.name: RelationFacts(item.name, "i", table="public.t") for item in relation.indexes}
    return CatalogFacts(160000, relations={"public.t": relation, **indexes})


def estimates(sql: str, relation: RelationFacts | None = None, basis: Basis | None = None) -> list[Estimate]:
    parsed = parse(sql, file="f.sql")
    found = inspect((parsed,), facts=facts(relation), basis=basis).estimates
    return [found["f.sql", number] for number in range(len(parsed.statements))]


def seconds(sql: str, relation: RelationFacts | None = None, basis: Basis | None = None) -> float:
    return estimates(sql, relation, basis)[0].seconds_p50


def test_without_a_catalog_there_is_no_estimate() -> None:
    assert not inspect((parse("ALTER TABLE t ALTER a SET NOT NULL", file="f.sql"),)).estimates


def test_catalog_changes_cost_nothing_to_speak_of() -> None:
    assert seconds("ALTER TABLE t ADD COLUMN flag boolean DEFAULT false") == Costs().statement
    assert seconds("TRUNCATE t") == Costs().statement


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ALTER a SET NOT NULL",
        "ALTER TABLE t ALTER a TYPE bigint",
        "CREATE INDEX ON t (email)",
        "UPDATE t SET a = 1",
        "REINDEX TABLE t",
    ],
)
def test_ten_times_the_rows_take_about_ten_times_as_long(sql: str) -> None:
    small, large = seconds(sql, table(MILLION)), seconds(sql, table(10 * MILLION))
    assert 8 < (large - Costs().statement) / (small - Costs().statement) < 16


def test_each_index_of_a_rewritten_table_is_built_again() -> None:
    sql = "ALTER TABLE t ALTER a TYPE bigint"
    (one,), (four,) = estimates(sql, table(indexes=1)), estimates(sql, table(indexes=4))
    assert four.seconds_p50 > 2 * one.seconds_p50
    assert four.wal_bytes > one.wal_bytes
    assert [text for text in four.work if "builds index public.t_1" in text]


def test_rows_that_the_planner_expects_decide_about_data() -> None:
    sql = "UPDATE t SET a = 1 WHERE id < 10"
    digest = parse(sql, file="f.sql").statements[0].digest
    few = seconds(sql, basis=Basis(statistics=Statistics(rows={digest: 9})))
    assert few < seconds(sql) / 5


def test_keys_in_order_are_cheaper_than_others() -> None:
    ordered = Statistics(columns={("public.t", "a"): ColumnStatistics(4, 1.0)})
    random = Statistics(columns={("public.t", "a"): ColumnStatistics(4, 0.01)})
    sql = "CREATE INDEX ON t (a)"
    assert seconds(sql, basis=Basis(statistics=ordered)) < seconds(sql, basis=Basis(statistics=random))
    assert seconds("CREATE INDEX ON t (email)") > 2 * seconds(sql)


def test_expressions_cost_by_what_they_do() -> None:
    cheap = seconds("ALTER TABLE t ADD CHECK (a > 0)")
    pattern = seconds("ALTER TABLE t ADD CHECK (email ~ 'x')")
    unknown = seconds("ALTER TABLE t ADD CHECK (ours(a))")
    assert cheap < pattern < unknown


def test_locks_are_held_to_the_end_of_the_transaction() -> None:
    first, second = estimates("ALTER TABLE t ADD CHECK (a > 0) NOT VALID; ALTER TABLE t ALTER a TYPE bigint")
    assert first.seconds_p50 < 0.1
    assert first.hold_seconds == pytest.approx(first.seconds_p50 + second.seconds_p50, abs=0.001)
    assert second.hold_seconds == second.seconds_p50


def test_alone_a_statement_holds_its_locks_no_longer_than_it_runs() -> None:
    first, _ = estimates("CREATE INDEX CONCURRENTLY x ON t (a); CREATE INDEX CONCURRENTLY y ON t (email)")
    assert first.hold_seconds == first.seconds_p50


def test_a_do_block_costs_what_runs_inside() -> None:
    (block,) = estimates("DO $$ BEGIN UPDATE t SET a = 1; END $$")
    assert block.seconds_p50 >= seconds("UPDATE t SET a = 1")


def test_a_calibrated_profile_narrows_the_range_and_says_when() -> None:
    from datetime import datetime, timezone

    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    (default,) = estimates("UPDATE t SET a = 1")
    (measured,) = estimates("UPDATE t SET a = 1", basis=Basis(Profile(calibrated_at=when)))
    assert measured.seconds_p90 < default.seconds_p90
    assert default.basis == "default costs"
    assert "2026-01-02" in measured.basis


def test_unlogged_and_minimal_write_no_wal() -> None:
    (unlogged,) = estimates("ALTER TABLE t SET UNLOGGED", table(indexes=0))
    assert unlogged.wal_bytes == 0
    minimal = Basis(replace(Profile(), wal_minimal=True))
    assert estimates("ALTER TABLE t ALTER a TYPE bigint", basis=minimal)[0].wal_bytes == 0


def test_a_new_index_stays_and_an_old_heap_goes() -> None:
    (index,) = estimates("CREATE INDEX ON t (email)")
    (rewrite,) = estimates("ALTER TABLE t ALTER a TYPE bigint")
    assert index.final_bytes > 10 * MILLION
    assert index.temporary_bytes == 0 or index.final_bytes > 64 * 1024 * 1024
    assert rewrite.final_bytes == 0
    assert rewrite.temporary_bytes >= 150 * MILLION


def test_who_makes_many_wait_has_a_high_risk() -> None:
    busy = Basis(traffic={"public.t": Traffic(reads=5000.0)})
    sql = parse("ALTER TABLE t ADD CHECK (email ~ 'x')", file="f.sql")
    quiet = inspect((sql,), facts=facts())
    loud = inspect((sql,), facts=facts(), basis=busy)
    assert (quiet.classification.risk, loud.classification.risk) == (Risk.MEDIUM, Risk.HIGH)
    assert any("queries come" in reason for reason in loud.classification.reasons)
    (wait,) = loud.waits
    assert wait.waiting == pytest.approx(5000 * wait.hold_seconds, rel=0.01)


def test_a_long_rewrite_has_a_high_risk_whoever_uses_the_table() -> None:
    sql = parse("ALTER TABLE t ALTER a TYPE bigint", file="f.sql")
    assert inspect((sql,), facts=facts(table(100_000))).classification.risk is Risk.MEDIUM
    assert inspect((sql,), facts=facts(table(50 * MILLION))).classification.risk is Risk.HIGH
