"""Several migrations for one window: the later one is rehearsed on what the earlier one makes, and waits for it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migrator.catalogue.catalogue import load_catalogue
from migrator.database.session import Endpoint
from migrator.errors import AheadPending, DriftDetected, HeldByOther, OutOfOrder, Refused, ReviewRefused
from migrator.evidence import EvidenceBundle, Verdict
from migrator.history import baseline
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import analyze, dry_run, preflight, restore_test, review, snapshot
from migrator.targets.targets import OrderPolicy
from tests.factories import NOW
from tests.integration.stages import apply_all, make_target, query, roll_back, row_of, verify_it

WINDOW = f"{NOW:%Y-%m-%d %H:%M} UTC"
TABLE = "CREATE TABLE shops (id bigint PRIMARY KEY, name text);\nINSERT INTO shops VALUES (1, 'one');\n"
COLUMN = "ALTER TABLE shops ADD COLUMN town text;\nUPDATE shops SET town = 'here' WHERE id = 1;\n"


def write(root: Path, version: str, sql: str, back: str, *, window: str = WINDOW, more: str = "") -> None:
    folder = root / "2025" / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "migration-metadata.yaml").write_text(
        f"version: {version}\ndescription: a test\nauthor: author@example.com\nrisk_level: high\n"
        "estimated_duration: 1 minute\nrollback_available: true\n"
        f"schedule:\n  target: test\n  window_start: {window}\n  duration: 2 hours\n{more}"
    )
    (folder / f"{version}.sql").write_text(sql)
    (folder / f"{version}_rollback.sql").write_text(back)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    root = tmp_path / "migrations"
    write(root, "001_shops", TABLE, "DROP TABLE shops;\n")
    write(root, "002_town", COLUMN, "ALTER TABLE shops DROP COLUMN town;\n", more="dependencies: [001_shops]\n")
    write(root, "003_other", "CREATE TABLE other (id bigint);\n", "DROP TABLE other;\n")
    return root


@dataclass
class Case:
    migrations: Path
    database: Endpoint
    copies: Endpoint
    storage: Path

    def run(self, version: str) -> RunContext:
        return RunContext(run_id="run-1", version=version, target="test", actor="tester", clock=lambda: NOW)

    def analysed(self, version: str, **policy: Any) -> Plan:
        catalogue = load_catalogue(self.migrations)
        with Ledger(self.database) as ledger:
            return analyze.run_analyze(
                catalogue.require(version),
                target=make_target(**policy),
                catalogue=catalogue,
                endpoint=self.database,
                ledger=ledger,
                run=self.run(version),
            )

    def rehearsed(self, version: str) -> tuple[Plan, EvidenceBundle]:
        """All that comes before the review."""
        plan, run = self.analysed(version), self.run(version)
        target = make_target(storage=str(self.storage))
        record = snapshot.run(plan, endpoint=self.database, target=target, run=run)
        restore = restore_test.run(record, copies=self.copies, target=target, run=run)
        try:
            evidence = dry_run.run(plan, record, restore, copies=self.copies, run=run)
        finally:
            restore_test.drop_copy(restore, copies=self.copies, run=run)
        assert query(self.copies, "SELECT datname FROM pg_database WHERE NOT datistemplate") == [("postgres",)]
        return plan, EvidenceBundle(record, restore, evidence)

    def rejects(self, who: str, plan: Plan, bundle: EvidenceBundle) -> None:
        target = make_target(reviewers={who: f"{who}@example.com"})
        with Ledger(self.database) as ledger:
            ledger.install()
            with pytest.raises(ReviewRefused):
                review.record(
                    ledger,
                    plan,
                    bundle.digest,
                    target=target,
                    responder=who,
                    decision="rejected",
                    comment="not tonight",
                    now=ledger.server_time(),
                    run=self.run(plan.version),
                )

    def adopts(self, *versions: str) -> None:
        with Ledger(self.database) as ledger:
            ledger.install()
            baseline.adopt(self.database, ledger, run=self.run("001_shops"), reason="by hand", versions=versions)

    def applied(self, plan: Plan, bundle: EvidenceBundle) -> None:
        """With what the catalogue says now, as the operator hands it in."""
        catalogue = load_catalogue(self.migrations)
        apply_all(plan, self.database, bundle, migration=catalogue.get(plan.version), catalogue=catalogue)

    def done(self, plan: Plan, bundle: EvidenceBundle) -> None:
        apply_all(plan, self.database, bundle)
        verify_it(plan, self.database, bundle)
        row = row_of(plan, self.database)
        assert row is not None
        assert row.status == "success"

    def checked(self, plan: Plan, bundle: EvidenceBundle) -> dict[str, str]:
        catalogue = load_catalogue(self.migrations)
        with Ledger(self.database) as ledger:
            report = preflight.run_checks(
                plan,
                bundle,
                endpoint=self.database,
                ledger=ledger,
                target=make_target(),
                migration=catalogue.get(plan.version),
                catalogue=catalogue,
                run=self.run(plan.version),
            )
        return {check.name: check.detail for check in report.checks}


@pytest.fixture
def case(migrations: Path, database: Endpoint, copies: Endpoint, tmp_path: Path) -> Case:
    return Case(migrations, database, copies, tmp_path / "snapshots")


def test_all_of_a_window_are_prepared_before_it_and_applied_in_it(case: Case) -> None:
    """Hours before the window nothing of it is applied; in it nobody is asked again."""
    prepared = [case.rehearsed(version) for version in ("001_shops", "002_town", "003_other")]
    plans = [plan for plan, _ in prepared]
    assert [[one.version for one in plan.ahead] for plan in plans] == [[], ["001_shops"], ["001_shops", "002_town"]]
    assert [plan.behind for plan in plans] == [("002_town", "003_other"), ("003_other",), ()]
    assert all(bundle.dry_run.verdict is Verdict.PASSED for _, bundle in prepared)
    assert "+ column shops.town" in "\n".join(prepared[1][1].dry_run.schema_diff).replace("public.", "")
    assert "shops" not in "\n".join(prepared[2][1].dry_run.schema_diff), "what others do is not its own"
    with pytest.raises(AheadPending, match="'001_shops' comes first in the window and is not applied yet"):
        apply_all(*reversed_(case, prepared[1]))
    for plan, bundle in prepared:
        case.checked(plan, bundle)
        case.done(plan, bundle)
    assert query(case.database, "SELECT id, name, town FROM shops") == [(1, "one", "here")]


def reversed_(case: Case, prepared: tuple[Plan, EvidenceBundle]) -> tuple[Plan, Endpoint, EvidenceBundle]:
    return prepared[0], case.database, prepared[1]


@pytest.mark.thorough
def test_the_first_one_is_being_applied(case: Case) -> None:
    first, second = case.rehearsed("001_shops"), case.rehearsed("002_town")
    apply_all(first[0], case.database, first[1])
    with pytest.raises(AheadPending, match="'001_shops' comes first in the window and is being applied"):
        apply_all(second[0], case.database, second[1])


@pytest.mark.thorough
def test_the_first_one_is_rolled_back(case: Case) -> None:
    """Then the second one was rehearsed on what is not there; analysed anew, it does not count on it."""
    first, other = case.rehearsed("001_shops"), case.rehearsed("003_other")
    apply_all(first[0], case.database, first[1])
    roll_back(first[0], case.database, first[1])
    with pytest.raises(Refused, match="rehearsed on top of '001_shops', which is rolled_back"):
        apply_all(other[0], case.database, other[1])
    write(case.migrations, "002_town", "SELECT 1;", "SELECT 1;", window="2020-01-01 02:00 UTC")
    again = case.rehearsed("003_other")
    assert again[0].ahead == ()
    case.done(*again)


@pytest.mark.thorough
def test_the_first_one_came_with_another_content(case: Case) -> None:
    other = case.rehearsed("003_other")
    write(case.migrations, "001_shops", TABLE + "CREATE INDEX ON shops (name);\n", "DROP TABLE shops;\n")
    case.done(*case.rehearsed("001_shops"))
    case.done(*case.rehearsed("002_town"))
    with pytest.raises(Refused, match="'001_shops', which was applied with another content"):
        apply_all(other[0], case.database, other[1])
    assert case.analysed("003_other").digest != other[0].digest, "its reviews are void"


@pytest.mark.thorough
def test_the_first_one_is_rejected(case: Case) -> None:
    """Nobody waits for it the whole window long; rehearsed again, the other goes on without it."""
    first, second, other = (case.rehearsed(version) for version in ("001_shops", "002_town", "003_other"))
    with pytest.raises(AheadPending, match="'001_shops' comes first in the window and is not applied yet"):
        case.applied(*other)
    case.rejects("bob", *first)
    for ask in (case.checked, case.applied):
        with pytest.raises(Refused, match="'001_shops', which comes first in the window, was rejected by bob, so it"):
            ask(*other)
    with pytest.raises(Refused, match="'002_town' depends on it, and cannot be applied without it"):
        case.checked(*second)
    with pytest.raises(Refused, match="was rejected by bob"):
        apply_all(other[0], case.database, other[1])
    again = case.rehearsed("003_other")
    assert again[0].ahead == ()
    case.checked(*again)
    case.done(*again)


@pytest.mark.thorough
def test_the_first_one_is_moved_or_deleted(case: Case) -> None:
    other = case.rehearsed("003_other")
    later = f"{NOW + timedelta(days=7):%Y-%m-%d %H:%M} UTC"
    write(case.migrations, "001_shops", TABLE, "DROP TABLE shops;\n", window=later)
    for ask in (case.checked, case.applied):
        with pytest.raises(Refused, match="'001_shops', which comes first in the window, has another window now, so"):
            ask(*other)
    for version in ("001_shops", "002_town"):
        shutil.rmtree(case.migrations / "2025" / version)
    for ask in (case.checked, case.applied):
        with pytest.raises(Refused, match="'001_shops', which comes first in the window, is not in the catalogue any"):
            ask(*other)
    case.done(*case.rehearsed("003_other"))


@pytest.mark.thorough
def test_the_first_one_was_applied_by_hand_and_adopted(case: Case) -> None:
    """The ledger has it with no content: it counts as the same, and the schema is compared."""
    other = case.rehearsed("003_other")
    query(case.database, f"SET search_path = public; {TABLE}{COLUMN}")
    with Ledger(case.database) as ledger:
        ledger.install()
        run = case.run("001_shops")
        baseline.adopt(case.database, ledger, run=run, reason="by hand", versions=("001_shops", "002_town"))
    case.done(*other)


@pytest.mark.thorough
def test_somebody_else_changes_the_schema_meanwhile(case: Case) -> None:
    """Only what was rehearsed is no drift."""
    first, second = case.rehearsed("001_shops"), case.rehearsed("002_town")
    case.done(*first)
    query(case.database, "CREATE INDEX by_hand ON shops (name)")
    with pytest.raises(DriftDetected, match="by_hand"):
        apply_all(second[0], case.database, second[1])


@pytest.fixture
def other_role(case: Case, database: Endpoint, superuser: str) -> Iterator[str]:
    name = f"other_{secrets.token_hex(4)}"
    admin = replace(database, conninfo=superuser)
    query(admin, f"CREATE ROLE {name}; GRANT {name} TO migrator")
    query(database, "CREATE TABLE public.old (id bigint)")
    case.adopts()
    query(database, f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {name}")
    query(database, f"GRANT CREATE, USAGE ON SCHEMA public TO {name}")
    yield name
    query(admin, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.thorough
def test_what_the_first_one_grants_is_no_drift(case: Case, other_role: str) -> None:
    """Nor what default privileges give there, which on the copy belong to nobody who makes anything."""
    made = "CREATE TABLE shops (id bigint PRIMARY KEY, name text);\nGRANT UPDATE ON old TO public;\n"
    back = "DROP TABLE shops;\nREVOKE UPDATE ON old FROM public;\n"
    write(case.migrations, "001_shops", made, back)
    first, second, third = (case.rehearsed(version) for version in ("001_shops", "002_town", "003_other"))
    for one in (first, second, third):
        case.done(*one)


@pytest.mark.thorough
def test_somebody_else_changes_owners_or_rights_meanwhile(case: Case, other_role: str) -> None:
    """One after the other, each taken back: what is refused leaves nothing."""
    first, third = case.rehearsed("001_shops"), case.rehearsed("003_other")
    case.done(*first)
    case.done(*case.rehearsed("002_town"))
    for by_hand, back in (
        ("GRANT DELETE ON public.old TO {role}", "REVOKE DELETE ON public.old FROM {role}"),
        ("ALTER TABLE public.old OWNER TO {role}", "ALTER TABLE public.old OWNER TO migrator"),
        ("GRANT DELETE ON public.shops TO {role}", "REVOKE DELETE ON public.shops FROM {role}"),
        ("ALTER TABLE public.shops OWNER TO {role}", "ALTER TABLE public.shops OWNER TO migrator"),
        (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE DELETE ON TABLES FROM {role}",
        ),
        ("REVOKE SELECT ON public.shops FROM {role}", "GRANT SELECT ON public.shops TO {role}"),
    ):
        query(case.database, by_hand.format(role=other_role))
        with pytest.raises(DriftDetected, match=r"(?s)(old|shops|tables).*find out who did it"):
            apply_all(third[0], case.database, third[1])
        query(case.database, back.format(role=other_role))
    case.done(*third)


@pytest.mark.thorough
def test_somebody_else_changes_rights_and_the_ledger_does_not_know_of_what(case: Case, other_role: str) -> None:
    """The first ones were adopted, so what they left is not in the ledger: what they do not touch is compared."""
    other = case.rehearsed("003_other")
    query(case.database, f"SET search_path = public; {TABLE}{COLUMN}")
    with Ledger(case.database) as ledger:
        ledger.install()
        run = case.run("001_shops")
        baseline.adopt(case.database, ledger, run=run, reason="by hand", versions=("001_shops", "002_town"))
    query(case.database, f"ALTER TABLE public.old OWNER TO {other_role}")
    with pytest.raises(DriftDetected, match=r"table public\.old"):
        apply_all(other[0], case.database, other[1])
    query(case.database, "ALTER TABLE public.old OWNER TO CURRENT_USER")
    case.done(*other)


def test_the_second_one_rolls_back_to_what_the_first_one_left(case: Case) -> None:
    first, second = case.rehearsed("001_shops"), case.rehearsed("002_town")
    case.done(*first)
    apply_all(second[0], case.database, second[1])
    report = roll_back(second[0], case.database, second[1])
    assert report.schema_equal
    assert query(case.database, "SELECT id, name FROM shops") == [(1, "one")]


def test_a_lower_one_that_depends_on_a_higher_one(case: Case) -> None:
    """What its policy says at night is known when it is analysed."""
    shutil.rmtree(case.migrations / "2025" / "002_town")
    column = "ALTER TABLE shops ADD COLUMN x int;"
    write(case.migrations, "004_shops", TABLE, "DROP TABLE shops;")
    write(case.migrations, "001_shops", column, "ALTER TABLE shops DROP COLUMN x;", more="dependencies: [004_shops]\n")
    with pytest.raises(
        OutOfOrder, match="'001_shops' is lower than '003_other', '004_shops', which 'test' has by then"
    ):
        case.analysed("001_shops", out_of_order=OrderPolicy.REJECT)
    for policy in (OrderPolicy.ASK, OrderPolicy.APPLY):
        plan = case.analysed("001_shops", out_of_order=policy)
        assert plan.out_of_order == ("003_other", "004_shops")
        assert "out-of-order" in [one.rule for one in plan.findings]
    write(case.migrations, "005_last", "CREATE TABLE last (id bigint);", "DROP TABLE last;")
    counted = [one.version for one in case.analysed("005_last", out_of_order=OrderPolicy.ASK).ahead]
    assert counted == ["003_other", "004_shops", "001_shops"]
    last = case.analysed("005_last", out_of_order=OrderPolicy.REJECT)
    assert [one.version for one in last.ahead] == ["003_other", "004_shops"]
    assert [one.message.split(" ")[0] for one in last.findings if one.rule == "window-order"] == ["001_shops"]


def test_what_is_refused_itself_is_not_counted_on(case: Case) -> None:
    write(case.migrations, "001_shops", "SELEC 1;\n", "SELECT 1;\n")
    plan = case.analysed("003_other")
    assert plan.ahead == ()
    messages = [one.message for one in plan.findings if one.rule == "window-order"]
    assert [message.split(" ")[0] for message in messages] == ["001_shops", "002_town"], "which depends on it"
    assert "would not be applied: not rehearsed on top of it" in messages[0]


def test_what_fails_on_the_copy_is_named(case: Case) -> None:
    write(case.migrations, "001_shops", TABLE + "SELECT 1 / (SELECT 0);\n", "DROP TABLE shops;\n")
    with pytest.raises(Refused, match="'001_shops' comes before '003_other' in the window, and fails on the restored"):
        case.rehearsed("003_other")


def test_other_windows_and_emergencies_wait_for_nobody(case: Case) -> None:
    later = f"{NOW + timedelta(days=7):%Y-%m-%d %H:%M} UTC"
    write(case.migrations, "001_shops", TABLE, "DROP TABLE shops;\n", window=later)
    write(case.migrations, "002_town", "SELECT 1;", "SELECT 1;", window=later)
    assert case.analysed("003_other").ahead == ()


@pytest.mark.thorough
def test_the_ledger_explains_a_difference(case: Case) -> None:
    """Who is on call at night does not look for somebody who has changed the schema by hand."""
    write(case.migrations, "001_shops", TABLE, "DROP TABLE shops;\n", window="2020-01-01 02:00 UTC")
    write(case.migrations, "002_town", "SELECT 1;", "SELECT 1;", window="2020-01-01 02:00 UTC")
    other = case.rehearsed("003_other")
    assert other[0].ahead == ()
    case.done(*case.rehearsed("001_shops"))
    with pytest.raises(
        DriftDetected, match=r"(?s)\+ table public.shops.*001_shops came meanwhile, and nothing else has"
    ):
        apply_all(other[0], case.database, other[1])
    query(case.database, "CREATE INDEX by_hand ON shops (name)")
    with pytest.raises(DriftDetected, match="find out who did it"):
        apply_all(other[0], case.database, other[1])


def test_what_another_migration_does_is_no_drift(case: Case) -> None:
    """It is waited for; afterwards the ledger explains the difference."""
    write(case.migrations, "002_town", "SELECT 1;", "SELECT 1;", window="2020-01-01 02:00 UTC")
    write(case.migrations, "001_shops", TABLE, "DROP TABLE shops;\n", window="2020-01-01 02:00 UTC")
    other, first = case.rehearsed("003_other"), case.rehearsed("001_shops")
    apply_all(first[0], case.database, first[1])
    with pytest.raises(HeldByOther, match="001_shops"):
        apply_all(other[0], case.database, other[1])


def test_drift_tells_names_and_no_values(case: Case) -> None:
    """Somebody has put a row into a default: its text is withheld, what it is about is not."""
    prepared = case.rehearsed("001_shops")
    query(case.database, "CREATE TABLE public.nickname (a text DEFAULT 'card 4711')")
    with pytest.raises(DriftDetected) as caught:
        apply_all(prepared[0], case.database, prepared[1])
    assert "+ column public.nickname.a" in str(caught.value)
    assert "4711" not in str(caught.value)
    assert "…" in str(caught.value)
