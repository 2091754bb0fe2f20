"""The contract of step kinds: what holds for each of them, and for one that is added tomorrow."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from migrator import documents
from migrator.analysis.plan_steps import build_steps
from migrator.catalogue import content
from migrator.catalogue.catalogue import load_one
from migrator.catalogue.metadata import StepSpec
from migrator.catalogue.metadata_model import MetadataModel
from migrator.errors import InvalidInput, NeedsHuman
from migrator.input.described import DESCRIPTION
from migrator.parsing.statements import parse
from migrator.plan import Severity, Step, Suggestion
from migrator.stages.analyze import analyze
from migrator.steps.contract import StepKind, end_of, phases_of, start_of
from migrator.steps.kinds import STEPS, analyze_tables, gate, kind_named, parameters_of, reads_file
from migrator.steps.suggestions import as_yaml, composed
from tests.rule_examples import examples
from tests.unit.trees import metadata

GIVEN: dict[str, dict[str, Any]] = {
    "sql": {"file": None, "transaction": None},
    "create_index": {"file": None, "transaction": None, "deadline": None},
    "drop_index": {"index": "public.t_a", "deadline": None},
    "reindex": {"index": "public.t_a", "table": None, "deadline": None},
    "backfill": {"file": None, "batch_ms": 25, "pause_ms": 25, "quarantine": 0, "workers": 1},
    "constraint": {"table": "public.t", "constraint": "t_b", "definition": "CHECK (b > 0)"},
    "analyze_tables": {"tables": ["public.t"], "skip_locked": False, "buffer_usage_limit": None},
    "gate": {"condition": "SELECT true", "question": None, "expires": "2 days", "every": "90s"},
}
"""Parameters that are right, for each kind; a kind without an entry fails the tests."""

FILES = {
    "sql": "ALTER TABLE t ADD COLUMN b int;\nVACUUM t;\n",
    "create_index": "CREATE INDEX CONCURRENTLY t_a ON t (a);\n",
    "backfill": "UPDATE t SET b = 1 WHERE b IS NULL;\n",
}


def folder(tmp_path: Path, steps: list[dict[str, Any]], files: dict[str, str], **over: Any) -> Path:
    """A catalogue of one migration; gives its root."""
    root = tmp_path / "migrations"
    here = root / "2026" / "001_one"
    here.mkdir(parents=True)
    over = {"rollback_available": False, **over}
    (here / "migration-metadata.yaml").write_text(metadata("001_one", steps=steps, **over))
    for name, text in files.items():
        (here / name).write_text(text)
    return root


def planned(kind: StepKind, tmp_path: Path) -> Step:
    files = {"one.sql": FILES[kind.KIND]} if reads_file(kind) else {}
    given = {key: value for key, value in GIVEN[kind.KIND].items() if value is not None}
    steps = [{"name": "one", "kind": kind.KIND, **given, **({"file": "one.sql"} if files else {})}]
    if kind is gate:  # it stands between two steps
        around = [{"name": name, "kind": "analyze_tables", "tables": ["public.t"]} for name in ("before", "after")]
        steps = [around[0], *steps, around[1]]
    migration = load_one(folder(tmp_path, steps, files), "001_one")
    made = build_steps(migration, content.parse_sql(migration, content.read_files(migration)))
    return next(step for step in made if step.name == "one")


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.KIND)
def test_parameters_are_described_and_survive_json(kind: StepKind) -> None:
    parameters = parameters_of(kind, GIVEN[kind.KIND])
    assert documents.to_dict(parameters) == GIVEN[kind.KIND]
    assert [item.name for item in fields(kind.PARAMETERS)] == list(GIVEN[kind.KIND])
    assert all(item.metadata[DESCRIPTION].endswith((".", "`")) for item in fields(kind.PARAMETERS))
    assert list(kind.contradictions(parameters)) == []


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.KIND)
def test_parameters_are_in_the_schema_with_their_descriptions(kind: StepKind) -> None:
    schema = MetadataModel.model_json_schema()
    name = schema["properties"]["steps"]["items"]["discriminator"]["mapping"][kind.KIND].rpartition("/")[2]
    for item in fields(kind.PARAMETERS):
        assert schema["$defs"][name]["properties"][item.name]["description"] == item.metadata[DESCRIPTION]


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.KIND)
def test_a_kind_that_reads_no_file_makes_sql_that_parses(kind: StepKind) -> None:
    made = kind.sql(parameters_of(kind, GIVEN[kind.KIND]))
    assert bool(made) is not reads_file(kind)
    parsed = parse(made, file="made")
    assert not parsed.problems
    assert bool(parsed.statements) is not reads_file(kind)


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.KIND)
def test_phases_have_all_statements_once(kind: StepKind, tmp_path: Path) -> None:
    step = planned(kind, tmp_path)
    assert step.kind == kind.KIND
    assert step.phases, "a plan says which phase needs the window"
    assert start_of(step, step.phases[0]) == 0
    assert end_of(step, step.phases[-1]) == len(step.statements) > 0
    assert len({phase.name for phase in step.phases}) == len(step.phases)
    assert kind.describe(step)
    assert documents.from_dict(Step, documents.to_dict(step)) == step


def test_a_plan_of_an_older_engine_has_one_phase(tmp_path: Path) -> None:
    old = documents.to_dict(planned(kind_named("sql"), tmp_path))
    del old["phases"]
    step = documents.from_dict(Step, old)
    assert [phase.statements for phase in phases_of(step)] == [2]


def test_an_unknown_kind_asks_for_a_newer_engine() -> None:
    with pytest.raises(NeedsHuman, match=r"'shadow'.*upgrade"):
        kind_named("shadow")


def test_digests_of_applied_migrations_stay_as_they_were() -> None:
    """The ledgers of people hold them: a step has to count as it did before kinds had parameters."""
    assert StepSpec("a", "sql", {"file": "a.sql", "transaction": None}, "why").behaviour() == {
        "name": "a",
        "kind": "sql",
        "file": "a.sql",
        "transaction": None,
        "description": "why",
    }


@pytest.mark.parametrize(
    "step, key, message, hint",
    [
        ({"kind": "analyze_table", "tables": ["t"]}, "steps[0].kind", "must be one of sql", "analyze_tables"),
        ({"tables": ["t"]}, "steps[0].kind", "is missing", None),
        ({"kind": "analyze_tables"}, "steps[0].tables", "is missing", None),
        ({"kind": "analyze_tables", "tables": []}, "steps[0].tables", "names no table", None),
        ({"kind": "analyze_tables", "tables": ["t", "u", "t"]}, "steps[0].tables", "names t twice", None),
        ({"kind": "analyze_tables", "tables": ["t; DROP TABLE t"]}, "steps[0].tables", "is not the name of", None),
        ({"kind": "analyze_tables", "tables": ["t"], "skip": True}, "steps[0].skip", "unknown key", "skip_locked"),
        ({"kind": "analyze_tables", "tables": ["t"], "file": "a.sql"}, "steps[0].file", "unknown key", None),
        (
            {"kind": "analyze_tables", "tables": ["t"], "buffer_usage_limit": "lots"},
            "steps[0].buffer_usage_limit",
            "is not a size",
            None,
        ),
        ({"kind": "create_index", "transaction": True}, "steps[0].transaction", "outside a transaction", None),
        ({"kind": "create_index", "deadline": "soon"}, "steps[0].deadline", "is not a duration", None),
        ({"kind": "create_index", "deadline": "3 moons"}, "steps[0].deadline", "is no unit of time", None),
        ({"kind": "drop_index", "index": "a.b.c"}, "steps[0].index", "is not the name of an index", None),
        ({"kind": "reindex"}, "steps[0].index", "either this or table", "give one"),
        ({"kind": "reindex", "index": "i", "table": "t"}, "steps[0].index", "either this or table", "give one"),
        ({"kind": "reindex", "table": "pg_catalog.pg_class"}, "steps[0].table", "of the system's catalog", "window"),
        ({"kind": "gate"}, "steps[0].kind", "neither 'condition' nor 'question'", "one of the two"),
        ({"kind": "gate", "question": "?", "condition": "SELECT true"}, "steps[0].question", "beside", "one of"),
        ({"kind": "gate", "question": " "}, "steps[0].question", "is empty", None),
        ({"kind": "gate", "question": "?" * 1001}, "steps[0].question", "is longer than 1000", "notes"),
        ({"kind": "gate", "question": "?", "every": "1 minute"}, "steps[0].every", "no meaning beside", "asked once"),
        ({"kind": "gate", "question": "?", "expires": "3 moons"}, "steps[0].expires", "is no unit of time", None),
        ({"kind": "gate", "condition": "SELECT true", "every": "1s"}, "steps[0].every", "is less than 5 sec", None),
        (
            {"kind": "gate", "condition": "SELECT true", "every": "2 days", "expires": "1 day"},
            "steps[0].every",
            "is longer than 'expires'",
            None,
        ),
        ({"kind": "gate", "question": "?"}, "steps[0]", "a gate stands between two steps", "after one step"),
        ({"kind": "sql", "file": "../a.sql"}, "steps[0].file", "is not the name of an SQL file", None),
    ],
)  # fmt: skip
def test_wrong_parameters_are_told_with_line_and_key(
    step: dict[str, Any], key: str, message: str, hint: str | None, tmp_path: Path
) -> None:
    root = folder(tmp_path, [{"name": "one", **step}], {})
    with pytest.raises(InvalidInput) as caught:
        load_one(root, "001_one")
    problems = caught.value.fields["problems"]
    found = next(problem for problem in problems if problem.key and problem.key.startswith(key))
    assert message in found.message
    assert found.line
    if hint:
        assert hint in (found.hint or "")


def test_made_sql_is_judged_shown_and_in_the_digest(tmp_path: Path) -> None:
    steps = [{"name": "fresh", "kind": "analyze_tables", "tables": ["public.t", '"odd table"']}]
    migration = load_one(folder(tmp_path, steps, {}), "001_one")
    plan = analyze(migration)
    (step,) = plan.steps
    assert [item.sql for item in step.statements] == ["ANALYZE public.t", 'ANALYZE "odd table"']
    assert [lock.mode for lock in step.statements[0].locks if lock.relation == "public.t"] == ["SHARE UPDATE EXCLUSIVE"]
    assert step.statements[0].file == "migration-metadata.yaml#fresh"
    assert step.params == {**GIVEN["analyze_tables"], "tables": ["public.t", '"odd table"']}
    assert [phase.needs_window for phase in step.phases] == [False]
    content.check_disk(plan, migration)
    path = migration.metadata_path
    changed = yaml.safe_load(path.read_text())
    changed["steps"][0]["tables"] = ["public.u"]
    path.write_text(yaml.safe_dump(changed))
    assert analyze(load_one(tmp_path / "migrations", "001_one")).content_digest != plan.content_digest


def test_options_of_analyze() -> None:
    parameters = analyze_tables.Parameters(("t",), skip_locked=True, buffer_usage_limit="2MB")
    assert analyze_tables.sql(parameters) == "ANALYZE (SKIP_LOCKED, BUFFER_USAGE_LIMIT '2MB') t;\n"


def test_kinds_load_neither_driver_nor_parser_nor_pydantic() -> None:
    """They are loaded where DAGs are parsed."""
    code = (
        "import sys, migrator.steps.kinds\n"
        "print([name for name in ('psycopg', 'postgast', 'pydantic', 'yaml', 'migrator.ledger.ledger')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


FOUND = [(one, finding) for one in examples() for finding in one.findings()]
SUGGESTED = [(one, (finding.suggestion,)) for one, finding in FOUND if finding.suggestion] + [
    (one, finding.steps) for one, finding in FOUND if finding.steps
]


def test_rules_suggest_steps() -> None:
    kinds = {"sql", "analyze_tables", "backfill", "constraint", "create_index", "drop_index", "reindex"}
    assert {suggestion.kind for _, suggestions in SUGGESTED for suggestion in suggestions} == kinds


@pytest.mark.parametrize("suggestions", [several for _, several in SUGGESTED], ids=[str(one) for one, _ in SUGGESTED])
def test_suggested_steps_are_taken_by_the_metadata(suggestions: tuple[Suggestion, ...], tmp_path: Path) -> None:
    steps = yaml.safe_load(as_yaml(*suggestions))
    own = composed(suggestions).files
    files = {step["file"]: own.get(step["file"], FILES[step["kind"]]) for step in steps if "file" in step}
    migration = load_one(folder(tmp_path, steps, files, risk_level="high", requires_downtime=True), "001_one")
    assert not [finding for finding in analyze(migration).findings if finding.severity is Severity.ERROR]


def test_a_suggestion_that_no_kind_takes_is_a_fault_of_the_rule() -> None:
    with pytest.raises(ValueError, match="suggested with table"):
        as_yaml(Suggestion("analyze_tables", {"table": "t", "tables": ["t"]}))
    with pytest.raises(ValueError, match="tables"):
        as_yaml(Suggestion("analyze_tables", {}))


def test_a_parameter_that_came_later_counts_for_nothing_until_it_is_given() -> None:
    """Migrations that were applied before have the digest that they had."""
    before = {"file": "a.sql", "batch_ms": 100, "pause_ms": 20}
    found = StepSpec("a", "backfill", {**before, "quarantine": 0, "workers": 1}, "why").behaviour()
    assert found == StepSpec("a", "backfill", before, "why").behaviour()
    assert StepSpec("a", "backfill", {**before, "quarantine": 1}, "why").behaviour() != found
    assert StepSpec("a", "backfill", {**before, "workers": 2}, "why").behaviour() != found
