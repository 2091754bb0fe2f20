"""What `--validate-syntax` says, beside what really happens: the same statements are executed, on several majors."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import psycopg
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.server_check import NAME_RULE, PRIVILEGE_RULE, SYNTAX_RULE, server_findings
from migrator.analysis.server_check.parsing import compile_on_server, parse_on_server
from migrator.catalogue.catalogue import load_catalogue
from migrator.database.session import Connection, Endpoint, connect
from migrator.embedded.download import find_or_download
from migrator.embedded.server import Server
from migrator.errors import AnalysisRefused, EnvironmentFault
from migrator.facts.query import collect_facts
from migrator.ledger.ledger import Ledger
from migrator.parsing.statements import parse
from migrator.parsing.tokens import tokens
from migrator.plan import Finding, Severity
from migrator.run import RunContext
from migrator.stages.analyze import run_analyze
from tests.catalogue_files import write
from tests.effects.bench import Bench
from tests.effects.corpus import MAJORS, USUAL, Case, load
from tests.effects.servers import PRELUDE
from tests.integration.conftest import _prepare, database_on
from tests.integration.stages import make_target

EXAMPLES = Path(__file__).parents[1] / "rules"
UNDEFINED = {"42P01", "42703", "42883", "42704", "3F000"}
LM = """
CREATE SCHEMA lm;
CREATE TABLE lm.messages (id bigint PRIMARY KEY, body text, size int);
CREATE FUNCTION lm.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "major" in metafunc.fixturenames:
        one = metafunc.config.getoption("--postgres-major")
        metafunc.parametrize(
            "major", MAJORS if metafunc.config.getoption("--every-major") else (one,) if one else USUAL
        )


@pytest.fixture(scope="module")
def server_of() -> Iterator[Callable[[int], Server]]:
    """A server of the major, with what the corpus of effects expects."""
    with ExitStack() as stack:

        @cache
        def get(major: int) -> Server:
            try:
                programs = find_or_download(major)
            except EnvironmentFault as exc:
                pytest.skip(str(exc))
            started = stack.enter_context(Server.temporary(programs=programs))
            _prepare(started)
            return started

        yield get


@pytest.fixture
def endpoint(major: int, server_of: Callable[[int], Server], request: pytest.FixtureRequest) -> Endpoint:
    name = request.node.name.split("[")[0][:50]
    return database_on(server_of(major), name)


def statements() -> list[str]:
    """Good ones: the rules' examples and the corpus of effects."""
    texts = [path.read_text() for path in sorted(EXAMPLES.rglob("*.sql"))] + [case.sql for case in load()]
    return list(dict.fromkeys(item.sql for text in texts for item in parse(text, file="").statements))


def mutants(good: list[str]) -> Iterator[str]:
    """Each with a token left out, doubled, or replaced by one of another statement: mostly bad."""
    dice = random.Random(7)
    words = [token.text for sql in good for token in tokens(sql) if token.kind in ("word", "left", "right", "comma")]
    for sql in good:
        pieces = [token.text for token in tokens(sql) if token.kind not in ("comment",)]
        place = dice.choice([number for number, piece in enumerate(pieces) if not piece.isspace()])
        choice = dice.randrange(3)
        pieces[place] = ("", f"{pieces[place]} {pieces[place]}", dice.choice(words))[choice]
        yield "".join(pieces)


@pytest.mark.thorough
def test_syntax_agrees_with_execution(endpoint: Endpoint) -> None:
    good = statements()
    wrong, refused, position = [], 0, 0
    with connect(endpoint, purpose="validate") as asked, psycopg.connect(endpoint.conninfo, autocommit=True) as real:
        real.execute("SET statement_timeout = '2s'")
        for sql in [*good, *mutants(good)]:
            if sql.lstrip().lower().startswith("copy"):
                continue  # its execution would wait for data
            refusal = parse_on_server(asked, sql)
            ours = refusal.message if refusal and refusal.message.startswith("syntax error") else None
            try:
                real.execute("BEGIN")
                really = real.execute(sql.encode()) and None
            except psycopg.Error as exc:
                message = exc.diag.message_primary or ""
                inside = exc.diag.internal_query is not None or exc.diag.context is not None
                really = message if message.startswith("syntax error") and not inside else None
                if really and refusal:
                    position += refusal.offset == int(exc.diag.statement_position or 0) - 1
            finally:
                real.execute("ROLLBACK")
            refused += ours is not None
            if ours != really:
                wrong.append((sql, ours, really))
    assert not wrong
    assert refused > len(good) / 3
    assert position == refused


