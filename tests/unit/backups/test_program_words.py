"""What pg_dump and pg_restore print, as far as it may be told."""

from __future__ import annotations

import pytest

from migrator.backups.program_words import EMPTY_PATH, advice_on, told_of

CANARY = "canary-4711@example.org"


@pytest.mark.parametrize(
    "output, told",
    [
        (
            'pg_restore: error: COPY failed for table "users": ERROR:  invalid input syntax for type integer:'
            f' "{CANARY}"\n'
            f'CONTEXT:  COPY users, line 1, column id: "{CANARY}"',
            'pg_restore: error: COPY failed for table "users"\n(1 more line of its output may hold rows)',
        ),
        (
            "pg_restore: while PROCESSING TOC:\n"
            "pg_restore: from TOC entry 3334; 2606 16391 CONSTRAINT users users_pkey migrator\n"
            'pg_restore: error: could not execute query: ERROR:  could not create unique index "users_pkey"\n'
            f"DETAIL:  Key (email)=({CANARY}) is duplicated.\n"
            "Command was: ALTER TABLE ONLY public.users\n    ADD CONSTRAINT users_pkey PRIMARY KEY (email);",
            "pg_restore: while PROCESSING TOC:\n"
            "pg_restore: from TOC entry 3334; 2606 16391 CONSTRAINT users users_pkey migrator\n"
            "pg_restore: error: could not execute query: could not create unique index\n"
            "(3 more lines of its output may hold rows)",
        ),
        (
            "pg_dump: error: query failed: ERROR:  permission denied for table users\n"
            "pg_dump: detail: Query was: LOCK TABLE public.users IN ACCESS SHARE MODE",
            "pg_dump: error: query failed: permission denied for table\n(1 more line of its output may hold rows)",
        ),
        (
            'pg_dump: error: connection to server at "127.0.0.1", port 1 failed: Connection refused',
            'pg_dump: error: connection to server at "127.0.0.1", port 1 failed: Connection refused',
        ),
        (
            f'pg_restore: error: could not execute query: ERROR:  role "{CANARY}" does not exist',
            "pg_restore: error: could not execute query: role … does not exist",
        ),
        (
            "pg_restore: error: could not execute query: ERROR:  permission denied for canary mail",
            "pg_restore: error: could not execute query",
        ),
        (
            f"pg_restore: WARNING:  x\npg_restore: error: could not open {CANARY}",
            "(2 more lines of its output may hold rows)",
        ),
        (
            f'pg_restore: error: COPY failed for table "gt": ERROR:  function inner_{CANARY}(text) does not exist\n'
            f"LINE 1: SELECT inner_{CANARY}(x)",
            'pg_restore: error: COPY failed for table "gt": function … does not exist (42883)\n'
            "(1 more line of its output may hold rows)",
        ),
        (
            f'pg_restore: error: could not execute query: ERROR:  relation "{CANARY}" does not exist',
            "pg_restore: error: could not execute query: relation … does not exist (42P01)",
        ),
        (
            'pg_restore: error: COPY failed for table "t": ERROR:  operator does not exist: public.mood = text',
            'pg_restore: error: COPY failed for table "t": operator … does not exist (42883)',
        ),
        (
            'pg_restore: error: COPY failed for table "t": ERROR:  value for domain public.d violates check constraint'
            ' "d_check"',
            'pg_restore: error: COPY failed for table "t": value for domain … violates check constraint (23514)',
        ),
        ("", "no output"),
        (CANARY, "(1 more line of its output may hold rows)"),
    ],
)
def test_only_what_fits_a_template_is_told(output: str, told: str) -> None:
    assert told_of(output, most=12) == told


@pytest.mark.parametrize(
    "told, advised",
    [
        ('pg_restore: error: COPY failed for table "gt": function … does not exist (42883)', True),
        ('pg_restore: error: COPY failed for table "gt"\n(7 more lines of its output may hold rows)', True),
        ('pg_restore: error: COPY failed for table "gt": out of memory', False),
        ("pg_restore: error: could not execute query: role … does not exist", False),
        ("no output", False),
    ],
)
def test_where_to_look_is_told(told: str, advised: bool) -> None:
    assert advice_on(told) == (f"\n{EMPTY_PATH}" if advised else "")
