"""The registry of helper objects: what a migration makes in its target on the way, so that whoever finds it knows whose
it is and whether it may go.

A row is written in the transaction that makes the object; where a statement commits by itself, before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from migrator.database.session import Connection
from migrator.ledger import events
from migrator.ledger.guard import GuardedLedger
from migrator.ledger.rows import Helper, LedgerObject, ObjectClass
from migrator.run import RunContext


class ObjectRegistry(GuardedLedger):
    """Whose the helper objects of a target are."""

    def objects(self, version: str | None = None) -> tuple[LedgerObject, ...]:
        """What is not known to be gone, oldest first; of one version, or of all."""
        return tuple(object_of(row) for row in self.read("objects", version=version))

    def register(
        self, made: Iterable[Helper], *, version: str, step: str, run: RunContext, on: Connection | None = None
    ) -> None:
        """With `on`, in that connection's open transaction, after `require_untouched` was asked in it. A second time it
        keeps when it was made, and what was spared."""
        wanted = tuple(made)
        if on is not None:
            self._register(on, wanted, version, step, run)
        elif wanted:
            with self.transaction() as connection:
                self.take_head(connection)
                self._register(connection, wanted, version, step, run)

    def unregister(self, gone: Iterable[Helper], *, version: str, on: Connection | None = None) -> None:
        """They are gone, or whole. With `on` as `register`."""
        known = tuple(gone)
        if on is not None:
            self._unregister(on, known, version)
        elif known:
            with self.transaction() as connection:
                self.take_head(connection)
                self._unregister(connection, known, version)

    def object_changed(self, found: LedgerObject, kind: str, *, run: RunContext, disabled: bool = False) -> None:
        """It is gone, or a trigger is disabled, by somebody else than its migration: with an event of that kind."""
        helper = found.helper
        told = {"class": helper.kind.value, "schema": helper.schema, "table": helper.table, "name": helper.name}
        detail = {"object": found.id, **told, "step": found.step, "made_by": found.run_id}
        with self.transaction() as connection:
            events.append(self, connection, kind, version=found.version, run=run, detail=detail)
            if disabled:
                self.execute(connection, "object_disabled", id=found.id)
            else:
                self._unregister(connection, (helper,), found.version)

    def _register(
        self, connection: Connection, made: Iterable[Helper], version: str, step: str, run: RunContext
    ) -> None:
        for one in made:
            rest = {"needed": one.needed, "spared": list(one.spared)}
            whose = {"version": version, "step": step, "run_id": run.run_id}
            self.execute(connection, "register_object", **_named(one), **whose, **rest)

    def _unregister(self, connection: Connection, gone: Iterable[Helper], version: str) -> None:
        for one in gone:
            self.execute(connection, "object_gone", version=version, **_named(one))


def object_of(row: dict[str, Any]) -> LedgerObject:
    known = dict(row)
    helper = Helper(
        ObjectClass(known.pop("class")),
        known.pop("schema_name"),
        known.pop("object_name"),
        known.pop("table_name"),
        known.pop("needed"),
        tuple(known.pop("spared")),
    )
    return LedgerObject(helper=helper, **known)


def _named(one: Helper) -> dict[str, str]:
    return {"class": one.kind.value, "schema_name": one.schema, "table_name": one.table, "object_name": one.name}
