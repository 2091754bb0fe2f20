"""Up and down in one file, as other tools keep them: all of it would run."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.parsing import directions
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    found = directions.read(script.parsed, rollback=script.rollback)
    if found is None:
        return
    message = f'"{found.cut.text}" begins the other direction of the change, and this file would run both'
    cut = f"cut the file at line {found.line}"
    advice = f"{cut}: the way back belongs into NAME_rollback.sql, the way there into NAME.sql"
    yield Hit(message, help=advice, place=(found.line, found.column))


RULE = Rule(
    id="both-directions",
    severity=Severity.ERROR,
    condition="a file in which comments divide the way there from the way back, as dbmate (`-- migrate:up`, `--"
    " migrate:down`), goose (`-- +goose Up`), sql-migrate (`-- +migrate Up`), node-pg-migrate (`-- Up Migration`), Play"
    " (`# --- !Ups`), MyBatis (`-- //@UNDO`), Rambler (`-- rambler up`), tern (`---- create above / drop below ----`)"
    " and plain `-- UP`, `-- DOWN` do, with statements on either side",
    effect="to the engine they are comments: it would apply the change and take it back at once, and whoever has such a"
    " table already would lose it",
    alternative="cut the file there: NAME.sql has the way there, NAME_rollback.sql the way back; a mark alone may stay",
    without_sql="always: it is the file that is to be cut",
    source=DOCS + "sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS",
    script=check,
    in_rollback=True,
    allowable=False,
)
