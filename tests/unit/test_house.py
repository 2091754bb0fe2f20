"""The figures of the house that no contract of import-linter states: rooms, circles, and the length of modules."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import grimp
import pytest

ENGINE = Path(__file__).parents[2] / "include" / "migrator"
ROOT_FILES, ROOMS, LONGEST = 11, 19, 400


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Modules that import each other, function-level and TYPE_CHECKING imports counted (Tarjan's components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in graph.find_modules_directly_imported_by(module):
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            position = stack.index(module)
            if len(stack) - position > 1:
                found.append(sorted(stack[position:]))
            del stack[position:]

    for module in sorted(graph.modules):
        if module not in number:
            visit(module)
    return found


@pytest.fixture
def deep() -> object:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    yield
    sys.setrecursionlimit(before)


def test_no_modules_import_each_other(deep: object) -> None:
    graph = grimp.build_graph("migrator", cache_dir=None)
    assert len(graph.modules) > 400
    assert circles(graph) == []
    graph.add_import(importer="migrator.errors", imported="migrator.stages.apply")
    assert circles(graph), "a planted one is found"


def test_the_root_holds_words_and_rooms_only() -> None:
    assert len(list(ENGINE.glob("*.py"))) <= ROOT_FILES
    assert len([path for path in ENGINE.iterdir() if (path / "__init__.py").is_file()]) <= ROOMS


def test_no_module_is_too_long() -> None:
    modules = [*ENGINE.rglob("*.py"), *(ENGINE.parents[1] / "plugins").rglob("*.py")]
    long = {path.name: lines for path in modules if (lines := len(path.read_text().splitlines())) >= LONGEST}
    assert long == {}


def test_unit_tests_mirror_the_rooms() -> None:
    """A folder of unit tests is named as the room, or as the part of a room, that it tests."""
    tests = Path(__file__).parent
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")} - {Path()}
    others = {Path("airflow_migrator"), Path("compose"), Path("schemas")}
    assert {folder for folder in folders - others if not (ENGINE / folder).is_dir()} == set()


def test_who_connects_and_who_sets_the_path() -> None:
    """Every session of the engine's looks names up in pg_catalog alone; two doors lead to the target's own path."""
    texts = {file.relative_to(ENGINE).as_posix(): file.read_text(encoding="utf-8") for file in ENGINE.rglob("*.py")}
    connecting = {name for name, text in texts.items() if re.search(r"\b(psycopg|Session)\.connect\(", text)}
    assert connecting == {
        "backups/copy_role.py",  # as a role that may not log in: looks how it is refused
        "cli/local_trial.py",  # to a server of its own
        "database/pooler.py",  # asks for a pid, with its schema
        "database/session.py",
    }
    statement = re.compile(r"\bset (local |session |\{\} )?search_path\b", re.IGNORECASE)
    setting = {name for name, text in texts.items() if re.search(r"execute|SQL\(", text) and statement.search(text)}
    assert setting == {
        "backups/later_backup.py",  # in words, for somebody's function
        "analysis/estimate/calibrate.py",  # a schema in which nobody else may create
        "database/naming.py",
        "database/schema.py",
        "ledger/shape.py",  # to the engine's own, whatever the transaction has set
        "steps/transaction.py",
    }


def test_who_queries_tables_whose_names_are_put_in() -> None:
    """To plan a query runs what a table's owner has hung onto it. So few modules send one, and know how."""
    texts = {file: file.read_text(encoding="utf-8") for file in (*ENGINE.rglob("*.py"), *ENGINE.rglob("*.sql"))}
    query = re.compile(r"\b(from|join) (only |\{only\})?\{|\bcopy \{\}|\bexplain .*\{", re.IGNORECASE)
    found = {
        file.relative_to(ENGINE).as_posix()
        for file, text in texts.items()
        for line in text.splitlines()
        if query.search(line) and "REVOKE" not in line and (file.suffix == ".sql" or "SQL(" in text or "send(" in text)
    }
    assert found == {
        "analysis/data_checks/ask.py",  # what `refuse_others_functions` has let pass, which holds the tables
        "analysis/data_checks/conversions.py",  # for `ask`
        "analysis/estimate/planner.py",  # what is held
        "analysis/estimate/traffic.sql",  # views of an extension
        "database/fingerprint.py",  # held by a session beside it, or copied
        "database/naming.py",  # a cursor
        "database/plain.py",  # copied
        "database/sequences.py",  # held
        "history/foreign_ledgers.sql",  # what `plain.rows_of` has copied
        "ledger/ledger.sql",  # the engine's own
        "steps/duplicates.py",  # held
        "steps/newer_rows.py",  # held
    }
    asking = {file.relative_to(ENGINE).as_posix() for file, text in texts.items() if "held.hold(" in text}
    assert asking == {
        "analysis/data_checks/others.py",
        "analysis/estimate/planner.py",
        "database/sequences.py",
        "steps/duplicates.py",
        "steps/newer_rows.py",
    }


def test_who_reads_what_a_server_says() -> None:
    """Its words may hold rows, so one module decides what of them may be told."""
    files = [*ENGINE.rglob("*.py"), *(ENGINE.parents[1] / "plugins").rglob("*.py")]
    reading = re.compile(r"message_(primary|detail|hint)|MESSAGE_(PRIMARY|DETAIL|HINT)|\.internal_query")
    assert {file.name for file in files if reading.search(file.read_text(encoding="utf-8"))} == {
        "told.py",
        "parsing.py",  # of a statement that was parsed and not run: its constants are those of the file
    }
    caught = re.compile(r"^( *)except [^\n]*psycopg\.[^\n]* as (\w+):[^\n]*\n((?:\1 +\S.*\n|\n)+)", re.MULTILINE)
    bodies = {
        f"{file.name}: {found[3]}": found[2] for file in files for found in caught.finditer(file.read_text("utf-8"))
    }
    assert len(bodies) > 15
    for body, name in bodies.items():
        known = rf"\b(?:words|to_engine_error|connect_error|mark|_bad_setting)\({name}\b|\bin str\({name}\)"
        rest = re.sub(known, "", body)
        if not body.startswith("conninfo.py"):  # a connection string that libpq cannot read: no server said anything
            assert not re.search(rf"[{{(, ]{name}[}}!),]|from {name}\b", rest), body
