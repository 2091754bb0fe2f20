"""What a dry run makes of rows: whether the rollback gives them back, but for those that apply itself dropped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from migrator.backups.trial import Trial
from migrator.database import fingerprint, identities, session
from migrator.database.identities import Identities
from migrator.database.schema import LEDGER_SCHEMA, Schema
from migrator.database.session import Endpoint
from migrator.database.vocabulary import Vocabulary
from migrator.evidence import Check, TableFingerprint
from migrator.rehearsal import columns as found_columns
from migrator.rehearsal import losses
from migrator.rehearsal.checks import columns_moved, data_equal, without_views
from migrator.rehearsal.losses import Dropped, Part

Tables = dict[str, TableFingerprint]
MOST_TABLES = 10
"""Whose columns are compared one by one."""


@dataclass(frozen=True)
class Applied:
    """What was there before apply, what after it, and what of it apply dropped."""

    before: Identities = field(default_factory=Identities)
    after: Identities = field(default_factory=Identities)
    dropped: Dropped = field(default_factory=Dropped)
    copied: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By table of which apply dropped something that it had copied before: what, and where it is."""

    @property
    def same(self) -> bool:
        """Whether the tables and their columns are the same ones; False where nobody has looked."""
        before, after = self.before, self.after
        return self is not NOTHING_APPLIED and (before.tables, before.types) == (after.tables, after.types)


NOTHING_APPLIED = Applied()


def after_apply(trial: Trial, version: str) -> Applied:
    before, after = identities_of(trial.pristine, version), identities_of(trial.watching, version)
    made = _fingerprints(trial.texts, version, losses.replaced(before, after))
    empty = [name for name, table in made.items() if not table.rows]
    found = losses.dropped(before, after, empty)
    copied = {
        pair: table for pair, table in losses.copies(found, before, after) if _is_copy(trial, version, pair, table)
    }
    where = {name: (", ".join(columns), table) for (name, columns), table in copied.items()}
    return Applied(before, after, losses.without(found, copied), where)


def _is_copy(trial: Trial, version: str, pair: Part, table: str) -> bool:
    """Whether these columns have the same values there, as often."""
    name, columns = pair
    with trial.texts_on_the_origin() as pristine:
        before = _fingerprints(pristine, version, [name], columns={name: columns})
    after = _fingerprints(trial.texts, version, [table], columns={table: columns})
    old, new = before.get(name), after.get(table)
    return old is not None and new is not None and 0 < old.rows == new.rows and old.hash == new.hash


@dataclass(frozen=True)
class Comparison:
    """After the rollback: of every table whose rows may be others."""

    trial: Trial
    version: str
    applied: Applied
    before: Schema
    restored: Schema
    known: Vocabulary

    def check(self, snapshot: Collection[TableFingerprint] | None, written: Collection[str]) -> Check:
        """:param snapshot: None: its rows are not those from before."""
        before, after, now = self.applied.before, self.applied.after, identities_of(self.trial.watching, self.version)
        names = losses.concerned(before, after, now, written)
        moved = {name for name in names if columns_moved(name, self.before, self.restored)}
        still = names - moved
        generated = {table.name for table in before.tables.values() if table.generated}
        anew = still if snapshot is None else still & generated  # a snapshot has no hash of what is generated
        originals = {table.table: table for table in snapshot or () if table.table in names}
        found = self._read(self.trial.texts, still)
        if moved or anew:
            with self.trial.texts_on_the_origin() as pristine:
                originals |= self._read(pristine, anew)
                originals |= self._read(pristine, moved, by_name=True)
            found |= self._read(self.trial.texts, moved, by_name=True)
        dropped = losses.excused(self.applied.dropped, before, after, now)
        left = self._left(dropped, originals, found, now)
        blamed = {
            name: f"apply has left the values of {column} in {self.known.tell(table)}: copy them back"
            for name, (column, table) in self.applied.copied.items()
        }
        blamed |= losses.blamed(before, after, now, self.known.tell)
        excused = {*blamed, *dropped.tables, *(name for name in left[0] if left[0][name] == left[1].get(name))}
        others = sorted(name for name in originals.keys() - excused if _other(originals[name], found.get(name)))
        said = self._columns(others[:MOST_TABLES], now) if others else {}
        check = data_equal(originals, found, dropped, left=left, blamed={**said, **blamed})
        return without_views(check, self.before.names("materialized_view"))

    def _columns(self, names: Collection[str], now: Identities) -> dict[str, str]:
        """Which columns of these tables are others, a sentence each."""
        said, old, there = {}, self.applied.before.by_name, now.by_name
        with (
            self.trial.texts_on_the_origin() as origin,
            session.connect(origin, purpose="observe", version=self.version) as pristine,
            session.connect(self.trial.texts, purpose="observe", version=self.version) as conn,
        ):
            for name in names:
                if name not in old or name not in there:
                    continue
                columns = [one for one in old[name].columns.values() if one in there[name].columns.values()]
                differ = found_columns.differing(pristine, conn, name, columns)
                if differ is not None:
                    by = found_columns.setters(conn, name, differ)
                    said[name] = found_columns.sentence(name, differ, by, self.known.tell)
                    if old[name].refers.intersection(differ):
                        said[name] += found_columns.MADE_ANEW
        return said

    def _left(self, dropped: Dropped, originals: Tables, found: Tables, now: Identities) -> tuple[Tables, Tables]:
        """Of tables of which apply dropped columns, and that are others: the columns that it left, before and now."""
        columns: dict[str, tuple[str, ...]] = {}
        old, there = self.applied.before.by_name, now.by_name
        for name, gone in dropped.columns.items():
            if name not in originals or name not in there or found.get(name) in (None, originals[name]):
                continue
            left = [column for column in old[name].columns.values() if column not in gone]
            if set(left) <= set(there[name].columns.values()):
                columns[name] = tuple(left)
        if not columns:
            return {}, {}
        with self.trial.texts_on_the_origin() as pristine:
            wanted = self._read(pristine, columns, columns=columns)
        return wanted, self._read(self.trial.texts, columns, columns=columns)

    def _read(
        self,
        endpoint: Endpoint,
        only: Collection[str],
        *,
        by_name: bool = False,
        columns: Mapping[str, Collection[str]] | None = None,
    ) -> Tables:
        return _fingerprints(endpoint, self.version, only, by_name=by_name, columns=columns)


def _other(old: TableFingerprint, now: TableFingerprint | None) -> bool:
    return now is not None and now.rows == old.rows and now != old


def _fingerprints(
    endpoint: Endpoint,
    version: str,
    only: Collection[str],
    *,
    by_name: bool = False,
    columns: Mapping[str, Collection[str]] | None = None,
) -> Tables:
    """As the copy's role: should reading a table run what the texts have made, it runs with their rights."""
    if not only:
        return {}
    with session.connect(endpoint, purpose="observe", version=version) as conn:
        found = fingerprint.tables(
            conn, exclude=(LEDGER_SCHEMA,), only=only, by_name=by_name, columns=columns, stored=True
        )
    return {table.table: table for table in found}


def identities_of(endpoint: Endpoint, version: str) -> Identities:
    with session.connect(endpoint, purpose="observe", version=version) as conn:
        return identities.read(conn, exclude=(LEDGER_SCHEMA,))
