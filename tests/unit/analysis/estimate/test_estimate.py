"""What the estimates rest on: rows, indexes, expressions, transactions; no server."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from migrator.analysis.estimate import Basis, Costs, Estimate, Profile, Statistics
from migrator.analysis.estimate.keys import Keys
from migrator.analysis.estimate.model import ColumnStatistics, Traffic
from migrator.analysis.estimate.trials import Trials
from migrator.analysis.inspection import Inspection, inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.walk.pending import Before, Earlier
from migrator.facts.facts import (
    CatalogFacts,
    ColumnFacts,
    ConstraintFacts,
    FunctionFacts,
    IndexFacts,
    RelationFacts,
    TriggerFacts,
)
from migrator.parsing.statements import parse
from migrator.plan import Risk

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
    found = inspect(Sources((parsed,)), Known(facts=facts(relation), basis=basis)).estimates
    return [found["f.sql", number] for number in range(len(parsed.statements))]


def seconds(sql: str, relation: RelationFacts | None = None, basis: Basis | None = None) -> float:
    return estimates(sql, relation, basis)[0].seconds_p50


def test_without_a_catalog_there_is_no_estimate() -> None:
    assert not inspect(Sources((parse("ALTER TABLE t ALTER a SET NOT NULL", file="f.sql"),))).estimates


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
def test_in_memory_ten_times_the_rows_take_about_ten_times_as_long(sql: str) -> None:
    roomy = Basis(Profile(shared_buffers=1 << 36, maintenance_work_mem=1 << 36, parallel_workers=0))
    small, large = seconds(sql, table(MILLION), roomy), seconds(sql, table(10 * MILLION), roomy)
    assert 8 < (large - Costs().statement) / (small - Costs().statement) < 16


def test_what_does_not_fit_into_memory_is_read() -> None:
    sql = "ALTER TABLE t ALTER a SET NOT NULL"
    cached, system, disk = (
        seconds(sql, basis=Basis(Profile(shared_buffers=buffers, effective_cache_size=cache)))
        for buffers, cache in ((1 << 30, 1 << 32), (1 << 20, 1 << 32), (1 << 20, 1 << 21))
    )
    pages = MILLION * 150 / 8192 / 1e6
    assert system - cached == pytest.approx(pages * Costs().page_read, rel=0.02)
    assert disk - system == pytest.approx(pages * Profile().disk_read, rel=0.02)


def test_scattered_keys_of_an_index_larger_than_memory_cost_a_page_each() -> None:
    sql = "INSERT INTO t SELECT * FROM t"
    digest = parse(sql, file="f.sql").statements[0].digest

    def insert(correlation: float, buffers: int) -> float:
        known = Statistics({("public.t", "id"): ColumnStatistics(8, correlation)}, {digest: MILLION})
        return seconds(sql, basis=Basis(Profile(shared_buffers=buffers), known))

    assert insert(0.0, 1 << 20) > insert(0.0, 1 << 30) + Costs().page_miss / 2
    assert insert(1.0, 1 << 20) == insert(1.0, 1 << 30)


@pytest.mark.parametrize(
    "method, built, placed",
    [
        ("gin", "gin_entry", "gin_place"),
        ("gist", "gist_build", "gist_place"),
        ("hash", "hash_build", "hash_place"),
        ("brin", "brin_build", "brin_place"),
    ],
)
def test_each_access_method_has_costs_of_its_own(method: str, built: str, placed: str) -> None:
    relation = table()
    indexed = replace(relation, indexes=(replace(relation.indexes[0], method=method),))

    def dear(cost: str) -> Basis:
        return Basis(Profile(costs=replace(Costs(), **{cost: 100.0})))

    create, insert = f"CREATE INDEX ON t USING {method} (id)", "INSERT INTO t SELECT * FROM t"
    digest = parse(insert, file="f.sql").statements[0].digest
    rows = Statistics(rows={digest: 1000})
    assert seconds(create, table(indexes=0), dear(built)) > 10 * seconds(create, table(indexes=0))
    assert seconds(insert, indexed, replace(dear(placed), statistics=rows)) > 3 * seconds(
        insert, indexed, Basis(statistics=rows)
    )
    assert seconds("REINDEX TABLE t", indexed, dear(built)) > 10 * seconds("REINDEX TABLE t", indexed)


def test_builds_are_parallel_where_memory_and_settings_allow_it() -> None:
    costs = replace(Costs(), parallel_one=0.5, parallel_more=0.25)
    sql = "CREATE INDEX ON t (email)"
    alone, one, more, narrow = (
        seconds(sql, basis=Basis(Profile(costs, parallel_workers=workers, maintenance_work_mem=memory << 20)))
        for workers, memory in ((0, 256), (1, 256), (4, 256), (4, 32))
    )
    assert one == pytest.approx(alone / 2, rel=0.02)
    assert more == pytest.approx(alone / 4, rel=0.02)
    assert narrow >= alone  # and the sort spills


def test_row_triggers_cost_by_the_statements_in_them() -> None:
    body = "BEGIN\n  INSERT INTO log VALUES (1);\n  PERFORM f();\n  RETURN NEW;\nEND"
    plain = table(indexes=0)

    def update(*triggers: TriggerFacts) -> Estimate:
        known = replace(
            facts(replace(plain, triggers=triggers)),
            functions={"log": (FunctionFacts("v", 0, 0, "public", language="plpgsql", body=body),)},
        )
        found = inspect(Sources((parse("UPDATE t SET a = 1", file="f.sql"),)), Known(facts=known))
        return found.estimates["f.sql", 0]

    log = TriggerFacts("log", "public.log", frozenset({"UPDATE"}))
    none, fired = update(), update(log)
    assert fired.seconds_p50 - none.seconds_p50 == pytest.approx(Costs().trigger + 2 * Costs().trigger_query, rel=0.01)
    assert "fires 1 triggers for each row, with 2 SQL statements" in fired.work
    for other in (
        replace(log, enabled="D"),
        replace(log, for_each_row=False),
        replace(log, events=frozenset({"DELETE"})),
    ):
        assert update(other).seconds_p50 == none.seconds_p50


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


class BusyServer:
    """Stands for a connection: a statement takes as many milliseconds as it says, and what takes longer than a slice
    of the scheduler `factor` times as long. It is the clock as well."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.now = 0.0

    @contextmanager
    def transaction(self, *, force_rollback: bool) -> Iterator[None]:
        yield

    def execute(self, statement: bytes) -> None:
        words = statement.decode().split()
        takes = (
            int(words[1]) / 1000 if words[0] == "TAKE" else int(re.findall(r"1, (\d+)", statement.decode())[0]) / 1e5
        )
        self.now += takes * (self.factor if takes > 0.003 else 1.0)


