"""Names and texts that SQL makes from rows at run time: evidence, card and reports tell only words that somebody has
written. The withheld file has the rest, so each case did make them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migrator import documents
from migrator.database.session import Endpoint
from migrator.database.vocabulary import MARK
from migrator.database.withheld import Keeper, LocalFile, kept_by
from migrator.errors import DryRunFailed, MigratorError
from migrator.evidence import EvidenceBundle
from migrator.reports.review_card import card
from tests.factories import plan_from_sql
from tests.factories_evidence import record_of, restore_of
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import COPY, make_copy, rehearse
from tests.integration.stages import apply_all
from tests.integration.test_no_rows_told import CANARY, ROWS, require_no_row_in

EMAIL = "(SELECT string_agg(email, '; ') FROM users)"


def do(*texts: str) -> str:
    """Each with the rows in the place of %1$I or %1$L."""
    return "; ".join(f"DO $$ BEGIN EXECUTE format($f${text}$f$, {EMAIL}); END $$" for text in texts)


DEFINED = {
    "a comment": (do("COMMENT ON TABLE orders IS %1$L"), "COMMENT ON TABLE orders IS NULL"),
    "a default": (do("CREATE TABLE x (a text DEFAULT %1$L)"), "DROP TABLE x"),
    "a constraint": (
        do("ALTER TABLE orders ADD CONSTRAINT c CHECK (email <> %1$L) NOT VALID"),
        "ALTER TABLE orders DROP CONSTRAINT c",
    ),
    "a view": (do("CREATE VIEW v AS SELECT %1$L AS e"), "DROP VIEW v"),
    "a label": (do("CREATE TYPE e AS ENUM (%1$L)"), "DROP TYPE e"),
    "a table": (do("CREATE TABLE %1$I (a int)"), do("DROP TABLE %1$I")),
    "a column": (do("ALTER TABLE orders ADD COLUMN %1$I int"), do("ALTER TABLE orders DROP COLUMN %1$I")),
    "an index": (do("CREATE INDEX %1$I ON orders (id)"), do("DROP INDEX %1$I")),
    "a policy": (
        do("CREATE POLICY p ON orders USING (email = %1$L)"),
        "DROP POLICY p ON orders",
    ),
    "a body": (
        do("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $g$SELECT '%1$s'$g$ "),
        "DROP FUNCTION f()",
    ),
    "what a rollback leaves": (do("COMMENT ON TABLE orders IS %1$L"), "SELECT 1"),
}


@pytest.mark.parametrize("promised", [None, {}])
@pytest.mark.parametrize("name", DEFINED)
def test_a_definition_on_the_card(name: str, promised: dict[str, str] | None, copies: Endpoint, tmp_path: Path) -> None:
    copy = make_copy(copies, ROWS)
    plan = plan_from_sql(*DEFINED[name], expected_changes=promised)
    kept = tmp_path / "kept"
    with kept_by(Keeper(lambda: LocalFile(kept), lambda text: None)):
        try:
            evidence, said = rehearse(plan, copies, copy), ""
        except DryRunFailed as exc:
            evidence, said = exc.evidence, str(exc)
    record = record_of(copy)
    shown = card(plan, EvidenceBundle(snapshot=record, restore=restore_of(record, COPY), dry_run=evidence))
    require_no_row_in(shown + said)
    require_no_row_in(json.dumps(documents.to_dict(evidence)))
    assert MARK in shown
    assert CANARY in kept.read_text()


def test_five_letters_as_sqlstate(make_database: MakeDatabase) -> None:
    """No name at all: RAISE takes any five of [0-9A-Z], also a row's."""
    sql = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = (SELECT 'C' || substr(email, 8, 4) FROM users); END $$"
    with pytest.raises(MigratorError, match="a SQLSTATE of its own") as caught:
        apply_all(plan_from_sql(sql), make_database("rows", script=ROWS))
    require_no_row_in(f"{caught.value} {caught.value.fields}")


def test_a_text_that_ends_as_a_frame_does(make_database: MakeDatabase) -> None:
    """`while updating tuple ... in relation "..."` ends with a quotation mark, as the text of a statement does."""
    text = (
        r"""E'SELECT a FROM (SELECT id / 0 AS a, 1 AS "\nwhile updating tuple (0,1) in relation " FROM orders) z -- '"""
    )
    sql = f"DO $$ BEGIN EXECUTE {text} || {EMAIL}; END $$"
    with pytest.raises(MigratorError) as caught:
        apply_all(plan_from_sql(sql), make_database("rows", script=ROWS))
    require_no_row_in(str(caught.value))
