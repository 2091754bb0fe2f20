"""Each rule fires on its bad examples and is silent on its good ones; a rule without both fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.analysis.effects import World
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules import BY_ID, PRIVILEGES, RULES, checks_on
from migrator.analysis.rules.reference import page
from migrator.analysis.walk.pending import Earlier, lock_orders
from migrator.analysis.walk.walk import walk
from migrator.facts.facts import CatalogFacts, ColumnFacts, RelationFacts
from migrator.parsing.build import migrations_of
from migrator.parsing.statements import parse
from migrator.plan import Risk, Severity
from tests.effects.corpus import load
from tests.rule_examples import FOLDER, Example, examples, unexplained

PAGE = Path(__file__).parents[4] / "include" / "migrator" / "analysis" / "rules" / "README.md"
EXAMPLES = examples()
BAD = [item for item in EXAMPLES if item.bad and not item.needs_catalog]
GOOD = [item for item in EXAMPLES if not item.bad]


@pytest.mark.parametrize("example", BAD, ids=str)
def test_bad_example_is_found_without_a_connection(example: Example) -> None:
    found = [finding for finding in example.findings() if finding.rule == example.rule]
    assert found
    assert all(finding.message and finding.help for finding in found)


@pytest.mark.parametrize("example", GOOD, ids=str)
def test_good_example_is_no_warning_without_a_connection(example: Example) -> None:
    """What only the catalog can tell is `info` at most."""
    found = [finding for finding in example.findings() if finding.rule == example.rule]
    assert [finding for finding in found if finding.severity is not Severity.INFO] == []


@pytest.mark.parametrize("example", BAD, ids=str)
def test_alternative_is_sql(example: Example) -> None:
    for finding in example.findings():
        for text in migrations_of(finding.alternative_sql or ""):
            assert parse(text, file="alternative.sql").problems == ()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_warning_has_sql_or_its_rule_says_why_not(example: Example) -> None:
    assert unexplained(example.findings()) == []


def test_each_rule_has_examples_and_each_example_a_rule() -> None:
    assert {example.rule for example in EXAMPLES} == set(BY_ID)
    for rule in BY_ID:
        assert {example.bad for example in EXAMPLES if example.rule == rule} == {True, False}, rule
    assert len(BY_ID) == len(RULES)


@pytest.mark.parametrize("rollback", [False, True])
def test_no_rule_would_find_anything_in_subcommands_that_it_is_not_asked_about(rollback: bool) -> None:
    """`subtypes` keep a rule from being called in vain, never from finding something."""
    texts = [example.text for example in EXAMPLES] + [case.sql for case in load()]
    missed = set()
    for text in texts:
        for subject in walk(parse(text, file="x.sql"), World(), wanted=None, rollback=rollback)[0].everything():
            statement = subject.statement
            asked = checks_on(statement.name, statement.subtypes, rollback=rollback)
            for rule, check in checks_on(statement.name, frozenset(every_subtype()), rollback=rollback):
                if (rule, check) not in asked:
                    missed |= {(rule.id, statement.sql) for _ in check(subject)}
    assert missed == set()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/catalog.sql")), ids=lambda path: path.parent.name)
def test_a_catalog_of_its_own_differs(path: Path) -> None:
    """Where it does not, `-- connection` says what its presence would."""
    assert path.read_text() != (FOLDER / "catalog.sql").read_text()


def every_subtype() -> set[str]:
    return {subtype for rule in RULES for subtype in rule.subtypes}


def test_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m migrator.analysis.rules.reference"


@pytest.mark.parametrize(
    "sql, found",
    [
        ("ALTER TABLE a ADD COLUMN x int; CREATE INDEX i ON b (x);", True),
        ("CREATE INDEX i ON a (x); UPDATE b SET x = 1;", True),
        ("ALTER TABLE a ADD COLUMN x int; DO $$ BEGIN UPDATE b SET x = 1; END $$;", True),
        ("ALTER TABLE a ADD COLUMN x int; UPDATE b SET x = 1 WHERE id = 1;", False),
        ("BEGIN; ALTER TABLE a ADD COLUMN x int; COMMIT; CREATE INDEX i ON b (x);", False),
        ("BEGIN; SAVEPOINT s; ALTER TABLE a ADD x int; ROLLBACK TO s; CREATE INDEX i ON b (x); COMMIT;", False),
        ("INSERT INTO a VALUES (1); CREATE INDEX i ON b (x);", False),
        ("ALTER TABLE a ADD COLUMN x int; ALTER TABLE a ADD CHECK (x > 0);", False),
    ],
)
def test_lock_held_during_work(sql: str, found: bool) -> None:
    findings = inspect(Sources((parse(sql, file="x.sql"),))).findings
    assert ("lock-held-during-work" in {finding.rule for finding in findings}) is found


@pytest.mark.parametrize("rows, severity", [(100, Severity.INFO), (5_000_000, Severity.WARNING)])
def test_a_rollback_that_stalls_others_is_told_but_refuses_nothing(rows: int, severity: Severity) -> None:
    """It is judged in the world that the migration leaves: without it the change back would change nothing."""
    columns = {"n": ColumnFacts("integer", False)}
    table = RelationFacts("public.t", "r", rows=rows, bytes=rows * 100, columns=columns)
    facts = CatalogFacts(180000, relations={"public.t": table}, resolved={"t": "public.t"})
    change = parse("ALTER TABLE t ALTER n TYPE bigint;\nCREATE TABLE u (id int PRIMARY KEY);", file="x.sql")
    undo = parse("ALTER TABLE t ALTER n TYPE int;\nALTER TABLE u ADD CHECK (id > 0);\nDROP TABLE u;", file="undo.sql")
    found = [
        item
        for item in inspect(Sources((change,), rollback=undo), Known(facts=facts)).findings
        if item.file == "undo.sql"
    ]
    assert [(item.rule, item.severity) for item in found] == [("alter-column-type", severity)]


def test_what_is_not_there_is_not_lost() -> None:
    facts = CatalogFacts(180000, complete=True, asked=frozenset({"nope"}))
    file = parse("DROP TABLE IF EXISTS nope;", file="x.sql")
    found = {item.rule for item in inspect(Sources((file,)), Known(facts=facts)).findings}
    assert "drop-loses-data" not in found


def test_an_index_is_no_relation_of_its_own_in_the_order_of_locks() -> None:
    sql = "ALTER TABLE a ADD x int; DROP INDEX a_idx; ALTER TABLE a ADD y int;"
    assert "lock-order" not in {item.rule for item in inspect(Sources((parse(sql, file="x.sql"),))).findings}


def test_two_migrations_that_lock_in_opposite_orders() -> None:
    sql = "ALTER TABLE a ADD x int; ALTER TABLE b ADD x int;"
    file = parse("ALTER TABLE b ADD y int; ALTER TABLE a ADD y int;", file="other.sql")
    other = lock_orders(Earlier("other", "2025/other", (file,)))
    (alone,) = [item for item in inspect(Sources((parse(sql, file="x.sql"),))).findings if item.rule == "lock-order"]
    (both,) = [
        item
        for item in inspect(Sources((parse(sql, file="x.sql"),)), Known(pending=other)).findings
        if item.rule == "lock-order"
    ]
    assert (alone.severity, both.severity) == (Severity.INFO, Severity.WARNING)
    assert "other.sql locks public.b before public.a" in both.message


ADD = "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;"
VALIDATE = "ALTER TABLE t VALIDATE CONSTRAINT c;"


@pytest.mark.parametrize(
    "files, found",
    [
        ([f"{ADD} {VALIDATE}"], True),
        ([f"{ADD} SELECT 1; {VALIDATE}"], True),
        ([ADD, VALIDATE], False),
        ([ADD, f"SELECT 1; {VALIDATE}"], False),
        ([ADD, f"ALTER TABLE t DROP CONSTRAINT c; {ADD} {VALIDATE}"], True),
        ([f"BEGIN; {ADD} COMMIT; BEGIN; SELECT 1; {VALIDATE} COMMIT;"], False),
    ],
)
def test_validation_at_once_is_one_of_the_same_transaction(files: list[str], found: bool) -> None:
    inspection = inspect(Sources(tuple(parse(text, file=f"{number}.sql") for number, text in enumerate(files))))
    assert ("validate-in-same-transaction" in {finding.rule for finding in inspection.findings}) is found


@pytest.mark.parametrize(
    "sql, severity",
    [
        ("ALTER TABLE t ALTER mood SET DEFAULT 'fine';", Severity.WARNING),
        ("ALTER TABLE t ALTER name SET DEFAULT 'fine';", Severity.INFO),
        ("ALTER TABLE t ADD COLUMN other mood DEFAULT 'fine';", Severity.WARNING),
        ("ALTER TABLE t ADD COLUMN other text DEFAULT 'fine';", Severity.INFO),
        ("ALTER TABLE t ALTER mood SET DEFAULT 'bad';", None),
    ],
)
def test_a_new_enum_value_as_a_default(sql: str, severity: Severity | None) -> None:
    columns = {"mood": ColumnFacts("mood", False), "name": ColumnFacts("text", False)}
    table = RelationFacts("public.t", "r", columns=columns)
    facts = CatalogFacts(180000, relations={"public.t": table}, resolved={"t": "public.t"})
    file = parse(f"ALTER TYPE mood ADD VALUE 'fine'; {sql}", file="x.sql")
    found = inspect(Sources((file,)), Known(facts=facts)).findings
    severities = [one.severity for one in found if one.rule == "enum-value-in-same-transaction"]
    assert severities == ([severity] if severity else [])


@pytest.mark.parametrize("example", [one for one in BAD if one.rule in PRIVILEGES], ids=str)
def test_privileges_are_of_high_risk_and_told_first(example: Example) -> None:
    inspection = inspect(Sources((example.parsed,)))
    assert inspection.classification.risk is Risk.HIGH
    assert inspection.findings[0].rule in PRIVILEGES


@pytest.mark.parametrize(
    "table, severity", [("pg_search_documents", Severity.WARNING), ("pg_catalog.pg_class", Severity.ERROR)]
)
def test_a_name_like_the_catalogs_is_refused_when_it_is_certain(table: str, severity: Severity) -> None:
    parsed = parse(f"UPDATE {table} SET relname = 'x' WHERE relname = 'y'", file="x")
    found = inspect(Sources((parsed,))).findings
    assert [one.severity for one in found if one.rule == "writes-the-catalog"] == [severity]


@pytest.mark.parametrize("sql", ["DROP DATABASE other", "ALTER SYSTEM SET work_mem = '1GB'", "COPY t TO PROGRAM 'x'"])
def test_a_rollback_is_no_place_for_it_either(sql: str) -> None:
    done, undo = parse("CREATE TABLE t (id bigint PRIMARY KEY)", file="a.sql"), parse(sql, file="b.sql")
    inspection = inspect(Sources((done,), rollback=undo))
    assert inspection.classification.risk is Risk.HIGH
    assert [one.severity for one in inspection.findings if one.rule in PRIVILEGES] == [Severity.ERROR]


@pytest.mark.parametrize("value, found", [("replica", True), ("local", True), ("origin", False), ("DEFAULT", False)])
def test_what_turns_triggers_on_again_lifts_nothing(value: str, found: bool) -> None:
    parsed = parse(f"SET session_replication_role = {value}", file="a.sql")
    rules = [one.rule for one in inspect(Sources((parsed,))).findings]
    assert ("lifts-the-engines-limits" in rules) is found