def test_a_busy_server_is_known_by_a_calculation_that_takes_longer_than_alone() -> None:
    server = BusyServer()
    trials = Trials(cast(Any, server), lambda: server.now)
    trials.begin_round()
    assert trials.seconds("TAKE 10", times=2) == pytest.approx(0.010)
    assert trials.seconds("TAKE 20", times=2) == pytest.approx(0.020)
    assert trials.noise() == (1.0, 1.0)
    server.factor = 3
    trials.begin_round()
    assert trials.seconds("TAKE 10", times=5) == pytest.approx(0.010)  # the shortest of all rounds
    trials.seconds("TAKE 20", times=5)
    assert trials.noise() == (2.0, 3.0)  # half of the calculations took three times as long


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
    quiet = inspect(Sources((sql,)), Known(facts=facts()))
    loud = inspect(Sources((sql,)), Known(facts=facts(), basis=busy))
    assert (quiet.classification.risk, loud.classification.risk) == (Risk.MEDIUM, Risk.HIGH)
    assert any("queries come" in reason for reason in loud.classification.reasons)
    (wait,) = loud.waits
    assert wait.waiting == pytest.approx(5000 * wait.hold_seconds, rel=0.01)


def test_a_long_rewrite_has_a_high_risk_whoever_uses_the_table() -> None:
    sql = parse("ALTER TABLE t ALTER a TYPE bigint", file="f.sql")
    assert inspect(Sources((sql,)), Known(facts=facts(table(100_000)))).classification.risk is Risk.MEDIUM
    assert inspect(Sources((sql,)), Known(facts=facts(table(50 * MILLION)))).classification.risk is Risk.HIGH


def test_a_query_that_runs_in_parallel_reads_faster() -> None:
    sql = "CREATE TABLE other AS SELECT a, count(*) FROM t GROUP BY a"
    digest = parse(sql, file="f.sql").statements[0].digest
    alone, three = (
        seconds(sql, basis=Basis(statistics=Statistics(rows={digest: 1}, workers={digest: n}))) for n in (0, 2)
    )
    assert three == pytest.approx(alone / 2.4, rel=0.05)


