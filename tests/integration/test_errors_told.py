"""Whatever one of the engine's own queries meets, the message says which it was, what happened, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

import migrator
from migrator.database import queries, session
from migrator.database.session import Endpoint
from migrator.errors import MigratorError

ROOT = Path(migrator.__file__).parent
CLASSES = sorted({state[:2] for state in psycopg.errors.__dict__["_sqlcodes"]} - {"00", "01", "02"})
QUERIES = [
    (".".join(("migrator", *file.relative_to(ROOT).parent.parts)), file.stem)
    for file in sorted(ROOT.rglob("*.sql"))
    if re.search(r"^-- name: ", file.read_text(), re.MULTILINE)
]
RAISE = "DO $$ BEGIN RAISE EXCEPTION 'secret row' USING ERRCODE = '{state}'; END $$"


@pytest.mark.whole
@pytest.mark.parametrize("room, file", QUERIES, ids=[f"{room}.{file}" for room, file in QUERIES])
def test_every_class_at_every_query(database: Endpoint, room: str, file: str) -> None:
    assert len(CLASSES) > 35
    with session.connect(database, purpose="observe") as conn:
        for name, text in queries.load(room, file).items():
            assert isinstance(text, queries.Query), "else nobody knows which it was"
            for state in (f"{one}000" for one in CLASSES):
                query = queries.Query.of(RAISE.format(state=state), text.label)
                with pytest.raises(MigratorError) as caught, session.translated():
                    conn.execute(query)
                said = str(caught.value)
                assert "secret row" not in said
                if not state.startswith("08"):
                    assert f"{file}.{name}" in said
                    assert state in said or "a SQLSTATE of its own" in said, "one that nobody has given a meaning"
                    assert "; " in said
