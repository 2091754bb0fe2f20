"""What is told of a server's error: never what may be a row, for any SQLSTATE, source or language."""

from __future__ import annotations

import inspect
import pickle
import traceback

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from psycopg.errors import Diagnostic
from psycopg.pq import DiagnosticField as Field

from migrator.database import templates, told
from migrator.database.frames import frames, is_written
from migrator.database.schema import Schema
from migrator.database.translate import to_engine_error, translated
from migrator.database.vocabulary import vocabulary
from tests.factories import plan_from_sql

CANARY = "canary-4711@example.org"
CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, psycopg.Error)]
STATES = sorted({item.sqlstate for item in CLASSES if isinstance(item.sqlstate, str)})
FIELDS = {
    "message": Field.MESSAGE_PRIMARY,
    "detail": Field.MESSAGE_DETAIL,
    "hint": Field.MESSAGE_HINT,
    "context": Field.CONTEXT,
    "query": Field.INTERNAL_QUERY,
    "state": Field.SQLSTATE,
    "severity": Field.SEVERITY_NONLOCALIZED,
    "schema": Field.SCHEMA_NAME,
    "table": Field.TABLE_NAME,
    "column": Field.COLUMN_NAME,
    "type": Field.DATATYPE_NAME,
    "constraint": Field.CONSTRAINT_NAME,
    "file": Field.SOURCE_FILE,
    "function": Field.SOURCE_FUNCTION,
    "position": Field.STATEMENT_POSITION,
}
EVERYWHERE = {
    "message": f'relation "{CANARY}" does not exist',
    "detail": f"Key (email)=({CANARY}) already exists.",
    "hint": f"Perhaps you meant {CANARY}.",
    "context": f'SQL statement "SELECT {CANARY}"\nPL/pgSQL function f(text) line 3 at EXECUTE',
    "query": f"SELECT {CANARY}",
}


def diagnostic(**over: str) -> Diagnostic:
    return Diagnostic({FIELDS[name]: value.encode() for name, value in over.items()}, "utf-8")


def test_there_are_states_to_try() -> None:
    assert len(STATES) > 200
    assert {"23505", "P0001", "XX000"} <= set(STATES)


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"file": "pl_exec.c", "function": "exec_stmt_raise"},
        {"file": "pl_exec.c", "function": "exec_stmt_assert"},
        {"file": "plpy_plpymodule.c", "function": "PLy_output"},
        {"file": "connection.c", "function": "pgfdw_report_error"},
        {"file": "nbtinsert.c", "function": "exec_stmt_raise"},  # whatever else it says: RAISE is RAISE
    ],
)
def test_no_state_lets_a_value_through(source: dict[str, str]) -> None:
    names = dict.fromkeys(("schema", "table", "column", "type", "constraint"), CANARY)
    for state in STATES:
        found = told.tell(diagnostic(state=state, severity="ERROR", **EVERYWHERE, **names, **source))
        assert CANARY not in found.text, state
        assert found.kept is not None
        assert found.kept.count(CANARY) == len(EVERYWHERE) + len(names)
        assert found.where == ("function f(text) line 3 at EXECUTE",)
        assert not found.named


@pytest.mark.parametrize("state", ["42P01", "42601", "22P02", "22003", "XX000", "P0001"])
def test_what_is_made_at_run_time_is_not_told(state: str) -> None:
    for file in sorted(templates.PARSED | templates.LOOKUPS | templates.CUT_FILES):
        if state not in templates.FIXED.get(file, {}):
            assert CANARY not in told.tell(diagnostic(state=state, file=file, **EVERYWHERE)).text, file


@pytest.mark.parametrize(
    "file, state", [(file, state) for file, states in templates.VIOLATIONS.items() for state in states]
)
def test_the_row_of_a_violation_is_not_told(file: str, state: str) -> None:
    message = 'duplicate key value violates unique constraint "users_email_key"'
    detail = f"Key (lower(email))=({CANARY})=(x) already exists."
    found = told.tell(diagnostic(state=state, file=file, message=message, detail=detail, hint=CANARY))
    assert found.text == f"{message}, column lower(email)"


@pytest.mark.parametrize(
    "says, text",
    [
        ("invalid input syntax for type double precision: ", "invalid input syntax for type double precision"),
        ("Ungültige Eingabesyntax für Typ integer: ", "a text is no value of the type that it is converted to"),
    ],
)
def test_the_type_of_a_cast_is_told_and_its_text_is_not(says: str, text: str) -> None:
    found = told.tell(diagnostic(state="22P02", file="float.c", message=f'{says}"{CANARY}\nfor type canary"'))
    assert found.text == text


def test_a_name_that_the_migration_has_is_told_and_another_is_not() -> None:
    one = diagnostic(state="42P01", file="namespace.c", message='relation "app.users" does not exist')
    assert told.tell(one, written='ALTER TABLE app . "users" ADD x int').text == 'relation "app.users" does not exist'
    for written in ("", "ALTER TABLE app.users2 ADD x int", "ALTER TABLE users ADD x int"):
        assert told.tell(one, written=written).text == "there is no such relation"


