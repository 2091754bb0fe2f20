"""`migrator new --kind`: what the options must be, and what is written from them."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from migrator.catalogue.catalogue import load_one
from migrator.cli import main
from migrator.input.described import DESCRIPTION
from migrator.plan import Suggestion
from migrator.steps.kinds import WRITABLE, reads_file
from migrator.steps.recipe import WritableKind
from migrator.steps.suggestions import composed
from tests.catalogue_files import write

TABLES = """
CREATE TABLE public.tenants (id bigint PRIMARY KEY);
CREATE TABLE public.messages (id bigint PRIMARY KEY, tenant_id bigint, body text, label text);
CREATE INDEX messages_body ON public.messages (body);
"""
KINDS = {
    "create_index": ["--table", "public.messages", "--index", "messages_tenant", "--columns", "tenant_id, id DESC"],
    "drop_index": ["--index", "public.messages_body"],
    "reindex": ["--table", "public.messages", "--deadline", "2 hours"],
    "constraint": ["--table", "public.messages", "--constraint", "c", "--definition", "CHECK (id > 0)"],
    "backfill": ["--table", "public.messages", "--set", "label = 'none'", "--where", "label IS NULL"],
    "analyze_tables": ["--tables", "public.messages", "--tables", "public.tenants"],
}
"""Options that are right, for each kind; a kind without an entry fails the tests."""
UNDO = ["--undo", "UPDATE public.messages SET label = NULL WHERE label = 'none'"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "migrations", {"001_tables": TABLES}, rollback="DROP TABLE messages, tenants;")


def new(root: Path, *arguments: str) -> int:
    return main(["new", "--author", "a@b.example", "--year", "2026", "--migrations", str(root), *arguments])


@pytest.mark.parametrize("kind", WRITABLE, ids=lambda kind: kind.KIND)
def test_each_kind_is_written_so_that_check_has_nothing_to_say(
    kind: WritableKind, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undo = UNDO if kind.KIND == "backfill" else []
    assert new(root, "made", "--kind", kind.KIND, *KINDS[kind.KIND], *undo) == 0
    capsys.readouterr()
    assert main(["check", "002_made", "--strict", "--migrations", str(root)]) == 0, capsys.readouterr().out
    made = load_one(root, "002_made")
    assert [(step.name, step.kind) for step in made.steps] == [(kind.KIND, kind.KIND)]
    assert made.metadata.dependencies == ("001_tables",)
    assert made.metadata.verify, "and it is asserted that it is so"
    assert (made.rollback_path is not None) is kind.UNDONE_BY_SCRIPT


@pytest.mark.parametrize("kind", WRITABLE, ids=lambda kind: kind.KIND)
def test_what_a_file_is_made_from_is_described(kind: WritableKind) -> None:
    assert (kind.DRAFT is not None) is reads_file(kind)
    for item in fields(kind.DRAFT or kind.PARAMETERS):
        assert item.metadata[DESCRIPTION]
        assert item.name in typing.get_type_hints(kind.DRAFT or kind.PARAMETERS)


def test_parameters_and_the_name_come_from_the_options(root: Path) -> None:
    assert new(root, "--kind", "backfill", *KINDS["backfill"], "--batch-ms", "50") == 0
    folder = root / "2026" / "002_backfill_public_messages"
    metadata = yaml.safe_load((folder / "migration-metadata.yaml").read_text())
    assert metadata["steps"] == [{"name": "backfill", "kind": "backfill", "file": "backfill.sql", "batch_ms": 50}]
    assert metadata["verify"] == ["SELECT NOT EXISTS (SELECT FROM public.messages WHERE label IS NULL)"]
    assert metadata["risk_level"] == "medium", "as analysed"
    assert metadata["rollback_available"] is False
    assert "Nothing undoes it" in metadata["notes"]
    assert not list(folder.glob("*_rollback.sql"))


def test_a_unique_index_on_some_rows(root: Path) -> None:
    more = ["--unique", "--method", "btree", "--include", "body", "--where", "tenant_id IS NOT NULL"]
    assert new(root, "--kind", "create_index", *KINDS["create_index"], *more, "--risk", "high") == 0
    folder = root / "2026" / "002_create_index_messages_tenant"
    assert (folder / "create_index.sql").read_text().partition("\n\n")[2] == (
        "CREATE UNIQUE INDEX CONCURRENTLY messages_tenant\n"
        "    ON public.messages USING btree (tenant_id, id DESC) INCLUDE (body)\n    WHERE tenant_id IS NOT NULL;\n"
    )
    rollback = (folder / "002_create_index_messages_tenant_rollback.sql").read_text()
    assert rollback.endswith("\nDROP INDEX CONCURRENTLY IF EXISTS public.messages_tenant;\n")
    assert "risk_level: high\n" in (folder / "migration-metadata.yaml").read_text()


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--table", "t"], "--table describes a step: say of which --kind"),
        (["--kind", "backfill", "--table", "t"], "--kind backfill needs --where"),
        (["--kind", "backfill", "--table", "t", "--where", "a"], "needs either what the rows get (set) or that they"),
        (["--kind", "reindex"], "either this or table says what is built anew"),
        (["--kind", "drop_index", "--index", "a.b.c"], "--index: 'a.b.c' is not the name of an index"),
        (["--kind", "drop_index", "--index", "a", "--set", "b"], "--set: --kind drop_index does not take it; it takes"),
        (["--kind", "drop_index", "--index", "a", "--deadline", "3 moons"], "is no unit of time"),
        (["--kind", "backfill", "--table", "t", "--set", "a =", "--where", "b"], "the options make no statement"),
        (["--kind", "backfill", "--table", "t", "--set", "a = 1", "--where", "b; DROP TABLE t"], "several statements"),
        (
            ["--kind", "backfill", "--table", "t", "--set", "a = 1", "--where", "b IN (SELECT a FROM t)"],
            "it reads t beside the row",
        ),
        (["--kind", "backfill", "--concurrent-index", *KINDS["backfill"]], "--concurrent-index both say what it does"),
        ([], "what does it do? give NAME"),
    ],
)  # fmt: skip
def test_wrong_options_write_nothing(
    arguments: list[str], told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(root, *arguments) == 2
    assert told in capsys.readouterr().err
    assert not (root / "2026").exists()


def test_what_the_analysis_refuses_leaves_no_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(root, "--kind", "constraint", *KINDS["constraint"], "--risk", "low") == 2
    assert "risk" in capsys.readouterr().err
    assert list((root / "2026").iterdir()) == []


def test_several_steps_have_names_of_their_own_and_one_way_back() -> None:
    fill = Suggestion("backfill", sql="UPDATE t SET a = 1 WHERE a IS NULL;\n", undo="")
    add = Suggestion("sql", sql="ALTER TABLE t ADD COLUMN a int;\n", undo="ALTER TABLE t DROP COLUMN a;\n")
    whole = composed((add, fill, Suggestion("drop_index", {"index": "public.i"}), add))
    steps = yaml.safe_load(whole.steps)
    assert [step["name"] for step in steps] == ["at_once", "backfill", "drop_index", "at_once_2"]
    assert list(whole.files) == ["at_once.sql", "backfill.sql", "at_once_2.sql"]
    assert whole.undo == "ALTER TABLE t DROP COLUMN a;\n\nALTER TABLE t DROP COLUMN a;\n"
    assert whole.changes is None, "what a step of kind sql changes nobody has said"
    assert composed((add, Suggestion("backfill", sql=fill.sql))).undo is None, "a part of it nothing undoes"


STATEMENTS = """\
ALTER TABLE public.messages
  ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid(),
  ALTER COLUMN label SET NOT NULL;

