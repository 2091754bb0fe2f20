"""What CREATE takes from a function, of that very function."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.facts.facts import CatalogFacts, FunctionFacts
from migrator.parsing.statements import parse

BODY = "CREATE OR REPLACE FUNCTION public.f(integer) RETURNS integer LANGUAGE sql SECURITY DEFINER AS $$SELECT 1$$"
KNOWN = FunctionFacts(
    "v",
    1,
    1,
    schema="public",
    arguments=("integer",),
    language="sql",
    body=BODY,
    oid=7,
    kept=("GRANT EXECUTE ON FUNCTION public.f(integer) TO reader",),
)
FACTS = CatalogFacts(180000, functions={"f": (KNOWN,)}, complete=True)
NEW = "CREATE{} FUNCTION f({}) RETURNS int LANGUAGE sql AS 'SELECT 1';"


@pytest.mark.parametrize(
    "sql, told",
    [
        (NEW.format(" OR REPLACE", "int"), "SECURITY DEFINER"),
        (NEW.format(" OR REPLACE", "int[]"), ""),
        (NEW.format(" OR REPLACE", "text"), ""),
        ("ALTER FUNCTION f SECURITY INVOKER;" + NEW.format(" OR REPLACE", "int"), ""),
        ("ALTER FUNCTION f STRICT;" + NEW.format(" OR REPLACE", "int"), "SECURITY DEFINER, STRICT"),
        ("ALTER FUNCTION f STABLE;" + NEW.format(" OR REPLACE", "int"), "SECURITY DEFINER, volatility"),
        ("DROP FUNCTION f(int);" + NEW.format("", "int"), "its grants are gone"),
        ("ALTER FUNCTION f(int) RENAME TO g;" + NEW.format("", "int"), "its grants are gone"),
        ("DROP FUNCTION f(int);" + NEW.format("", "int[]"), ""),
        ("DROP FUNCTION f(int[]);" + NEW.format(" OR REPLACE", "int"), "SECURITY DEFINER"),
    ],
)
def test_what_a_function_loses(sql: str, told: str) -> None:
    found = inspect(Sources((parse(sql, file="x.sql"),)), Known(facts=FACTS)).findings
    messages = [item.message for item in found if item.rule == "loses-rights"]
    assert len(messages) == bool(told)
    assert all(told in message for message in messages)
