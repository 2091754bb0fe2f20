"""Who counts as author, how that is known, and that none of them may approve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator import documents
from migrator.catalogue import content, seal
from migrator.catalogue.catalogue import load_catalogue
from migrator.catalogue.migration import Migration
from migrator.errors import AuthorsUnknown, Refused
from migrator.gates.authors import approvers, authorship, beside_the_declared, everyone, person
from migrator.gates.reviews import TOO_FEW, judge
from migrator.plan import Author, Plan, Risk, Source
from migrator.reports.review_card import card
from migrator.run import RunContext
from migrator.stages.analyze import run_analyze
from migrator.targets.targets import AuthorsPolicy, Target
from tests import catalogue_files
from tests.factories import NOW, make_plan

PEOPLE = {"ann": "ann@example.com", "bob": "bob@example.com", "author": "author@example.com"}
TARGET = Target("test", "production", "a", "b", reviews={risk: 2 for risk in Risk}, reviewers=PEOPLE)
RUN = RunContext(run_id="run-1", version="001_first", target="test", actor="airflow")
PLAN = make_plan()


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("Bob <Bob+dba@Example.com>", "bob@example.com", True),
        ("BOB", "bob", True),
        (" bob@example.com ", "bob@example.com", True),
        ("bob@example.com", "bob@example.org", False),
        ("bob", "rob", False),
        ("Mallory, Eve <eve@corp.org>", "eve@corp.org", True),
        ("Eve; <eve@corp.org>", "EVE@corp.org", True),
        ("Eve [bot] <eve@corp.org>", "eve@corp.org", True),
        ("Eve @home <eve@corp.org>", "eve@corp.org", True),
        ("eve@other <eve@corp.org>", "eve@corp.org", True),
        ("Eve (Ops <eve@corp.org>", "eve@corp.org", True),
        ('Eve " <eve@corp.org>', "eve@corp.org", True),
        ("Eve <ann@corp.org> <eve@corp.org>", "eve@corp.org", True),
        ("<Eve <eve@corp.org> (Ops)>", "eve@corp.org", True),
        ("Eve < eve+git@Corp.org >", "eve@corp.org", True),
        ("eve@corp.org (Eve)", "eve@corp.org", True),
        ("Eve <>", "Eve <>", True),
        ("12+eve@users.noreply.github.com", "12+ann@users.noreply.github.com", False),
    ],
)
def test_one_spelling_per_person(one: str, other: str, same: bool) -> None:
    assert (person(one) == person(other)) is same


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    catalogue_files.write(tmp_path, {"001_first": "CREATE TABLE a (id int);\n"})
    return load_catalogue(tmp_path).require("001_first")


def sealed(migration: Migration, *authors: str) -> None:
    files = content.checksums(content.read_files(migration))
    made = seal.Seal("0" * 40, {migration.relative: seal.Sealed(files, authors)})
    (migration.root / seal.SEAL_FILE).write_text(seal.to_text(made))


def beside(migration: Migration, *, run: RunContext = RUN, **policy: Any) -> tuple[Author, ...]:
    return beside_the_declared(
        migration, content.checksums(content.read_files(migration)), replace(TARGET, **policy), run
    )


def test_who_committed_and_who_started(migration: Migration) -> None:
    assert beside(migration) == ()
    sealed(migration, "Bob <Bob+git@example.com>", "Eve <eve@home.example>")
    assert beside(migration, run=replace(RUN, started_by="ann")) == (
        Author("Bob <Bob+git@example.com>", Source.SEALED, "bob", "bob@example.com"),
        Author("Eve <eve@home.example>", Source.SEALED),
        Author("ann", Source.STARTED, "ann", "ann@example.com"),
    )


def test_a_seal_is_required_where_the_policy_says_so(migration: Migration) -> None:
    with pytest.raises(AuthorsUnknown, match=r"no 'seal.json' beside the migrations: run `migrator seal`"):
        beside(migration, authors=AuthorsPolicy.REQUIRED)
    sealed(migration, "Bob <bob@example.com>")
    assert beside(migration, authors=AuthorsPolicy.REQUIRED)[0].reviewer == "bob"


@pytest.mark.parametrize(
    "nobody",
    [
        "Eve <12345+eve@users.noreply.github.com>",
        "Eve <eve@users.noreply.github.com>",
        "Eve <7-eve@users.noreply.gitlab.com>",
        "Eve <no-reply@corp.org>",
        "Eve <>",
    ],
)
def test_an_address_that_hides_who_committed(migration: Migration, nobody: str) -> None:
    sealed(migration, "Bob <bob@example.com>", nobody)
    assert Author(nobody, Source.SEALED) in beside(migration), "it is shown"
    with pytest.raises(AuthorsUnknown, match=r"Eve <.*map it in \.mailmap"):
        beside(migration, authors=AuthorsPolicy.REQUIRED)
    sealed(migration, "Bob <bob@example.com>", "GitHub <noreply@github.com>")
    assert len(beside(migration, authors=AuthorsPolicy.REQUIRED)) == 2, "whose button was pressed is no author"
    sealed(migration, "GitHub <noreply@github.com>")
    with pytest.raises(AuthorsUnknown, match="GitHub <noreply@github"):
        beside(migration, authors=AuthorsPolicy.REQUIRED)


def test_a_reviewer_may_have_such_an_address(migration: Migration) -> None:
    sealed(migration, "Eve <12345+eve@users.noreply.github.com>")
    people = {**PEOPLE, "eve": "12345+eve@users.noreply.github.com"}
    assert beside(migration, authors=AuthorsPolicy.REQUIRED, reviewers=people)[0].reviewer == "eve"


@pytest.mark.parametrize("policy", AuthorsPolicy)
def test_what_was_changed_since_the_seal_is_refused(migration: Migration, policy: AuthorsPolicy) -> None:
    sealed(migration, "Bob <bob@example.com>")
    migration.sql_path.write_text("DROP TABLE a;\n")
    with pytest.raises(AuthorsUnknown, match=r"'001_first.sql' was changed"):
        beside(migration, authors=policy)


def analyzed(migration: Migration, *, started_by: str = "", emergency: str | None = None, **policy: Any) -> Plan:
    return run_analyze(
        migration,
        target=replace(TARGET, **policy),
        catalogue=None,
        endpoint=None,
        ledger=None,
        run=replace(RUN, started_by=started_by),
        emergency=emergency,
    )


def test_the_analysis_keeps_them_in_the_plan(migration: Migration) -> None:
    sealed(migration, "Bob <bob@example.com>")
    plan = analyzed(migration, started_by="ann")
    assert [(one.reviewer, one.source) for one in plan.authors] == [("bob", "sealed"), ("ann", "started")]
    assert documents.from_dict(Plan, documents.to_dict(plan)) == plan
    migration.sql_path.write_text("DROP TABLE a;\n")
    with pytest.raises(AuthorsUnknown, match="put it back, or commit it"):
        analyzed(migration)


def test_an_emergency_needs_two_who_are_no_authors(migration: Migration) -> None:
    assert analyzed(migration, emergency="the disk fills up").emergency
    with pytest.raises(Refused, match="names 1 for 'test'"):
        analyzed(migration, emergency="the disk fills up", started_by="ann")


def test_a_run_that_nobody_could_approve_says_so_at_once(migration: Migration) -> None:
    """Two approvals and one more, because there is no rollback script; ann and bob are left."""
    plan = analyzed(migration)
    (finding,) = [one for one in plan.findings if one.rule == TOO_FEW]
    assert "3 approvals are needed, of the reviewers of 'test' only 2 may give one: author@" in finding.message
    few = {risk: 1 for risk in Risk}
    assert not [one for one in analyzed(migration, reviews=few).findings if one.rule == TOO_FEW]
    plan = analyzed(migration, reviews=few, started_by="ann")
    (finding,) = [one for one in plan.findings if one.rule == TOO_FEW]
    assert "ann counts as author, having started the run" in finding.message
    assert "let somebody else start the run" in finding.help


def plan_of(*authors: Author) -> Plan:
    return replace(PLAN, authors=authors)


ANN_STARTED = Author("ann", Source.STARTED, "ann", "ann@example.com")
BOB_COMMITTED = Author("Robert <robert@home.example>", Source.SEALED, "bob", "bob@example.com")


@pytest.mark.parametrize(
    "plan, responder, words",
    [
        (PLAN, "ann", ""),
        (PLAN, "author", "is the author"),
        (plan_of(ANN_STARTED), "ann", "counts as author, having started the run"),
        (plan_of(ANN_STARTED), "bob", ""),
        (
            plan_of(Author("Ann <ann+git@Example.com>", Source.SEALED)),
            "ann",
            "is an author, having committed the files",
        ),
        (plan_of(BOB_COMMITTED), "bob", "is an author, having committed the files"),
        (plan_of(Author("Zed <zed@example.com>", Source.SEALED)), "ann", ""),
    ],
)
def test_no_author_may_approve(plan: Plan, responder: str, words: str) -> None:
    assert authorship(plan, responder, PEOPLE[responder]) == words
    judgement = judge(
        plan, "sha256:e", responder=responder, email=PEOPLE[responder], decision="approved", earlier=(), now=NOW
    )
    assert judgement.accepted is (words == "")
    assert words in judgement.reason


def test_nor_under_another_name() -> None:
    assert authorship(plan_of(ANN_STARTED), "annie", "Ann+work@example.com")


@pytest.mark.parametrize(
    "declared, others, left",
    [
        ("Author+x@Example.com", (), {"ann", "bob"}),
        ("ann", (), {"bob", "author"}),
        ("zed@example.com", (ANN_STARTED,), {"bob", "author"}),
        ("author@example.com", (ANN_STARTED, BOB_COMMITTED), set()),
    ],
)
def test_who_may_approve(declared: str, others: tuple[Author, ...], left: set[str]) -> None:
    assert approvers(TARGET, everyone(declared, others)) == {PEOPLE[name] for name in left}


def test_two_users_with_one_address_are_one_person() -> None:
    twice: Mapping[str, str] = {**PEOPLE, "annie": "ann@example.com"}
    assert approvers(replace(TARGET, reviewers=twice), [ANN_STARTED]) == {"bob@example.com", "author@example.com"}


def test_digests_of_plans_without_them_hold() -> None:
    """Of plans that were made before there were any: stored in the ledger, and approved."""
    data = documents.to_dict(PLAN)
    for later in ("authors", "left_out", "ahead", "acts_as", "behind"):  # of a plan that is as old
        del data[later]
    assert documents.from_dict(Plan, data).digest == PLAN.digest
    volatile = ("created_at", "engine_version", "checksums", "files", "already_applied", "applied_note")
    assert documents.digest({key: value for key, value in data.items() if key not in volatile}) == PLAN.digest
    assert plan_of(ANN_STARTED).digest != PLAN.digest, "reviewers decide on whose it is"
    assert plan_of(ANN_STARTED).digest != plan_of(BOB_COMMITTED).digest


def test_the_card_names_them_and_how_that_is_known() -> None:
    alone = card(PLAN, None)
    assert "| Author | author@example.com (declared in the metadata) |" in alone
    text = card(plan_of(Author("Zed <zed@example.com>", Source.SEALED), BOB_COMMITTED, ANN_STARTED), None)
    (line,) = [line for line in text.splitlines() if line.startswith("| Authors |")]
    assert "author@example.com (declared in the metadata); " in line
    assert "zed@example.com" in line
    assert "(committed the files; none of the reviewers)" in line
    assert "(committed the files; reviewer bob)" in line
    assert "ann (started the run; reviewer ann)" in line
