"""A schema as it is compared between servers."""

from __future__ import annotations

import pytest

from migrator.database.schema import Schema


@pytest.mark.parametrize(
    "role, roles, told",
    [
        ("app", "app", "CURRENT_USER"),
        ("app", "app_reader", "app_reader"),
        ("app", '"App", a, app, zoo', '"App", CURRENT_USER, a, zoo'),
        ("App", '"App", app', "CURRENT_USER, app"),
        ('a", b', '"a"", b", c', "CURRENT_USER, c"),
        ("b", '"a"", b"', '"a"", b"'),
        ("CURRENT_USERS", '"CURRENT_USER"', '"CURRENT_USER"'),
        ("", "app", "app"),
    ],
)
def test_the_role_that_executes_is_one_word_in_policies(role: str, roles: str, told: str) -> None:
    rest = " using ((owner = 'for all to app'::text))"
    schema = Schema({"policy": {"public.t.p": f"permissive for all to {roles}{rest}"}}, role=role)
    assert schema.portable.objects["policy"] == {"public.t.p": f"permissive for all to {told}{rest}"}
    assert schema.objects["policy"] == {"public.t.p": f"permissive for all to {roles}{rest}"}, "by name for the server"


def test_a_document_keeps_the_role_and_an_older_one_has_none() -> None:
    schema = Schema({"table": {"public.t": "table"}}, role="app")
    assert Schema.from_dict(schema.to_dict()) == schema
    assert Schema.from_dict({"objects": {"table": {"public.t": "table"}}}).role == ""
