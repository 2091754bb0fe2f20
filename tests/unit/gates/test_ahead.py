"""What comes before a migration in its window: whether it is there, still comes, or will not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from migrator.catalogue.catalogue import Catalogue
from migrator.catalogue.metadata import Schedule
from migrator.catalogue.migration import Migration
from migrator.errors import AheadPending, Refused
from migrator.gates.ahead import not_coming, rejected, require
from migrator.gates.reviews import Answer
from migrator.ledger.rows import LedgerReview, MigrationStatus
from migrator.problems import Problem
from migrator.targets.targets import Target
from tests.factories import NOW, make_metadata, make_plan
from tests.unit.ledger_rows import migration_row

TARGET = Target("test", "development", "a", "b")
FIRST = replace(make_plan(version="001_first"), content_digest="sha256:first")
PLAN = replace(make_plan(version="002_second"), ahead=(FIRST,))
HOUR = timedelta(hours=1)


def migration(version: str, *, start: timedelta = timedelta(), hours: int = 2, target: str = "test") -> Migration:
    schedule = Schedule(target, NOW + start, hours * HOUR, HOUR)
    folder = Path("/m", version)
    return Migration(folder, version, make_metadata(version=version, schedule=schedule), folder / f"{version}.sql")


SECOND = migration("002_second")


def review(who: str, decision: Answer, version: str = "001_first") -> LedgerReview:
    return LedgerReview(1, version, "p", "e", who, f"{who}@example.com", decision.value, "", NOW, None, "run-1", 1)


def asked(
    *migrations: Migration,
    reviews: tuple[LedgerReview, ...] = (),
    broken: str = "",
    now: timedelta = timedelta(),
) -> dict[str, str]:
    files = {f"/m/{broken}/migration-metadata.yaml": (Problem("x", "no"),)} if broken else {}
    catalogue = Catalogue(Path("/m"), migrations, broken=files)
    return not_coming(PLAN, (), reviews, target=TARGET, now=NOW + now, migration=SECOND, catalogue=catalogue)


def test_what_a_baseline_has_adopted_counts_as_the_same() -> None:
    """Nobody knows its content."""
    row = migration_row(version="001_first", status=MigrationStatus.SUCCESS, checksum=None)
    require(PLAN, (row,))
    require(PLAN, (replace(row, checksum="sha256:first"),))
    with pytest.raises(Refused, match="'001_first', which was applied with another content"):
        require(PLAN, (replace(row, checksum="sha256:other"),))


def test_whose_last_answer_is_no() -> None:
    no, yes, void = (review("bob", answer) for answer in (Answer.REJECTED, Answer.APPROVED, Answer.REFUSED))
    assert rejected((no, review("ann", Answer.APPROVED), void)) == {"001_first": "bob"}
    assert rejected((no, yes)) == {}


def test_the_first_one_was_rejected() -> None:
    no = (review("bob", Answer.REJECTED),)
    assert asked(migration("001_first"), SECOND, reviews=no) == {"001_first": "was rejected by bob"}
    assert not_coming(PLAN, (), no, target=TARGET, now=NOW) == {"001_first": "was rejected by bob"}, "no catalogue"
    assert asked(migration("001_first"), SECOND, reviews=(review("bob", Answer.REJECTED, "000_other"),)) == {}
    row = migration_row(version="001_first", status=MigrationStatus.SUCCESS)
    assert not_coming(PLAN, (row,), no, target=TARGET, now=NOW) == {}, "it is there"


def test_the_catalogue_has_the_first_one_somewhere_else() -> None:
    assert asked(migration("001_first"), SECOND) == {}
    assert asked(SECOND) == {"001_first": "is not in the catalogue any more"}
    assert asked(SECOND, broken="001_first") == {}, "it may be mended"
    later = migration("001_first", start=3 * HOUR)
    assert asked(later, SECOND) == {"001_first": "has another window now"}
    assert asked(migration("001_first", target="other"), SECOND) == {"001_first": "has no window any more"}
    over = migration("001_first", hours=1)
    assert asked(over, SECOND, now=HOUR) == {"001_first": "was not begun in its window, which is over"}
    assert asked(SECOND, migration("001_first")) == {"001_first": "comes after it now"}
    earlier = migration("001_first", start=-5 * HOUR, hours=1)
    assert asked(earlier, SECOND, now=-6 * HOUR) == {}, "it still comes before it"
    assert asked(SECOND, now=3 * HOUR) == {}, "its own window is over, and that is told"


def test_nobody_waits_for_what_will_not_come() -> None:
    gone = {"001_first": "was rejected by bob"}
    with pytest.raises(Refused, match=r"'001_first', which comes first in the window, was rejected by bob, so it will"):
        require(PLAN, (), gone)
    with pytest.raises(Refused, match="clear analyze with Downstream, and this one is rehearsed without it"):
        require(PLAN, (), gone)
    with pytest.raises(AheadPending, match="is being applied"):
        require(PLAN, (migration_row(version="001_first"),), gone)
    with pytest.raises(AheadPending, match="is not applied yet"):
        require(PLAN, (), {})


def test_what_depends_on_it_cannot_go_on_without_it() -> None:
    middle = replace(make_plan(version="0011_middle"), dependencies=("001_first",))
    plan = replace(PLAN, ahead=(FIRST, middle), dependencies=("0011_middle",))
    with pytest.raises(Refused, match="'002_second' depends on it, and cannot be applied without it"):
        require(plan, (), {"001_first": "was rejected by bob"})
