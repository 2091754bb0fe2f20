"""Rows of production in the log, the evidence and the card: an author puts them into names and definitions at run time.

The dry run executes what nobody has reviewed, on production's rows, and tells the schema that comes of it.
"""

from __future__ import annotations

import pytest

from migrator.errors import MigratorError
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all
from tests.integration.test_no_rows_told import CANARY, ROWS

EMAIL = "(SELECT string_agg(email, '; ') FROM users)"


def do(*texts: str) -> str:
    """Each with the rows in the place of %1$I or %1$L."""
    return "; ".join(f"DO $$ BEGIN EXECUTE format($f${text}$f$, {EMAIL}); END $$" for text in texts)


NAMED = {
    "event trigger": do("CREATE EVENT TRIGGER %1$I ON ddl_command_end EXECUTE FUNCTION version()"),
    "wrapper": do("CREATE FOREIGN DATA WRAPPER %1$I"),
    "constraint": do("ALTER TABLE orders ADD CONSTRAINT %1$I CHECK (id < 0)"),
    "expression of a key": do("CREATE UNIQUE INDEX one ON orders ((length(email || %1$L) * 0))"),
    "column": do("ALTER TABLE orders ADD COLUMN %1$I int NOT NULL"),
    "domain": do("CREATE DOMAIN %1$I AS int CHECK (value < 0); SELECT 1::%1$I"),
    "cursor": do("DECLARE %1$I CURSOR WITH HOLD FOR SELECT 1"),
    "relation in the ledger": do("CREATE TABLE migrator.%1$I (id int)"),
    "dependent": do("CREATE VIEW %1$I AS SELECT * FROM lone") + "; DROP TABLE lone",
    "relation": do("CREATE TABLE %1$I (a int)", "CREATE TABLE %1$I (a int)"),
    "policy": do("CREATE POLICY %1$I ON orders", "CREATE POLICY %1$I ON orders"),
    "schema": do("CREATE SCHEMA %1$I; CREATE SCHEMA %1$I"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_in_an_error(name: str, make_database: MakeDatabase) -> None:
    with pytest.raises(MigratorError) as caught:
        apply_all(plan_from_sql(NAMED[name]), make_database("rows", script=ROWS))
    assert CANARY in str(caught.value)


def test_a_name_in_a_notice(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sql = do("CREATE TABLE %1$I (a int)", "CREATE TABLE IF NOT EXISTS %1$I (a int)")
    apply_all(plan_from_sql(sql), make_database("rows", script=ROWS))
    assert CANARY in caplog.text


def test_a_number_as_the_length_of_a_type(make_database: MakeDatabase) -> None:
    sql = (
        "DO $$ BEGIN EXECUTE 'CREATE TABLE x (a varchar(' || (SELECT ascii(email) FROM users) || '))';"
        " INSERT INTO x VALUES (repeat('a', 999)); END $$"
    )
    with pytest.raises(MigratorError, match=rf"character varying\({ord(CANARY[0])}\)"):
        apply_all(plan_from_sql(sql), make_database("rows", script=ROWS))
