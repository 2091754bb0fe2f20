"""No name of the engine's is captured: whoever may create functions cannot have them run as the migrator.

Two databases are full of twins of pg_catalog's functions and operators (`twins`): in one their schema comes first in
the search path, in the other behind pg_catalog, for arguments that the engine's queries pass only by way of a conversion.
The whole pipeline and the command line go through both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_catalogue
from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.history import baseline
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import analyze
from migrator.targets.targets import Target
from tests.factories import NOW
from tests.integration import twins
from tests.integration.conftest import _prepare, database_on
from tests.integration.stages import make_target

RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester", clock=lambda: NOW)
SHOP = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN short AS text;
CREATE TABLE public.users (
    id bigint PRIMARY KEY, email short, age integer, mood mood, joined timestamptz, tags text[], born date
);
CREATE TABLE public.old (id integer PRIMARY KEY, user_id bigint REFERENCES public.users (id));
CREATE TABLE public.parts (id bigint, place text) PARTITION BY LIST (place);
CREATE TABLE public.part_a PARTITION OF public.parts FOR VALUES IN ('a');
CREATE SEQUENCE public.numbers;
INSERT INTO public.users VALUES (1, 'a@example.com', 30, 'good', '2025-01-01', '{a,b}', '2000-01-01');
INSERT INTO public.old VALUES (1, 1);
INSERT INTO public.parts VALUES (1, 'a');
CREATE MATERIALIZED VIEW public.seen AS SELECT id, email FROM public.users;
"""
MIGRATION = """
ALTER TABLE users ADD COLUMN nickname text DEFAULT 'none';
ALTER TABLE users ALTER COLUMN email SET NOT NULL;
ALTER TABLE users ALTER COLUMN age TYPE bigint;
CREATE TABLE public.notes (id bigint PRIMARY KEY, user_id bigint, body text UNIQUE);
ALTER TABLE notes ADD CONSTRAINT notes_user FOREIGN KEY (user_id) REFERENCES users (id);
INSERT INTO notes VALUES (1, 1, 'x');
CREATE INDEX notes_by_user ON notes (user_id);
CREATE TABLE public.part_b PARTITION OF parts FOR VALUES IN ('b');
DROP TABLE old;
"""
ROLLBACK = """
CREATE TABLE public.old (id integer PRIMARY KEY, user_id bigint REFERENCES users (id));
DROP TABLE part_b;
DROP TABLE notes;
ALTER TABLE users ALTER COLUMN age TYPE integer;
ALTER TABLE users ALTER COLUMN email DROP NOT NULL;
ALTER TABLE users DROP COLUMN nickname;
"""
METADATA = """
version: 001_test
description: every kind of statement
author: author@example.com
risk_level: high
rollback_available: true
verify:
  - SELECT true
"""


@dataclass(frozen=True)
class Trapped:
    """A database full of twins, on a server of its own; the server for its copies; the migration."""

    server: Server
    endpoint: Endpoint
    copies_server: Server
    copies: Endpoint
    folder: Path
    target: Target

    def called(self) -> list[str]:
        return twins.called(self.server, self.copies_server)

    def analyzed(self) -> Plan:
        catalogue = load_catalogue(self.folder)
        (migration,) = catalogue.migrations
        with Ledger(self.endpoint) as ledger:
            return analyze.run_analyze(
                migration, target=self.target, catalogue=catalogue, endpoint=self.endpoint, ledger=ledger, run=RUN
            )


@pytest.fixture(scope="module", params=["exact", "better"])
def trapped(
    request: pytest.FixtureRequest,
    programs: Programs,
    copies_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trapped]:
    folder = tmp_path_factory.mktemp("trapped")
    place = folder / "2025" / "001_test"
    place.mkdir(parents=True)
    (place / "001_test.sql").write_text(MIGRATION)
    (place / "001_test_rollback.sql").write_text(ROLLBACK)
    (place / "migration-metadata.yaml").write_text(METADATA)
    with Server.temporary(programs=programs) as server:
        _prepare(server)
        endpoint = database_on(server, "trapped", script=SHOP)
        if request.param == "exact":
            assert twins.set_exact(server.conninfo("trapped")) > 4000
            endpoint = replace(endpoint, search_path="trap, public, pg_catalog")
        else:
            assert twins.set_better(server.conninfo("trapped")) > 4000
        yield Trapped(
            server=server,
            endpoint=endpoint,
            copies_server=copies_server,
            copies=Endpoint("", name="copies"),
            folder=folder,
            target=make_target(storage=str(folder / "snapshots")),
        )


def test_analyze(trapped: Trapped) -> None:
    with Ledger(trapped.endpoint) as ledger:
        baseline.adopt(trapped.endpoint, ledger, run=RUN, reason="a test")
    assert trapped.called() == []
    trapped.analyzed()
    assert trapped.called() == []
