"""Which names and texts of a schema made at run time are told."""

from __future__ import annotations

import re

import pytest

from migrator.database import queries
from migrator.database.schema import Schema
from migrator.database.schema_diff import Change, SchemaDiff
from migrator.database.vocabulary import MARK, vocabulary
from tests.factories import plan_from_sql

BEFORE = Schema({"column": {"public.users.email": "text"}, "table": {"public.users": "table"}})
KNOWN = vocabulary(
    plan_from_sql(r"CREATE TABLE notes (body text DEFAULT E'a new\nline', size int CHECK (size < 90))"), BEFORE
)


@pytest.mark.parametrize(
    "text",
    [
        "public.notes.notes_size_check",
        "public.notes_pkey1",
        "text default E'a new\nline'::text not null",
        "CHECK (((size < 90) AND (email ~~ 'Line'::text)))",
        "character varying timestamp with time zone default now()",
        "partitioned table partition by RANGE (size) row security enabled row security forced",
        "permissive for select to public using ((size > 90))",
        "as integer start 1 increment 1 min 1 max 2147483647 cache 1 owned by public.notes.body",
    ],
)
def test_what_somebody_has_written(text: str) -> None:
    assert KNOWN.tell(text) == text


@pytest.mark.parametrize(
    "text, told",
    [
        ("default 'ann@users'::text", "default '…'::text"),
        ("character varying(91)", "character varying(…)"),
        ('public."ann users".body', 'public."…".body'),
        ("public.notes_ann", "public.…"),
        ("notes_4711", "…"),
        ("it's ann's body", "…'…'… body"),
        ("'a ''quoted'' body'", "'…'"),
        ('public."←↑→↓"', 'public."…"'),
        ('public."notes←↑→↓"', 'public."…"'),
        ("public.←↑→↓", "public.…"),
        ('public."!+?#*"', 'public."…"'),
        ("default '!+?#*'::text", "default '…'::text"),
        ("public.…", "public.…"),
    ],
)
def test_what_nobody_has_written(text: str, told: str) -> None:
    assert KNOWN.tell(text) == told


def test_words_that_the_queries_write_are_known() -> None:
    """But for what they only compare with: names of catalogs, keys of JSON, letters that stand for kinds."""
    text = re.sub(r"^\s*--.*", "", "\n".join(queries.load("migrator.database", "schema").values()), flags=re.MULTILINE)
    text = re.sub(r"->> '\w+'|'[\w.]+'::regclass|<> 'information_schema'", "", text)
    words = {word for literal in re.findall(r"'((?:[^']|'')*)'", text) for word in re.findall(r"[^\W_]{2,}", literal)}
    assert {word for word in words if not KNOWN.knows(word)} == set()


def test_a_name_that_the_server_has_cut() -> None:
    long = "a" * 40
    known = vocabulary(plan_from_sql(f"CREATE TABLE {long} ({'b' * 40} int UNIQUE)"), BEFORE)
    assert known.tell(cut := f"{'a' * 29}_{'b' * 28}_key") == cut
    assert known.tell("aaa_bbb_key") == "…"


def test_the_difference_says_that_something_is_withheld() -> None:
    plain = SchemaDiff((Change("table", "public.notes", None, "table"),))
    made = SchemaDiff((Change("table", "public.ann", None, "table"),))
    assert KNOWN.lines(plain) == ("+ table public.notes",)
    assert KNOWN.lines(made) == ("+ table public.…", MARK)