def test_what_decides_about_the_order_of_keys_decides_about_a_build() -> None:
    costs = replace(Costs(), compare_numeric=1.0, compare_tied=2.0)
    relation = table(indexes=0)
    columns = {**relation.columns, "price": ColumnFacts("numeric(10,2)", False)}
    relation = replace(relation, columns=columns)
    few = Statistics(columns={("public.t", "a"): ColumnStatistics(4, 0.0, distinct=100)})
    plain, numeric, tied, repeated = (
        seconds(f"CREATE INDEX ON t ({keys})", relation, Basis(Profile(costs), few))
        for keys in ("id", "price", "a, id", "a")
    )
    assert plain == pytest.approx(repeated, rel=0.05)
    assert 10 < numeric < tied
    assert plain < 1


# Processor seconds for a million keys, one process, PostgreSQL 16: of 0.1, 0.3, 1, 2 and 5 million.
BUILDS = (
    ("in order", Keys(0, 8, ordered=True), (0.227, 0.245, 0.241, 0.262, 0.254)),
    ("integer", Keys(0, 4), (0.353, 0.420, 0.467, 0.474, 0.556)),
    ("numeric", Keys(0, 8, numeric=True), (0.437, 0.469, 0.495, 0.569, 0.677)),
    ("text", Keys(0, 45, text=True), (1.205, 1.388, 1.667, 2.055, 2.084)),
    ("two columns", Keys(0, 8, distinct=1000.0), (0.435, 0.591, 0.657, 0.809, 0.861)),
    ("hash", Keys(0, 45, method="hash"), (0.615, 0.722, 1.181, 1.737, 0.980)),
)


@pytest.mark.parametrize("keys, measured", [item[1:] for item in BUILDS], ids=[item[0] for item in BUILDS])
def test_builds_of_any_size_take_what_was_measured_with_the_costs_of_the_smallest(
    keys: Keys, measured: tuple[float, ...]
) -> None:
    levels, build = math.log2(100_000), 0.159
    integers = (0.353 - build) / levels
    costs = Costs(
        build=build,
        compare_ordered=(0.227 - build) / levels,
        compare=integers,
        compare_numeric=(0.437 - build) / levels,
        compare_text=(1.205 - build) / levels,
        compare_tied=(0.435 - build - integers * math.log2(1000)) / math.log2(100),
        hash_build=0.615 / levels,
        spill=0.02,
    )
    profile = Profile(costs=costs, parallel_workers=0)
    for size, seconds in zip((0.1, 0.3, 1, 2, 5), measured, strict=True):
        found = replace(keys, rows=int(size * MILLION)).build_seconds(profile, pages=10)
        assert abs(math.log2(found / size / seconds)) < 0.35


MANY = Statistics(
    columns={
        ("public.t", "a"): ColumnStatistics(
            4, 0.0, 0.2, 1000.0, (("7", 0.3), ("8", 0.1)), tuple(str(n) for n in range(0, 1001, 10))
        ),
        ("public.t", "email"): ColumnStatistics(30, 0.0, 0.0, -0.5),
    }
)


@pytest.mark.parametrize(
    "where, rows, basis",
    [
        ("id = 5", 1, "equal to a unique key"),
        ("id = 5 AND a > 3", 1, "equal to a unique key"),
        ("a = 7", 300_000, "from pg_stats"),
        ("a = 9", 401, "from pg_stats"),  # 40 % in 998 values
        ("a IS NULL", 200_000, "from pg_stats"),
        ("a IS NOT NULL", 800_000, "from pg_stats"),
        ("NOT a IS NULL", 800_000, "from pg_stats"),
        ("a IN (7, 8)", 400_000, "from pg_stats"),
        ("a = 7 OR a IS NULL", 440_000, "from pg_stats"),
        ("a <> 7", 500_000, "from pg_stats"),
        ("a < 250", 500_000, "from pg_stats"),  # the common ones, and a quarter of the others
        ("a >= 250", 300_000, "from pg_stats"),
        ("a BETWEEN 250 AND 500", 100_000, "from pg_stats"),
        ("email = 'x@example.org'", 2, "from pg_stats"),
        ("a = 7 AND lower(email) = 'x'", 300_000, "from pg_stats of 1 of 2 conditions"),
        ("lower(email) = 'x'", 1_000_000, "at most all rows: what the WHERE leaves is not known"),
    ],
)
def test_a_where_leaves_what_the_statistics_say(where: str, rows: int, basis: str) -> None:
    """Without the planner, such as for what runs inside of a block."""
    keyed = replace(table(), indexes=(IndexFacts("public.t_id", True, True, ("id",), primary=True),))
    keyed = replace(keyed, columns={**keyed.columns, "id": ColumnFacts("bigint", True)})
    (found,) = estimates(f"DELETE FROM t WHERE {where}", keyed, Basis(statistics=MANY))
    assert found.rows == (f"deletes {rows:,} rows of public.t ({basis})",)
    assert (found.seconds_p50 < 0.001) == (basis == "equal to a unique key")  # found by its index


