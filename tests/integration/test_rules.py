"""The rules with the catalog of a real server: found and not found, and every alternative runs and ends where the
statement would have ended, without a finding of its own."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.catalogue import scripts
from migrator.database import schema
from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint, connect
from migrator.facts.facts import CatalogFacts
from migrator.facts.query import collect_facts
from migrator.parsing.build import migrations_of
from migrator.parsing.statements import ParsedFile, parse
from migrator.plan import Finding, Severity
from tests.integration.conftest import MakeDatabase
from tests.rule_examples import Example, crowded, examples, unexplained

BAD = [item for item in examples() if item.bad]
GOOD = [item for item in examples() if not item.bad]
WISHES = {"drop-loses-data", "foreign-key-without-index", "foreign-key-type-mismatch"}
"""Rules about what is wanted, not about how it is done: they are as right about the alternative."""


@pytest.fixture
def major(database: Endpoint) -> int:
    with psycopg.connect(database.conninfo) as conn:
        return conn.info.server_version // 10000


def facts_of(endpoint: Endpoint, *parsed: ParsedFile) -> CatalogFacts:
    with connect(endpoint, purpose="observe") as conn:
        return crowded(collect_facts(conn, parsed))


def run(endpoint: Endpoint, texts: Sequence[str]) -> None:
    """Each text as a migration: one transaction when it can be one."""
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        for text in texts:
            parsed = scripts.read(text, file="run.sql", version=None)
            assert parsed.problems == ()
            if all(item.transactional for item in parsed.statements):
                with conn.transaction():
                    conn.execute(";\n".join(statement.sql for statement in parsed.statements).encode())
            else:
                for statement in parsed.statements:
                    conn.execute(statement.sql.encode())


def schema_of(endpoint: Endpoint) -> schema.Schema:
    with psycopg.connect(endpoint.conninfo) as conn:
        return schema.read(conn).without("column_order")


@pytest.mark.parametrize("example", BAD, ids=str)
def test_bad_example_is_found(example: Example, make_database: MakeDatabase, major: int) -> None:
    if not example.runs_on(major):
        pytest.skip(f"not for PostgreSQL {major}")
    endpoint = make_database(script=example.catalog.read_text())
    findings = example.findings(facts_of(endpoint, example.parsed))
    assert unexplained(findings) == []
    found = [item for item in findings if item.rule == example.rule]
    assert found
    alternatives = [item for item in found if item.alternative_sql]
    for item in alternatives:
        _assert_clean(example, _with_alternative(example, item), endpoint)
    reached = [_run_alternative(example, item, make_database) for item in alternatives]
    if example.fails:
        with pytest.raises(psycopg.Error) as refused:
            run(endpoint, [item.sql for item in example.parsed.statements])
        assert refused.value.sqlstate == example.fails
    elif reached and not example.reaches_another_schema:
        run(endpoint, [item.sql for item in example.parsed.statements])
        assert [diff(schema_of(endpoint), other).lines() for other in reached] == [()] * len(reached)


@pytest.mark.parametrize("example", GOOD, ids=str)
def test_good_example_is_not_found_and_runs(example: Example, make_database: MakeDatabase, major: int) -> None:
    if not example.runs_on(major):
        pytest.skip(f"not for PostgreSQL {major}")
    endpoint = make_database(script=example.catalog.read_text())
    found = example.findings(facts_of(endpoint, example.parsed))
    assert unexplained(found) == []
    assert [item for item in found if item.rule == example.rule] == []
    if example.fails is None:
        run(endpoint, [example.text])


def _with_alternative(example: Example, finding: Finding) -> tuple[str, ...]:
    """The example as migrations, with the alternative in place of the statement that was found."""
    assert finding.statement is not None
    statements = example.parsed.statements
    return (
        *(item.sql for item in statements[: finding.statement]),
        *migrations_of(finding.alternative_sql or ""),
        *(item.sql for item in statements[finding.statement + 1 :]),
    )


def _run_alternative(example: Example, finding: Finding, make_database: MakeDatabase) -> schema.Schema:
    endpoint = make_database("safe", script=example.catalog.read_text())
    run(endpoint, _with_alternative(example, finding))
    return schema_of(endpoint)


def _assert_clean(example: Example, texts: Sequence[str], endpoint: Endpoint) -> None:
    """The alternative is analysed like any migration, and nothing in it is worse than `info`, apart from what is wrong
    with the wish itself."""
    files = tuple(parse(text, file=f"{number}.sql") for number, text in enumerate(texts))
    facts = facts_of(endpoint, example.parsed, *files)
    found = [
        item for item in inspect(Sources(files), Known(facts=facts)).findings if item.severity is not Severity.INFO
    ]
    remains = (WISHES - {example.rule}) | example.remains
    assert [item for item in found if item.rule not in remains] == []


def test_what_a_second_column_leaves_behind_is_said(database: Endpoint) -> None:
    """None of it comes over by itself, so the migration that drops the old column says what to make again."""
    kept = """
        SELECT pg_catalog.col_description(attrelid, attnum), attacl::text, attoptions,
            nullif(attstattarget, -1), attstorage = 'e', (SELECT count(*) FROM pg_catalog.pg_statistic_ext)
        FROM pg_catalog.pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'
    """
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int PRIMARY KEY, a text, b text)")
        conn.execute("COMMENT ON COLUMN t.a IS 'of a'")
        conn.execute("GRANT SELECT (a) ON t TO pg_monitor")
        conn.execute(
            "ALTER TABLE t ALTER a SET STATISTICS 500, ALTER a SET STORAGE EXTERNAL, ALTER a SET (n_distinct = 5)"
        )
        conn.execute("CREATE STATISTICS of_two ON a, b FROM t")
        parsed = parse("ALTER TABLE t ALTER a TYPE jsonb USING to_jsonb(a)", file="x.sql")
        before = conn.execute(kept.encode()).fetchone()
        findings = inspect(Sources((parsed,)), Known(facts=facts_of(database, parsed))).findings
        (finding,) = [item for item in findings if item.rule == "alter-column-type"]
        texts = migrations_of(finding.alternative_sql or "")
    run(database, texts)
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        after = conn.execute(kept.encode()).fetchone()
    assert before == ("of a", "{pg_monitor=r/migrator}", ["n_distinct=5"], 500, True, 1)
    assert after == (None, None, None, None, False, 0)
    (swap,) = [text for text in texts if "DROP a;" in text or "DROP COLUMN a" in text]
    assert swap.startswith("-- with the old column go its comment, its own privileges, statistics target, storage,")


@pytest.mark.parametrize(
    "key, bound",
    [("happened", "FROM ('2025-01-01') TO ('2026-01-01')"), ("kind", "IN ('a', 'b')"), ("kind", "IN ('a')")],
)
def test_the_server_attaches_without_reading(key: str, bound: str, database: Endpoint) -> None:
    """What the alternative of attach-partition-scans relies on: the server says so itself."""
    strategy = "RANGE" if bound.startswith("FROM") else "LIST"
    table = f"CREATE TABLE events (happened date NOT NULL, kind text) PARTITION BY {strategy} ({key})"
    said: list[str] = []
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute(table.encode())
        conn.execute("CREATE TABLE rest PARTITION OF events DEFAULT")
        conn.execute("CREATE TABLE part (LIKE events)")
        conn.execute("INSERT INTO part VALUES ('2025-05-05', 'a')")
        parsed = parse(f"ALTER TABLE events ATTACH PARTITION part FOR VALUES {bound}", file="x.sql")
        (finding, *_) = [
            item
            for item in inspect(Sources((parsed,)), Known(facts=facts_of(database, parsed))).findings
            if item.rule == "attach-partition-scans"
        ]
        conn.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        conn.execute("SET client_min_messages = debug1")
        for text in migrations_of(finding.alternative_sql or ""):
            conn.execute(text.encode())
    implied = [text for text in said if "implied by existing constraints" in text]
    assert len(implied) == 2, said


@pytest.mark.parametrize(
    "sql, sqlstate",
    [
        ("ALTER TABLE bookings ADD EXCLUDE USING gist (during WITH &&) NOT VALID", "0A000"),
        ("ALTER TABLE bookings ADD CONSTRAINT x EXCLUDE USING INDEX built_before", "42601"),
        ("ALTER TABLE bookings ADD CONSTRAINT x UNIQUE USING INDEX built_before", "42809"),
        ("ALTER TABLE events ADD CONSTRAINT x UNIQUE USING INDEX of_the_table", "55000"),
    ],
)
def test_ways_that_the_server_refuses(sql: str, sqlstate: str, database: Endpoint) -> None:
    """Why add-exclusion has no alternative, and why keys of partitioned tables come by their partitions."""
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE bookings (during tsrange)")
        conn.execute("CREATE INDEX CONCURRENTLY built_before ON bookings USING gist (during)")
        conn.execute("CREATE TABLE events (id int) PARTITION BY RANGE (id)")
        conn.execute("CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (10)")
        conn.execute("CREATE UNIQUE INDEX of_the_table ON ONLY events (id)")
        with pytest.raises(psycopg.Error) as refused:
            conn.execute(sql.encode())
    assert refused.value.sqlstate == sqlstate