class OwnPath(Bench):
    """Its session sends the cases itself, so it looks names up as a migration's statements do."""

    def __init__(self, endpoint: Endpoint, superuser: str) -> None:
        super().__init__(endpoint, superuser)
        self._conn.execute("SET search_path = public")


@pytest.mark.thorough
def test_names_agree_with_execution(
    major: int, endpoint: Endpoint, server_of: Callable[[int], Server], request: pytest.FixtureRequest
) -> None:
    """No statement that runs is refused. Of those that fail for a missing name nearly all are: by the server or, for
    constraints, triggers and other things without a cast of their own, by the analysis with its catalog. A part of the
    corpus for each major, another one each time: the whole takes minutes."""
    parts = 3 if request.config.getoption("--every-major") else 18
    superuser = server_of(major).conninfo(str(endpoint.name))
    with psycopg.connect(superuser, autocommit=True) as admin:
        for statement in PRELUDE:
            admin.execute(statement.encode())
    wrong: list[str] = []
    missed: list[str] = []
    caught: list[str] = []
    with OwnPath(endpoint, superuser) as bench, connect(endpoint, purpose="validate") as asked:
        for number, case in enumerate(load()):
            if major in case.majors and number % parts == major % parts:
                for verdict, text in _compare(case, bench, asked):
                    {"wrong": wrong, "missed": missed, "caught": caught}[verdict].append(text)
    assert not wrong, "\n".join(wrong)
    assert len(caught) > 8 * len(missed), "\n".join(missed)


def _compare(case: Case, bench: Bench, asked: Connection) -> Iterator[tuple[str, str]]:
    bench.prepare(case)
    parsed = parse(case.sql, file="x.sql")
    (script,) = inspect(Sources((parsed,)), Known(facts=collect_facts(asked, parsed))).scripts
    found = {item.statement: item for item in server_findings(asked, (script,)) if item.rule != "server-unsure"}
    errors = {number: item for number, item in found.items() if item.severity is Severity.ERROR}
    foreseen = {one.statement.index for one in script.subjects if one.effects.fails is not None}
    for statement, exc in zip(parsed.statements, bench.errors(case), strict=False):
        if exc is None and statement.index in errors:
            yield "wrong", f"{case.id}: runs, but: {errors[statement.index].message}"
        elif exc is not None and exc.sqlstate in UNDEFINED and exc.diag.context is None:
            verdict = "caught" if statement.index in found or statement.index in foreseen else "missed"
            yield verdict, f"{case.id}: {exc.sqlstate} {exc.diag.message_primary}: {statement.sql}"


def _ask(conn: psycopg.Connection, sql: str) -> list[Finding]:
    parsed = parse(sql, file="x.sql")
    assert not parsed.problems
    facts = collect_facts(conn, parsed)
    return list(server_findings(conn, inspect(Sources((parsed,)), Known(facts=facts)).scripts))


