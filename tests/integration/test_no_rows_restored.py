"""A function of the application's raises, while a snapshot is restored, what looks like the words of a server or of
pg_restore itself: no row of its choice gets into the log of restore_test."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.backups import programs
from migrator.database.withheld import Keeper, LocalFile, kept_by
from migrator.embedded.server import Server
from migrator.errors import ProgramFailed
from tests.integration.conftest import MakeDatabase
from tests.integration.test_no_rows_told import CANARY, ROWS, require_no_row_in

TRAP = """
CREATE FUNCTION late(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN IF current_database() NOT LIKE 'rows%%' THEN RAISE EXCEPTION {}, x; END IF; RETURN x; END $$;
CREATE INDEX ON users (late(email));
"""
WORDS = {
    "as a server names a role": "'role \"%\" does not exist'",
    "as pg_restore speaks of a file": "E'x\\npg_restore: error: could not open %'",
    "as a context": "E'x\\nCONTEXT:  PL/pgSQL function \"%\" line 1 at RAISE'",
    "as a kind of object": "'permission denied for % x'",
    "as a TOC entry": "E'x\\npg_restore: from TOC entry %'",
}


@pytest.mark.parametrize("name", WORDS)
def test_words_of_a_restore(name: str, server: Server, make_database: MakeDatabase, tmp_path: Path) -> None:
    endpoint = make_database("rows", script=ROWS + TRAP.format(WORDS[name]).replace("%%", "%"))
    empty = make_database("empty")
    tools = programs.client_programs(server.programs.major)
    with programs.connection_by_service(endpoint) as (conninfo, env):
        programs.run(tools, "pg_dump", "-Fd", f"--file={tmp_path / 'd'}", f"--dbname={conninfo}", env=env)
    kept = tmp_path / "kept"
    with (
        kept_by(Keeper(lambda: LocalFile(kept), lambda text: None)),
        programs.connection_by_service(empty) as (conninfo, env),
        pytest.raises(ProgramFailed) as caught,
    ):
        programs.run(tools, "pg_restore", "-e", "--no-owner", f"--dbname={conninfo}", str(tmp_path / "d"), env=env)
    require_no_row_in(str(caught.value))
    assert "could not execute query" in str(caught.value)
    assert CANARY in kept.read_text()
