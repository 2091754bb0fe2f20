"""Alternatives are built from trees: names that need quotes get them, and nothing of the statement is lost."""

from __future__ import annotations

import pytest

from migrator.analysis.effects.alter.table import alone
from migrator.analysis.rules.names import MAX_BYTES, object_name
from migrator.parsing.build import build, migrations_of, range_var, script, without
from migrator.parsing.nodes import Node, copy_of
from migrator.parsing.statements import deparse, parse


def tree(sql: str) -> Node:
    (statement,) = parse(sql, file="test.sql").statements
    return statement.node


def test_placeholders_are_replaced_by_names_and_trees() -> None:
    source = tree('ALTER TABLE "My Schema"."My Table" ADD COLUMN "a b" numeric(10, 2) DEFAULT 1')
    column = getattr(source.alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def
    node = build(
        "ALTER TABLE tbl ADD COLUMN col typ, ADD CONSTRAINT con CHECK (col IS NOT NULL)",
        tbl=source.alter_table_stmt.relation,
        col='Select"',
        typ=column.type_name,
        con="a-b",
    )
    assert deparse(node) == (
        'ALTER TABLE "My Schema"."My Table" ADD COLUMN "Select""" numeric(10, 2),'
        ' ADD CONSTRAINT "a-b" CHECK ("Select""" IS NOT NULL)'
    )


def test_a_placeholder_in_a_list_may_be_several_or_none() -> None:
    node = build("CREATE INDEX idx ON tbl (keys) INCLUDE (more)", idx="i", tbl="t", keys=("a", "B"), more=())
    assert deparse(node) == 'CREATE INDEX i ON t USING btree (a, "B")'
    assert deparse(build("DROP INDEX idx", idx=("S", "i"))) == 'DROP INDEX "S".i'


def test_a_template_is_not_changed_by_its_use() -> None:
    build("DROP INDEX idx", idx="other")
    assert deparse(build("DROP INDEX idx", idx="one")) == "DROP INDEX one"


def test_a_value_without_a_placeholder_is_an_error() -> None:
    with pytest.raises(ValueError, match="col"):
        build("DROP INDEX idx", idx="i", col="x")
    with pytest.raises(ValueError, match="not one statement"):
        build("DROP INDEX")


def test_an_expression_stands_for_a_column() -> None:
    value = tree("SELECT lower('A') || 'b'").select_stmt.target_list[0].res_target.val
    assert deparse(build("UPDATE tbl SET col = val", tbl=range_var("S.t"), col="c", val=value)) == (
        "UPDATE \"S\".t SET c = lower('A') || 'b'"
    )


def test_subcommands_are_taken_apart() -> None:
    source = tree("ALTER TABLE t ADD COLUMN a int, DROP COLUMN b")
    first, second = (item.alter_table_cmd for item in source.alter_table_stmt.cmds)
    before = copy_of(source)
    assert deparse(alone(source.alter_table_stmt, second)) == "ALTER TABLE t DROP b"
    assert [deparse(node) for node in without(source, second)] == ["ALTER TABLE t ADD COLUMN a int"]
    assert without(source, first, second) == ()
    assert source == before


def test_migrations_of_a_script() -> None:
    drop = tree("DROP INDEX CONCURRENTLY i")
    text = script((drop, drop), (), (drop,))
    assert migrations_of(text) == (
        "DROP INDEX CONCURRENTLY i;\nDROP INDEX CONCURRENTLY i;",
        "DROP INDEX CONCURRENTLY i;",
    )


@pytest.mark.parametrize(
    "table, columns, label, name",
    [
        ("messages", "tenant_id", "key", "messages_tenant_id_key"),
        ("messages", "", "pkey", "messages_pkey"),
        ("t" * 63, "c" * 63, "key", "t" * 29 + "_" + "c" * 29 + "_key"),
        ("é" * 31, "", "pkey", "é" * 29 + "_pkey"),
    ],
)
def test_names_are_those_that_postgresql_would_choose(table: str, columns: str, label: str, name: str) -> None:
    assert object_name(table, columns, label) == name
    assert len(name.encode()) <= MAX_BYTES


def test_a_taken_name_gets_a_number() -> None:
    assert object_name("t", "c", "check", taken=("t_c_check", "t_c_check1")) == "t_c_check2"
