"""What the card says first, and that it never says more than was proved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from migrator.catalogue.catalogue import load_one
from migrator.evidence import Check, EvidenceBundle, ObservedLock, Verdict
from migrator.plan import LEFT_OUT, MAY_FAIL, Finding, LeftOut, Plan, Severity, Suggestion
from migrator.rehearsal.comparison import judged
from migrator.reports.markup import Markup
from migrator.reports.markup import text as escaped
from migrator.reports.review_card import card, concerns, covered
from migrator.stages.analyze import analyze
from tests.evidence import make_bundle
from tests.factories import make_plan, plan_from_sql
from tests.unit.steps.test_kinds import folder

PASSED = tuple(
    Check(name, Verdict.PASSED)
    for name in ("apply", "rollback", "rollback_schema_equal", "reapply", "reapply_schema_equal")
)
TABLE = ObservedLock("public.messages", "ACCESS EXCLUSIVE")


def bundle_of(plan: Plan, **over: object) -> EvidenceBundle:
    return make_bundle(plan, **{"checks": PASSED, **over})


def row_of(text: str, first: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {first.replace(' ', chr(160))} |"))


def test_nothing_to_look_at_twice() -> None:
    plan = make_plan()
    text = card(plan, bundle_of(plan))
    assert text.startswith("a test\n\nApplied to a restored copy in **500 ms**; undone in **500 ms**. Everything that")
    assert "Look twice" not in text
    assert "Answered already" not in text
    assert "✅\u00a0passed | gives back the very schema from before in 500 ms |" in row_of(text, "Rollback")


def test_it_ends_with_what_an_answer_covers_and_begins_with_why_it_is_asked_again() -> None:
    plan = make_plan(description="a test")
    bundle = bundle_of(plan)
    text = card(plan, bundle, again="alice answered | another")
    assert text.startswith("a test\n\n## ⚠️ Asked again\n\nalice answered")
    assert text.endswith(covered(plan, bundle))
    assert plan.digest in covered(plan, bundle)
    assert bundle.digest in covered(plan, bundle)
    assert "Asked again" not in card(plan, bundle)


def test_the_worst_comes_first() -> None:
    plan = plan_from_sql("SELECT 1;", findings=(Finding("rule", Severity.WARNING, "slow", allowed_because="small"),))
    (trace,) = bundle_of(plan).dry_run.statements
    checks = (
        *PASSED,
        Check("assertions", Verdict.FAILED, "gave false"),
        Check("content", Verdict.UNVERIFIED, "no key"),
    )
    (statement,) = plan.steps[0].statements
    seen = (judged(statement, replace(trace, rewrites=("public.messages",), locks=(TABLE,))),)
    found = concerns(plan, bundle_of(plan, checks=checks, statements=seen))
    assert found == (
        "**failed**: assertions",
        "**could not be verified**: content",
        "**not proved**: no key",
        "**cannot be undone**: there is no rollback script",
        "1 warning of the analysis, 1 of them allowed by the author",
        "**rewritten**, and locked meanwhile: public.messages",
        "line 1 **is not as predicted**: took ACCESS EXCLUSIVE on public.messages, which was not predicted;"
        " rewrote public.messages, which was not predicted",
    )
    text = card(plan, bundle_of(plan, checks=checks, statements=seen))
    assert "⚠️ **Look twice at this**\n\n- **failed**: assertions\n" in text
    assert "| ACCESS EXCLUSIVE on public.messages | ⚠️\u00a0mismatch | public.messages |" in text
    assert "slow **Allowed by the author**: small" in text


def test_what_only_the_snapshot_has_is_no_plain_pass() -> None:
    plan = make_plan()
    lost = "what was dropped is in the snapshot only, the rollback gives back the structure: public.t is not there"
    bundle = bundle_of(plan, checks=(*PASSED, Check("rollback_data", Verdict.UNVERIFIED, lost)))
    text = card(plan, bundle)
    assert f"- **not proved**: {lost}" in text
    for row in ("Dry run", "Rollback"):
        assert f"| ⚠️\u00a0passed,\u00a0but: | {lost}; " in row_of(text, row)
    assert "Everything that was checked there passed" not in text


def test_a_resumed_migration_is_not_called_passed() -> None:
    plan = make_plan()
    checks = (Check("apply", Verdict.PASSED), Check("rollback_schema_equal", Verdict.UNVERIFIED, "half is applied"))
    bundle = make_bundle(plan, checks=checks, verdict=Verdict.UNVERIFIED, extra={"resumed": True})
    text = card(plan, bundle)
    assert "- **not proved**: half is applied" in text
    assert "⚠️\u00a0not\u00a0verified" in row_of(text, "Dry run")
    assert "⚠️\u00a0not\u00a0verified" in row_of(text, "Rollback")


@pytest.mark.parametrize("ran, said", [(True, "; on the restored copy **it ran**"), (False, "")])
def test_what_may_fail_is_told_with_what_the_copy_says(ran: bool, said: str) -> None:
    told = Finding(MAY_FAIL, Severity.WARNING, "may fail with 42P01: no t", file="a.sql", line=3)
    plan = make_plan(findings=(told,))
    bundle = bundle_of(plan, checks=PASSED if ran else PASSED[1:])
    assert f"**may fail**, says the analysis: a.sql:3: may fail with 42P01: no t{said}" in concerns(plan, bundle)


def test_predicted_locks_are_no_surprise() -> None:
    plan = make_plan()
    (trace,) = bundle_of(plan).dry_run.statements
    expected = replace(trace, locks=(TABLE,), predicted_locks=(TABLE,))
    assert concerns(plan, bundle_of(plan, statements=(expected,))) == ()


def test_a_failed_dry_run_claims_no_success() -> None:
    plan = make_plan()
    checks = (Check("apply", Verdict.FAILED, "no such column"), Check("rollback", Verdict.UNVERIFIED, "apply failed"))
    text = card(plan, make_bundle(plan, verdict=Verdict.FAILED, checks=checks, statements=()))
    assert "❌ **It failed on the restored copy**" in text
    assert "Applied to a restored copy" not in text
    assert row_of(text, "Rollback").endswith("| ⚠️\u00a0not\u00a0verified | apply failed |")
    assert "| ❌\u00a0FAILED | apply | no such column |" in text
    assert "⚠️ not observed" in text


def test_what_was_not_done_is_not_called_passed() -> None:
    plan = make_plan()
    text = card(plan, make_bundle(plan, checks=()))
    assert "– not done" in row_of(text, "Apply again").replace("\u00a0", " ")
    assert "– none" in row_of(text, "Assertions").replace("\u00a0", " ")
    assert "– none" in row_of(text, "Expected changes").replace("\u00a0", " ")


def test_others_answers_and_the_time_of_applying() -> None:
    plan = make_plan()
    text = card(
        plan,
        bundle_of(plan),
        answers=[Markup(f"**alice**: {escaped('fine | by <me>')}")],
        when="next window: Tue 02:00",
    )
    assert "### Answered already\n\n- **alice**: fine \\| by &lt;me>\n" in text
    assert "| Will be applied | next window: Tue 02:00 |" in text


def test_says_what_to_write_instead() -> None:
    finding = Finding(
        "rule", Severity.ERROR, "blocks", "write another", "CREATE INDEX CONCURRENTLY i ON t (a);", line=3
    )
    plan = make_plan(findings=(finding,))
    text = card(plan, bundle_of(plan))
    assert "blocks; write another" in text
    assert "Instead in line 3 (rule):\n\n```sql\nCREATE INDEX CONCURRENTLY i ON t (a);\n```" in text


def test_without_evidence_it_is_the_plans_page() -> None:
    text = card(make_plan(), None)
    assert "## Statements\n\n| Step | Line | Predicted locks | Rewrites |" in text
    for promise in ("proved", "restored copy", "An answer covers"):
        assert promise not in text


FORGED = (
    "\\*\\*approved\\*\\* **approved** \\\\**approved** ~~not~~ `x` [x](http://x) <b>x</b> ![x](y)",
    "# approved",
    "> approved",
    "1. approved",
    "- approved",
    "line\n\n## approved\n\n---",
    "a | b\n--- | ---",
    "safe \u202edevorppa\u202c",
)


@pytest.mark.parametrize("forged", FORGED)
def test_an_author_cannot_forge_the_cards_own_words(forged: str) -> None:
    """Rendered as Airflow does it: whatever the author writes is text of one paragraph."""
    finding = Finding("rule", Severity.WARNING, forged, help=forged, allowed_because=forged)
    plan = plan_from_sql("SELECT 1;", description=forged, findings=(finding,))
    honest = replace(finding, message="x", help="x", allowed_because="x")
    plain = plan_from_sql("SELECT 1;", description="x", findings=(honest,))
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def shape(one: Plan) -> list[str]:
        tokens = parser.parse(card(one, None))
        return [inner.type for token in tokens for inner in (token.children or [token]) if inner.type != "text"]

    assert shape(plan) == shape(plain)
    assert "\u202e" not in card(plan, None)
    if "\u202e" in forged:
        assert "safe <U+202E>devorppa<U+202C>".replace("<", "&lt;") in card(plan, None)


def test_sql_on_the_card_shows_what_cannot_be_seen() -> None:
    plan = plan_from_sql("SELECT 1; -- \u202e\u2066x\u200b")
    assert "-- <U+202E><U+2066>x<U+200B>" in card(plan, None)


def test_what_is_left_out_has_a_section_of_its_own() -> None:
    told = Finding(LEFT_OUT, Severity.INFO, "not sent to the server")
    plan = plan_from_sql("SELECT 1;", findings=(told,), left_out=(LeftOut("001_x.sql", 7, "BEGIN"),))
    text = card(plan, None)
    assert "## Left out\n\n" in text
    assert "| 001\\_x.sql:7 | BEGIN |" in text
    assert "## Findings\n\nNone." in text
    assert "Left out" not in card(plan_from_sql("SELECT 1;"), None)


def test_what_is_cut_is_told_at_the_top() -> None:
    """A comment of SQL at the cut is a comment that an author writes as well."""
    shown = "CREATE TABLE n (id bigint PRIMARY KEY);\n"
    plan = plan_from_sql(shown + "-- licence\n" * 2000 + "DELETE FROM salaries WHERE id > 0;", "DROP TABLE n;")
    hidden = len(plan.files["001_test.sql"]) - 20_000
    lines = tuple(f"+ column {number}" for number in range(203))
    found = concerns(plan, bundle_of(plan, schema_diff=lines))
    assert (
        f"**not shown here**: {hidden:,} characters of {escaped('001_test.sql')}; the plan document has them" in found
    )
    assert "**not shown here**: 3 lines of the schema changes; the evidence document has them" in found
    assert f"⚠️ **{hidden:,} more characters are not shown here**" in card(plan, None)
    whole = plan_from_sql(shown, "DROP TABLE n;")
    assert "not shown" not in card(whole, bundle_of(whole, schema_diff=lines[:200]))


def test_from_where_the_rollback_is_left_to_a_person() -> None:
    said = "right after step 'a'; held for a person after step 'b': not tried"
    plan = make_plan()
    bundle = bundle_of(plan, checks=(Check("rollback_halfway", Verdict.PASSED, said),))
    assert said in row_of(card(plan, bundle), "Rollback half-way")


def test_what_takes_a_constraint_back_is_shown(tmp_path: Path) -> None:
    """A kind that undoes itself has no script that the reviewers could read."""
    parameters = {"table": "public.t", "constraint": "t_pkey", "definition": "PRIMARY KEY (id)"}
    root = folder(tmp_path, [{"name": "key", "kind": "constraint", **parameters}], {}, risk_level="high")
    shown = card(analyze(load_one(root, "001_one")), None)
    made, _, back = shown.partition("A rollback sends for it, as far as it got; what was there before it stays:")
    assert "CREATE UNIQUE INDEX CONCURRENTLY t_pkey ON public.t" in made
    sent = [line for line in back.splitlines() if line.startswith(("ALTER", "DROP"))]
    assert sent == [
        "ALTER TABLE public.t DROP CONSTRAINT IF EXISTS t_pkey;",
        "ALTER TABLE public.t ALTER COLUMN id DROP NOT NULL;",
        "DROP INDEX CONCURRENTLY IF EXISTS public.t_pkey;",
        "ALTER TABLE public.t DROP CONSTRAINT IF EXISTS t_id_not_null;",
    ]


def test_steps_in_the_place_of_a_statement_are_shown_once() -> None:
    steps = (Suggestion("drop_index", {"index": "public.i"}), Suggestion("reindex", {"table": "public.t"}))
    told = Finding("drop-index", Severity.WARNING, "all wait", file="a.sql", line=1, steps=steps)
    shown = card(make_plan(findings=(told, replace(told, rule="another"))), None)
    assert shown.count("As steps (") == shown.count("- name: drop_index\n  kind: drop_index") == 1
