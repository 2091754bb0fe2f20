"""Both directions of a change in one file, by the marks of the tools that keep them so."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Sources
from migrator.parsing import directions
from migrator.parsing.statements import parse
from migrator.plan import Finding

UP, DOWN = "CREATE TABLE n (id int PRIMARY KEY);", "DROP TABLE n;"
PAIRS = [
    ("-- migrate:up", "-- migrate:down"),
    ("-- migrate:up transaction:false", "-- migrate:down transaction:false"),
    ("-- +goose Up", "-- +goose Down"),
    ("-- +goose NO TRANSACTION\n-- +goose Up", "-- +goose Down"),
    ("-- +migrate Up notransaction", "-- +migrate Down"),
    ("-- +micrate Up", "-- +micrate Down"),
    ("-- Up Migration", "-- Down Migration"),
    ("-- !Ups", "-- !Downs"),
    ("# --- !Ups", "# --- !Downs"),
    ("-- rambler up", "-- rambler down"),
    ("-- @UP", "-- @DOWN"),
    ("-- UP", "-- DOWN"),
    ("--up:", "--down:"),
    ("/* Up */", "/* Down */"),
    ("-- first", "-- //@UNDO"),
    ("", "---- create above / drop below ----"),
    ("", "-- migrate:down"),
]


def found(sql: str, *, rollback: bool = False) -> int | None:
    halves = directions.read(parse(sql, file="x.sql"), rollback=rollback)
    return None if halves is None else halves.line


def told(sql: str) -> list[Finding]:
    return [one for one in inspect(Sources((parse(sql, file="x.sql"),))).findings if one.rule == "both-directions"]


@pytest.mark.parametrize("up, down", PAIRS)
def test_two_halves(up: str, down: str) -> None:
    text = f"{up}\n{UP}\n\n{down}\n{DOWN}\n"
    line = text.splitlines().index(down) + 1
    assert found(text) == line
    assert [one.line for one in told(text)] == [line]
    assert f"cut the file at line {line}" in told(text)[0].help


@pytest.mark.parametrize("up, down", PAIRS[:-3])
def test_one_half_may_keep_its_mark(up: str, down: str) -> None:
    assert found(f"{up}\n{UP}\n") is None
    assert found(f"{up}\n{UP}\n{down}\n-- nothing\n") is None
    assert found(f"{down}\n{DOWN}\n", rollback=True) is None
    assert found(f"{down}\n{DOWN}\n{up}\n{UP}", rollback=True) is not None
    assert found(f"{up}\n{down}\n{DOWN}") is not None


@pytest.mark.parametrize(
    "sql",
    [
        f"-- up\n{UP}\nSELECT '\n-- down\n';",
        f"-- up\n{UP}\nDO $$BEGIN\n-- down\nPERFORM 1; END$$;",
        f"-- up\n{UP} -- down\nSELECT 1;",
        "-- up\nCREATE TABLE m (\n-- down\nid int);",
        f"-- clean up\n{UP}\n-- slow down\n{DOWN}",
        f"{UP}\n-- down\n{DOWN}",
        f"{UP}\n-- backup\n{DOWN}",
    ],
)
def test_other_words(sql: str) -> None:
    assert found(sql) is None