def test_raise_is_told_as_the_file_has_it() -> None:
    raised = {"state": "P0001", "file": "pl_exec.c", "function": "exec_stmt_raise"}
    one = diagnostic(message=f"no account for {CANARY}, it's 3 % of them", **raised)
    written = "DO $$ BEGIN -- don't\n RAISE EXCEPTION 'no account for %, it''s % %% of them', x, y; END $$"
    assert told.tell(one, written=written).text == "no account for %, it's % %% of them"
    assert told.tell(one, written="RAISE EXCEPTION '%', x").text == "SQL raised an exception of its own"
    assert told.tell(one).text == "SQL raised an exception of its own"


def test_a_function_reads_only_what_it_is_asked_for() -> None:
    """A text that is written in the body of a function is told, one that it makes is not."""
    base = {"state": "42P01", "file": "parse_relation.c", "message": f'relation "{CANARY}" does not exist'}
    written = diagnostic(context="PL/pgSQL function f() line 2 at SQL statement", query="SELECT 1 FROM x", **base)
    assert told.tell(written).text == f"{base['message']}, in function f() line 2 at SQL statement"
    for kind in ("EXECUTE", "assignment", "RETURN QUERY", "FOR over SELECT rows"):
        made = diagnostic(context=f"PL/pgSQL function f() line 2 at {kind}", query="SELECT 1 FROM x", **base)
        assert CANARY not in told.tell(made).text
    assert CANARY not in told.tell(diagnostic(query="SELECT 1 FROM x", **base)).text, "query_to_xml()"


def test_frames_leave_out_everything_but_function_and_line() -> None:
    context = (
        f'COPY users, line 3, column email: "{CANARY}"\n'
        f'SQL statement "COPY users FROM {CANARY}"\n'
        "PL/pgSQL function public.load(text,integer) line 12 at EXECUTE\n"
        'SQL function "outer one" statement 2'
    )
    assert frames(context) == (
        "COPY users, line 3, column email",
        "function public.load(text,integer) line 12 at EXECUTE",
        'SQL function "outer one" statement 2',
    )
    assert frames(None) == frames("") == ()
    assert not is_written(context, None)


FORGED = f"PL/pgSQL function {CANARY}() line 1 at RAISE"
PIECES = st.lists(
    st.sampled_from(
        ["\n", FORGED, 'SQL statement "', '"', "x", f'SQL function "{CANARY}" statement 1', "\u2028", "\r"]
    ),
    max_size=8,
).map("".join)


@given(PIECES, st.booleans(), st.booleans())
def test_no_text_inside_a_frame_is_taken_for_a_frame(text: str, inner: bool, outer: bool) -> None:
    parts = [
        *(["PL/pgSQL function f() line 1 at PERFORM"] if inner else []),
        f'SQL statement "{text}"',
        *(["PL/pgSQL function g() line 2 at EXECUTE"] if outer else []),
    ]
    found = frames("\n".join(parts))
    assert all(CANARY not in frame for frame in found)
    assert len(found) == inner + outer


def test_signs_beyond_ascii_are_words_but_for_quotation_marks() -> None:
    """In French and German a server has other ones than "."""
    known = vocabulary(plan_from_sql("SELECT t FROM public.t, f"), Schema({})).knows
    raised = {"state": "42P01", "file": "parse_relation.c", "query": "SELECT 1"}
    with told.names_known(known):
        for name, says in (("←↑→", "…"), ("f", "f")):
            one = diagnostic(
                message="x", context=f"PL/pgSQL function public.{name}() line 3 at SQL statement", **raised
            )
            (frame,) = told.tell(one).where
            assert ("←" in frame, says in frame) == (False, True)
        frame = "PL/pgSQL function public.f() line 3 at SQL statement"
        one = diagnostic(message="relation «t» does not exist", context=frame, **raised)
        assert "relation «t» does not exist" in told.tell(one).text


def test_the_traceback_of_an_error_has_no_row() -> None:
    def fail() -> None:
        with translated():
            raise errors.UniqueViolation(f"DETAIL: Key (email)=({CANARY}) already exists.")

    with pytest.raises(Exception, match="may hold rows") as caught:
        fail()
    text = "".join(traceback.format_exception(caught.value))
    assert CANARY not in text
    assert CANARY.encode() not in pickle.dumps(caught.value)


def test_an_error_of_the_driver_alone_is_about_a_value() -> None:
    error = psycopg.DataError(f"date too large (after year 10K): '{CANARY}'")
    assert CANARY not in str(to_engine_error(error))
    assert CANARY not in told.words(error)
    assert told.words(ValueError(CANARY)) == "ValueError"


def test_every_state_has_the_name_that_plpgsql_knows() -> None:
    assert told.condition("23505") == "unique_violation"
    assert told.condition("P0001") == "raise_exception"
    assert told.condition("22P02") == "invalid_text_representation"
    assert told.condition("ZZ999") == told.condition(None) == ""