def test_rows_that_a_join_or_a_missing_where_leaves_are_at_most_all() -> None:
    for sql, basis in (
        ("UPDATE t SET a = 1", "all rows"),
        ("UPDATE t SET a = o.x FROM other AS o WHERE t.id = o.id", "at most all rows: what the WHERE leaves"),
    ):
        (found,) = estimates(sql, basis=Basis(statistics=MANY))
        assert found.rows[0].startswith(f"changes 1,000,000 rows of public.t ({basis}")


BEFORE = "CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, note text);"


def pending(sql: str) -> Inspection:
    """With a table of an earlier migration that is not applied yet."""
    earlier = Earlier("2025/001", "2025/001_orders", (parse(BEFORE, file="001.sql"),))
    before = Before((earlier,), frozenset(["2025/001"]), asked=True)
    asked = frozenset(["orders", "public.orders"])
    return inspect(
        Sources((parse(sql, file="f.sql"),)), Known(facts=replace(facts(), complete=True, asked=asked), before=before)
    )


def test_rows_of_a_table_that_an_earlier_migration_makes_are_not_known() -> None:
    found = pending(
        "ALTER TABLE orders ADD COLUMN paid boolean; CREATE INDEX ON orders (note); UPDATE t SET a = 1 WHERE id = 5"
    )
    added, index, other = found.estimates.values()
    assert added.seconds_p50 is not None, "whatever the rows"
    assert (index.seconds_p50, index.seconds_p90, index.wal_bytes) == (None, None, None)
    assert re.fullmatch(
        r"not known: rows of public.orders, which 2025/001_orders makes; about [\d.]+ s for each million", index.unknown
    )
    assert (added.hold_seconds, index.hold_seconds) == (None, None), "to the end of the transaction"
    assert other.seconds_p50 is not None
    assert found.estimated_seconds is None
    assert {wait.relation: wait.hold_seconds for wait in found.waits}["public.orders"] is None
    (key,) = pending("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES orders").estimates.values()
    assert "rows of public.orders" in key.unknown, "both tables are read"
    (copied,) = pending("INSERT INTO t (id) SELECT id FROM orders").estimates.values()
    assert "rows of public.orders" in copied.unknown


def test_what_the_migration_itself_fills_is_as_large_as_what_it_copies() -> None:
    sql = "CREATE TABLE x (id bigint, a int); INSERT INTO x SELECT id, a FROM t; CREATE INDEX ON x (a); {}"
    filled = estimates(sql.format("DELETE FROM x"))
    (known,) = estimates("CREATE INDEX ON t (a)", table(indexes=0))
    assert filled[2].seconds_p50 == pytest.approx(known.seconds_p50, rel=0.1)
    assert filled[1].rows == ("adds 1,000,000 rows of public.x (as many as the largest of its tables has)",)
    assert filled[3].rows == ("deletes 1,000,000 rows of public.x (all rows)",)
    made = estimates("CREATE TABLE x AS SELECT * FROM t; CREATE INDEX ON x (a)")
    assert made[1].seconds_p50 == pytest.approx(known.seconds_p50, rel=0.1)
    loaded = estimates("CREATE TABLE x (id bigint); COPY x FROM '/tmp/x'; CREATE INDEX ON x (id)")
    assert loaded[2].unknown.startswith("not known: rows of public.x; about ")
    assert estimates("CREATE TABLE x (id bigint); CREATE INDEX ON x (id)")[1].seconds_p50 < 0.001
