"""What earlier migrations make is known to later ones, also without a connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator.analysis.effects import ASSUMED, World
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.inspection import Inspection, inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.walk.pending import CONFLICT, UNDECLARED, Chain, Earlier
from migrator.catalogue.catalogue import load_catalogue
from migrator.cli import main
from migrator.history.past import Past
from migrator.parsing.statements import parse
from migrator.plan import Severity
from tests.catalogue_files import write

FIRST = "CREATE TABLE orders (id int PRIMARY KEY, note varchar(20), paid boolean);\nSET search_path = other;\n"


def inspected(root: Path, version: str, **over: Any) -> Inspection:
    past = Past(load_catalogue(root))
    migration = past.catalogue.require(version)
    parsed = parse(migration.read_sql(), file=f"{version}.sql")
    return inspect(Sources((parsed,)), Known(before=past.before(version, assumed=ASSUMED), **over))


def effects(found: Inspection) -> Any:
    return [subject.all_effects for script in found.scripts for subject in script.subjects]


def rules(found: Inspection) -> dict[str, Severity]:
    return {item.rule: item.severity for item in found.findings}


def test_an_earlier_table_is_known_but_not_new(tmp_path: Path) -> None:
    root = write(tmp_path, {"001_orders": FIRST, "002_index": "CREATE INDEX i ON orders (note);"})
    found = inspected(root, "002_index")
    assert rules(found)["create-index"] is Severity.WARNING, "there may be many rows by then"
    assert [lock.relation for lock in effects(found)[0].locks] == ["public.orders"], (
        "search_path ended with its session"
    )
    assert any("public.orders is created by migration 2025/001_orders" in text for text in found.assumptions)


@pytest.mark.parametrize(
    "sql, rewrites",
    [
        ("ALTER TABLE orders ALTER COLUMN id TYPE bigint;", True),
        ("ALTER TABLE orders ALTER COLUMN note TYPE varchar(40);", False),
    ],
)
def test_column_types_are_known(tmp_path: Path, sql: str, rewrites: bool) -> None:
    root = write(tmp_path, {"001_orders": FIRST, "002_change": sql})
    assert bool(effects(inspected(root, "002_change"))[0].rewrites) is rewrites


def test_a_proof_of_not_null_is_known(tmp_path: Path) -> None:
    proof = (
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (paid IS NOT NULL) NOT VALID;",
        "ALTER TABLE orders VALIDATE CONSTRAINT c;",
    )
    last = "ALTER TABLE orders ALTER COLUMN paid SET NOT NULL;"
    root = write(tmp_path, {"001_orders": FIRST, "002_add": proof[0], "003_validate": proof[1], "004_set": last})
    found = inspected(root, "004_set")
    assert not effects(found)[0].scans
    assert "set-not-null" not in rules(found)
    validating = inspected(root, "003_validate")
    assert "validate-in-same-transaction" not in rules(validating), "another migration is another transaction"


def test_what_an_earlier_migration_drops_is_gone(tmp_path: Path) -> None:
    sql = {
        "001_orders": FIRST,
        "002_drop": "ALTER TABLE orders DROP COLUMN note;",
        "003_use": "CREATE INDEX CONCURRENTLY i ON orders (id);\nALTER TABLE orders RENAME COLUMN note TO remark;\n",
        "004_gone": "DROP TABLE orders;",
        "005_late": "ALTER TABLE orders ADD COLUMN late int;",
    }
    root = write(tmp_path, sql)
    late = inspected(root, "005_late")
    assert rules(late)[CONFLICT] is Severity.WARNING
    (message,) = [item.message for item in late.findings if item.rule == CONFLICT]
    assert "42P01" in message
    assert "2025/004_gone" in message
    assert any("public.orders is dropped by migration 2025/004_gone" in text for text in late.assumptions)


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX i ON orders (id) WHERE note IS NULL;",
        "CREATE INDEX i ON orders (id, lower(note));",
        "CREATE INDEX i ON orders (id) INCLUDE (note);",
    ],
)
@pytest.mark.parametrize("renamed", [False, True])
def test_an_index_goes_with_any_column_that_it_has(tmp_path: Path, index: str, renamed: bool) -> None:
    last, sql = "note", {"001_orders": FIRST, "002_index": index}
    if renamed:
        last, sql["003_rename"] = "remark", "ALTER TABLE orders RENAME COLUMN note TO remark;"
    sql["004_drop"] = f"ALTER TABLE orders DROP COLUMN {last}; CREATE INDEX i ON orders (id);"
    assert CONFLICT not in rules(inspected(write(tmp_path, sql), "004_drop"))


def test_an_index_stays_without_one_that_it_does_not_have(tmp_path: Path) -> None:
    sql = {"001_orders": FIRST, "002_index": "CREATE INDEX i ON orders (id) WHERE note IS NULL;"}
    sql["003_add"] = "ALTER TABLE orders ADD COLUMN more int;"
    sql["004_drop"] = "ALTER TABLE orders DROP COLUMN more; CREATE INDEX i ON orders (id);"
    assert CONFLICT in rules(inspected(write(tmp_path, sql), "004_drop"))


def test_temporary_tables_end_with_their_session(tmp_path: Path) -> None:
    root = write(tmp_path, {"001_temp": "CREATE TEMP TABLE orders (id int);", "002_use": "LOCK TABLE orders;"})
    assert [lock.relation for lock in effects(inspected(root, "002_use"))[0].locks] == ["public.orders"]


def test_a_dependency_that_is_not_declared_is_told(tmp_path: Path) -> None:
    sql = {"001_orders": FIRST, "002_use": "ALTER TABLE orders ADD COLUMN x int;"}
    bare = write(tmp_path / "bare", sql)
    declared = write(tmp_path / "declared", sql, after={"002_use": ["001_orders"]})
    assert rules(inspected(bare, "002_use"))[UNDECLARED] is Severity.INFO, "it may be applied long ago"
    assert UNDECLARED not in rules(inspected(declared, "002_use"))


def test_each_migration_is_walked_once() -> None:
    chain = Chain(World())
    one, two = (
        Earlier(f"00{n}", f"2025/00{n}", (parse(f"CREATE TABLE t{n} (id int);", file=f"00{n}.sql"),)) for n in (1, 2)
    )
    first = chain.after((one,))
    assert chain.after((one,)) is first
    both = chain.after((one, two))
    assert (first.exists("public.t2"), both.exists("public.t1"), both.exists("public.t2")) == (None, True, True)
    branch = world_after(parse("DROP TABLE t1;", file="x").statements[0].node, both.branch())
    assert (branch.exists("public.t1"), both.exists("public.t1")) == (False, True)
    assert branch.made_by("public.t2") == "2025/002"


def test_a_file_of_a_migration_is_seen_in_its_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = {
        "001_two": "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n",
        "002_ab": "ALTER TABLE a ADD x text;\nALTER TABLE b ADD x text;\n",
        "003_ba": "ALTER TABLE b ADD y varchar(9);\nALTER TABLE a ALTER x TYPE int USING 1;\n",
    }
    root = write(tmp_path / "migrations", sql, rollback="ALTER TABLE b ALTER y TYPE text;\n")
    folder = root / "2025" / "003_ba"
    monkeypatch.chdir(tmp_path.parent)  # the catalogue is found above the file
    main(["analyze", str(folder / "003_ba.sql"), "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    told = {item["rule"]: item["message"] for statement in document["statements"] for item in statement["findings"]}
    assert "002_ab.sql" not in told["lock-order"], "without a ledger nobody knows whether that still waits"
    assert document["statements"][1]["rewrites"] == ["public.a"]
    main(["analyze", str(folder / "003_ba_rollback.sql"), "--format", "json"])
    undo = json.loads(capsys.readouterr().out)
    assert undo["statements"][0]["rewrites"] == [], "it runs after its own migration"


def test_unrelated_files_know_nothing_of_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "A.sql", tmp_path / "B.sql"
    one.write_text("CREATE TABLE t (id int);\n")
    two.write_text("ALTER TABLE t ALTER id TYPE bigint;\n")
    main(["analyze", str(one), str(two), "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert not any("created by" in text for text in document[1]["summary"]["assumptions"])