CREATE INDEX messages_label ON public.messages (label);
UPDATE public.messages SET label = 'none' WHERE id = 1;
ALTER TABLE public.messages ALTER COLUMN body TYPE bytea USING body::bytea;
DROP INDEX public.messages_body; REINDEX TABLE public.messages;
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The SQL file of the second of three migrations."""
    root = tmp_path / "migrations"
    after = {"002_more": ["001_tables"], "003_last": ["002_more"]}
    write(root, {"001_tables": TABLES, "002_more": STATEMENTS, "003_last": "SELECT 1;"}, after=after)
    return root / "2025" / "002_more" / "002_more.sql"


def from_line(file: Path, line: int | str, *arguments: str) -> int:
    return new(file.parents[2], "made", "--from", f"{file}:{line}", *arguments)


@pytest.mark.parametrize("line", [1, 3])
def test_a_statement_becomes_steps_wherever_it_is_pointed_at(
    line: int, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_line(written, line) == 0
    told = capsys.readouterr().out
    assert f"it does what {written}:1-3 does" in told
    assert "take that out" in told
    made = load_one(written.parents[2], "004_made")
    assert [step.kind for step in made.steps] == ["sql", "backfill", "constraint", "constraint"]
    assert made.metadata.dependencies == ("002_more",), "that of the statement, not the newest"
    assert made.metadata.steps[2].parameters["definition"] == "NOT NULL token"
    assert made.rollback_path is not None
    assert made.rollback_path.read_text().endswith("ALTER TABLE public.messages DROP COLUMN IF EXISTS token;\n")


def test_an_index_keeps_its_name(written: Path) -> None:
    assert from_line(written, 5) == 0
    text = (written.parents[2] / "2026" / "004_made" / "create_index.sql").read_text()
    assert text.endswith("CREATE INDEX CONCURRENTLY messages_label ON public.messages USING btree (label);\n")


@pytest.mark.parametrize(
    "line, told",
    [
        (4, "002_more.sql:4: no statement stands there; the nearest begins in line 5"),
        (6, "002_more.sql:6: UPDATE: no rule has anything to say of it"),
        (7, "002_more.sql:7: ALTER TABLE: no step kind does that (alter-column-type"),
        (8, "002_more.sql:8: 2 statements stand there"),
        ("x", "write FILE:LINE"),
    ],
)
def test_a_place_without_a_recipe_is_told(
    line: int | str, told: str, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_line(written, line) == 2
    assert told in capsys.readouterr().err
    assert not (written.parents[2] / "2026").exists()


def test_a_file_that_is_not_there_or_cannot_run(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_line(tmp_path / "no.sql", 1, "--migrations", str(written.parents[2])) == 3
    broken = tmp_path / "broken.sql"
    broken.write_text("ALTER TABLE;\n")
    assert from_line(broken, 1, "--migrations", str(written.parents[2])) == 1
    assert "broken.sql:1:" in capsys.readouterr().out
