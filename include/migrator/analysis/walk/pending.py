"""What earlier migrations, which may not be applied yet, mean for one: the world that it finds. Pure.

They are walked through in their order, and the migration starts in the world that they leave behind: a table that one
of them creates is there, with its columns and constraints, but it is not new, because there may be rows in it by then.
Which of them run before this one is certain only for those that it depends on. So where it makes a difference both
worlds are tried, with and without the others, and what fails in one of them only is told as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from migrator.analysis.effects import World
from migrator.analysis.effects.model import Failure
from migrator.analysis.walk.lock_order import LockOrder, orders
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.walk import walk
from migrator.frozen import frozen
from migrator.parsing.nodes import find
from migrator.parsing.statements import ParsedFile
from migrator.plan import Finding, Severity

UNDECLARED = "undeclared-dependency"
CONFLICT = "pending-conflict"


@frozen
class Earlier:
    """A migration that comes before another in the catalogue."""

    version: str
    label: str
    """As people find it: "2025/003_orders"."""
    files: tuple[ParsedFile, ...]
    transaction: bool | None = None
    """The metadata's."""


@dataclass
class Chain:
    """The worlds after the first, the first two, ... of some migrations; each migration is walked through once."""

    start: World
    labels: list[str] = field(default_factory=list)
    worlds: list[World] = field(default_factory=list)
    """After each of them."""

    def after(self, earlier: Sequence[Earlier]) -> World:
        labels = [item.label for item in earlier]
        if labels[: len(self.labels)] != self.labels[: len(labels)]:
            self.labels, self.worlds = [], []  # of other migrations than before
        for migration in earlier[len(self.labels) :]:
            world = after(migration, self.worlds[-1] if self.worlds else self.start)
            self.labels.append(migration.label)
            self.worlds.append(world)
        return self.worlds[len(labels) - 1] if labels else self.start


@frozen
class Before:
    """What comes before a migration and is not, or may not be, in the database."""

    earlier: tuple[Earlier, ...] = ()
    """In the order in which they run."""
    required: frozenset[str] = frozenset()
    """Versions of those that it depends on: they surely run before it."""
    asked: bool = False
    """The ledger says that they are not applied; else nobody knows whether they are."""
    now: bool = False
    """It is about to run: what it does not depend on will not run before it."""
    own: bool = False
    """The last of `earlier` is the migration itself: its files before the one in question."""
    chain: Chain | None = None
    """For many migrations in one world; None makes one."""

    @property
    def optional(self) -> tuple[Earlier, ...]:
        return tuple(item for item in self.earlier if item.version not in self.required)

    @property
    def files(self) -> tuple[ParsedFile, ...]:
        return tuple(file for item in self.earlier for file in item.files)

    @property
    def certain(self) -> tuple[Earlier, ...]:
        return tuple(item for item in self.earlier if item.version in self.required)


NOTHING_BEFORE = Before()


@frozen
class Start:
    """The world in which a migration starts, and what was found out by trying the other one."""

    world: World
    missing: Mapping[tuple[str, int], Failure] = field(default_factory=dict)
    """By file and statement: what fails without those that it does not depend on."""
    conflicts: Mapping[tuple[str, int], Failure] = field(default_factory=dict)
    """What fails because of them."""


def lock_orders(migration: Earlier) -> tuple[LockOrder, ...]:
    """In which order its transactions lock relations, as far as its files tell."""
    scripts = (walk(file, World(), wanted=migration.transaction)[0] for file in migration.files)
    return tuple(order for script in scripts for order in orders(script.parsed.file, script.timeline))


def after(migration: Earlier, world: World) -> World:
    """The world that a migration leaves to the next one."""
    since = world.state.version
    for file in migration.files:
        world = walk(file, world, wanted=migration.transaction)[1]
    return world.handed_over(migration.label, since)


def start(before: Before, files: Sequence[ParsedFile], fresh: World, transaction: bool | None) -> Start:
    """`fresh`: the world without any of them. Without a connection nothing is tried: see `doubted`."""
    if not before.earlier:
        return Start(fresh)
    everything = (before.chain or Chain(fresh)).after(before.earlier[:-1] if before.own else before.earlier)
    if before.own:
        everything = after(before.earlier[-1], everything.branch())
    if fresh.facts is None or not before.optional:
        return Start(everything.branch())
    certain = Chain(fresh.branch()).after(before.certain)
    with_all = _failures(_walked(files, everything, transaction))
    without = _failures(_walked(files, certain, transaction))
    missing = {key: failure for key, failure in without.items() if key not in with_all}
    conflicts = {key: failure for key, failure in with_all.items() if key not in without}
    world = certain if before.now and not missing else everything
    return Start(world.branch(), missing, conflicts)