@pytest.mark.parametrize(
    "sql, place, rule, message",
    [
        ("ALTER TABLE lm.messages ADD COLUMN m moood;", (1, 38), NAME_RULE, 'type "moood" does not exist'),
        ("SELECT 1;\nUPDATE lm.messages\nSET bdy = 1;", (3, 5), NAME_RULE, 'column "bdy"'),
        ("ALTER TABLE lm.messages ALTER COLUMN nix SET NOT NULL;", (1, 38), NAME_RULE, 'column "nix"'),
        ("CREATE INDEX ON lm.messages (lower(bdy));", (1, 36), NAME_RULE, 'column "bdy"'),
        ("CREATE INDEX ON lm.messages (lm.thrice(size));", (1, 1), NAME_RULE, "function lm.thrice(integer)"),
        ("CREATE TABLE x (a int REFERENCES lm.message);", (1, 34), NAME_RULE, 'relation "lm.message"'),
        ("CREATE TABLE nosuch.x (a int);", (1, 14), NAME_RULE, 'schema "nosuch"'),
        ("CREATE VIEW v AS SELECT nix FROM lm.messages;", (1, 25), NAME_RULE, 'column "nix"'),
        ("CREATE TRIGGER t BEFORE INSERT ON lm.messages EXECUTE FUNCTION nix();", (1, 64), NAME_RULE, "nix"),
        ("DROP TABLE lm.nix;", (1, 15), NAME_RULE, 'relation "lm.nix"'),
        ("DROP SCHEMA nix;", (1, 13), NAME_RULE, 'schema "nix"'),
        ("ALTER TABLE lm.messages OWNER TO nix;", (1, 34), NAME_RULE, 'role "nix"'),
        ("ALTER TABLE lm.messages ADD CHECK (sice > 0);", (1, 36), NAME_RULE, 'column "sice"'),
        ("CREATE EXTENSION nosuch;", (1, 1), NAME_RULE, 'extension "nosuch" is not available'),
        ("DO $$ DECLARE x moood; BEGIN END $$;", (1, 17), NAME_RULE, 'type "moood"'),
        ("DO $x$\nBEGIN\n  IF true THEN SELEC 1; END IF;\nEND;  -- done\n$x$;", (3, 16), SYNTAX_RULE, '"SELEC"'),
        ("SELECT lm.twice('x', 1);", (1, 8), NAME_RULE, "function lm.twice"),
    ],
)
def test_places(database: Endpoint, sql: str, place: tuple[int, int], rule: str, message: str) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(LM)
    with connect(database, purpose="validate") as conn:
        (found,) = _ask(conn, sql)
    assert (found.rule, (found.line, found.column)) == (rule, place)
    assert message in found.message


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE lm.n (id int, v text); INSERT INTO lm.n VALUES (1, 'x'); CREATE INDEX ON lm.n (v);",
        "ALTER TABLE lm.messages ADD COLUMN seen date; UPDATE lm.messages SET seen = now() WHERE seen IS NULL;",
        "CREATE TYPE lm.mood AS ENUM ('a'); ALTER TABLE lm.messages ADD COLUMN m lm.mood DEFAULT 'a';",
        "CREATE SCHEMA s; CREATE TABLE s.t (a serial, b bigserial); ALTER TABLE s.t RENAME TO u; DROP TABLE s.u;",
        "CREATE FUNCTION lm.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW lm.v AS SELECT lm.f();",
        "ALTER TABLE lm.messages RENAME COLUMN body TO text; UPDATE lm.messages SET text = '' WHERE id = 1;",
        "ALTER TABLE IF EXISTS nix ADD COLUMN a nothing; DROP TABLE IF EXISTS nix; DROP SCHEMA IF EXISTS nix;",
        "BEGIN; SAVEPOINT a; DECLARE c CURSOR FOR SELECT 1; FETCH c; CLOSE c; COMMIT;",
        "SELECT * INTO lm.copy FROM lm.messages; (SELECT 1); VALUES (1); TABLE lm.messages;",
        "WITH gone AS (DELETE FROM lm.messages RETURNING *) INSERT INTO lm.messages SELECT * FROM gone;",
        "DO $$ BEGIN CREATE TABLE anything (); END $$; SELECT * FROM anything;",
        "ALTER TABLE lm.messages ALTER COLUMN size TYPE text; UPDATE lm.messages SET size = 'many';",
    ],
)  # fmt: skip
def test_what_an_earlier_statement_makes_is_known(database: Endpoint, sql: str) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(LM)
    with connect(database, purpose="validate") as conn:
        assert _ask(conn, sql) == []


def test_privileges(server: Server, database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(LM)
        conn.execute("GRANT USAGE ON SCHEMA lm TO migrator; GRANT SELECT ON lm.messages TO migrator")
    with connect(database, purpose="validate") as conn:
        found = _ask(
            conn,
            "ALTER TABLE lm.messages ADD a int; DELETE FROM lm.messages WHERE id = 1; CREATE TABLE lm.x (); "
            "SELECT 1 FROM lm.messages; DROP TABLE lm.messages;",
        )
    assert [(item.statement, item.rule) for item in found] == [(n, PRIVILEGE_RULE) for n in (0, 1, 2, 4)]
    assert found[0].message == "role migrator must be owner of lm.messages, which belongs to postgres"
    assert "no DELETE privilege" in found[1].message
    assert "may not create objects in schema lm" in found[2].message


def test_nothing_runs(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute(LM + "INSERT INTO lm.messages VALUES (1); CREATE SEQUENCE lm.s;")
        with connect(database, purpose="validate") as asked:
            _ask(
                asked, "DELETE FROM lm.messages; SELECT nextval('lm.s'); TRUNCATE lm.messages; DROP SCHEMA lm CASCADE;"
            )
            compile_on_server(asked, "BEGIN DELETE FROM lm.messages; PERFORM nextval('lm.s'); END")
            compile_on_server(asked, "DECLARE a int := nextval('lm.s'); BEGIN NULL; END;")
        assert conn.execute("SELECT count(*), (SELECT is_called FROM lm.s) FROM lm.messages").fetchone() == (1, False)


def test_a_hot_standby_answers(own_server: Server) -> None:
    endpoint = database_on(own_server, "copied", script=LM)
    own_server.stop()
    signal = own_server.data_dir / "standby.signal"
    signal.touch()
    own_server.account.own(signal)
    own_server.start()
    with connect(endpoint, purpose="validate") as conn:
        assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        sql = (
            "ALTER TABLE lm.messages ADD COLUMN a int; UPDATE lm.messages SET nix = 1; TRUNCATE lm.nix; "
            "DO $$ BEGIN DELETE FROM lm.messages; SELEC 1; END $$; DELETE FROM lm.messages WHERE id = 1;"
        )
        assert [(item.statement, item.rule) for item in _ask(conn, sql)] == [
            (1, NAME_RULE),
            (2, NAME_RULE),
            (3, SYNTAX_RULE),
        ]


def test_the_stage_lets_the_target_parse_everything(server_of: Callable[[int], Server], tmp_path: Path) -> None:
    """Also the rollback script; what an earlier statement makes need not be there."""
    endpoint = database_on(server_of(14), "stage")
    text = "CREATE TABLE t (a int);\nCREATE INDEX i ON t (a);\nCREATE UNIQUE INDEX u ON t (a) NULLS NOT DISTINCT;\n"
    undo = "DROP TABLE t;\nMERGE INTO other o USING more m ON o.a = m.a WHEN MATCHED THEN DELETE;\n"
    root = write(tmp_path, {"001_new": text}, rollback=undo)
    catalogue = load_catalogue(root)
    with Ledger(endpoint) as ledger, pytest.raises(AnalysisRefused) as refused:
        run_analyze(
            catalogue.require("001_new"),
            target=make_target(),
            catalogue=catalogue,
            endpoint=endpoint,
            ledger=ledger,
            run=RunContext(run_id="run-1", version="001_new", target="test", actor="tester"),
        )
    found = [(item.file, item.line, item.column, item.message) for item in refused.value.findings]
    assert [item for item in found if "PostgreSQL 14 says" in item[3]] == [
        ("001_new.sql", 3, 32, 'PostgreSQL 14 says: syntax error at or near "NULLS"'),
        ("001_new_rollback.sql", 2, 1, 'PostgreSQL 14 says: syntax error at or near "MERGE"'),
    ]