def doubted(begun: Start, before: Before, scripts: Sequence[Script], fresh: World, transaction: bool | None) -> Start:
    """Without a connection: what fails because of any of them, and so is not told as certain."""
    failures = _failures(scripts) if before.earlier else {}
    if not failures or fresh.facts is not None:
        return begun
    own = _failures(_walked([script.parsed for script in scripts], fresh, transaction))
    return replace(begun, conflicts={key: failure for key, failure in failures.items() if key not in own})


def _walked(files: Sequence[ParsedFile], world: World, transaction: bool | None) -> Iterator[Script]:
    world = world.branch()
    for file in files:
        script, world = walk(file, world, wanted=transaction)
        yield script


def _failures(scripts: Iterable[Script]) -> dict[tuple[str, int], Failure]:
    found: dict[tuple[str, int], Failure] = {}
    for script in scripts:
        for subject in script.subjects:
            failure = subject.all_effects.fails
            if failure is not None:
                found[script.parsed.file, subject.statement.index] = failure
    return found


def findings(before: Before, begun: Start, scripts: Sequence[Script]) -> Iterator[Finding]:
    """What it uses of migrations that it does not depend on, and what fails once they are applied."""
    optional = {item.label: item.version for item in before.optional}
    if not optional and not begun.conflicts:
        return
    for script in scripts:
        for subject in script.subjects:
            key = (script.parsed.file, subject.statement.index)
            labels = [label for name in names_in(subject) for label in _makers(subject, name) if label in optional]
            if key in begun.missing:
                labels = labels or [label for label in _touching(subject) if label in optional] or list(optional)
            if labels:
                yield _undeclared(before, script, subject, labels, optional, begun.missing.get(key))
            if key in begun.conflicts:
                yield _conflict(before, script, subject, begun.conflicts[key])


def _undeclared(
    before: Before,
    script: Script,
    subject: Subject,
    labels: Sequence[str],
    versions: Mapping[str, str],
    failure: Failure | None,
) -> Finding:
    names = list(dict.fromkeys(labels))
    which = f"{'pending migration' if before.asked else 'migration'} {' or '.join(names)}"
    why = f" ({failure.sqlstate}: {failure.message})" if failure is not None else ""
    return _at(
        script,
        subject,
        UNDECLARED,
        Severity.WARNING if before.asked else Severity.INFO,
        f"needs what {which} makes, which this migration does not depend on: it may fail where that is not"
        f" applied{why}",
        f"write {', '.join(versions[name] for name in names)} into the dependencies of the metadata",
    )


def _conflict(before: Before, script: Script, subject: Subject, failure: Failure) -> Finding:
    labels = _touching(subject) or [item.label for item in before.earlier]
    which = ", ".join(dict.fromkeys(labels))
    return _at(
        script,
        subject,
        CONFLICT,
        Severity.WARNING,
        f"may fail with {failure.sqlstate} once {which} is applied: {failure.message}",
        "it comes after that in the catalogue: write it for what that leaves behind, or take one of the two out",
    )


def _at(script: Script, subject: Subject, rule: str, severity: Severity, message: str, help: str) -> Finding:
    statement = subject.statement
    return Finding(
        rule,
        severity,
        message,
        help,
        file=script.parsed.file,
        line=statement.line,
        column=statement.column,
        statement=statement.index,
    )


def names_in(subject: Subject) -> tuple[str, ...]:
    """Relations that a statement names, and those that run inside of it, and those that it locks."""
    found = {}
    for item in subject.with_inner():
        found.update(dict.fromkeys(item.world.name(part) for part in find(item.statement.node, "RangeVar")))
        found.update(dict.fromkeys(lock.relation for lock in item.effects.locks))
    return tuple(found)


def _makers(subject: Subject, name: str) -> Iterator[str]:
    maker = subject.world.made_by(name)
    if maker is not None and subject.world.relation(name) is not None:
        yield maker


def _touching(subject: Subject) -> list[str]:
    labels = (subject.world.changed_by(name) for name in names_in(subject))
    return [label for label in labels if label is not None]


def assumptions(before: Before, scripts: Iterable[Script]) -> tuple[str, ...]:
    """Which relations are not as the catalog has them, but as earlier migrations leave them."""
    if not before.earlier:
        return ()
    found: dict[str, None] = {}
    for script in scripts:
        for subject in script.subjects:
            for name in names_in(subject):
                text = _assumption(before, subject.world, name)
                if text:
                    found[text] = None
    return tuple(found)


def _assumption(before: Before, world: World, name: str) -> str | None:
    which = "pending migration" if before.asked else "migration"
    doubt = "" if before.asked else "; whether that is applied is unknown without a connection"
    maker, changer = world.made_by(name), world.changed_by(name)
    if maker is not None and world.exists(name):
        return f"{name} is created by {which} {maker}: how many rows it has by then is unknown{doubt}"
    if changer is None or world.is_new(name):
        return None
    if world.exists(name) is False:
        return f"{name} is dropped by {which} {changer}{doubt}"
    return f"{name} is as {which} {changer} leaves it{doubt}"
