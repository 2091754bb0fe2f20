"""Everything that can go wrong, one class per fact. The docstring is the default message.

Two sorts matter to callers: `TransientError` (the same call may go through later: retry with back-off) and the
rest (a retry cannot help). All are picklable: the message is the only positional argument and the fields
are plain attributes.
"""

from __future__ import annotations

from typing import Any

from migrator.problems import Problem, listing


class MigratorError(Exception):
    """the migration engine failed"""

    def __init__(self, message: str | None = None, **fields: Any) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), str(self), self.fields))


def _rebuild(cls: type[MigratorError], message: str, fields: dict[str, Any]) -> MigratorError:
    return cls(message, **fields)


class UsageError(MigratorError):
    """the command or its arguments make no sense"""


class EnvironmentFault(MigratorError):
    """something that the engine needs is not here (a server, a program, a directory)"""


class InvalidInput(MigratorError):
    """a file that a person wrote is wrong; `problems` lists every fault with its place"""

    def __init__(self, message: str | None = None, *, problems: tuple[Problem, ...] = (), **fields: Any) -> None:
        super().__init__(message or listing(problems) or None, problems=problems, **fields)


# Transient: the same call may go through later.


class TransientError(MigratorError):
    """the database could not do this now; it may later"""


class LockNotAvailable(TransientError):
    """a lock was not granted within lock_timeout (55P03); fields: blockers"""


class HeldByOther(TransientError):
    """another migration run holds this database; fields: holder"""


class GivesWay(TransientError):
    """long work lets the lock go between two batches, because another migration has asked for it"""


class AheadPending(TransientError):
    """another migration of the window comes first; fields: waits_for"""


class PreflightBusy(TransientError):
    """the target is too busy to be changed now; fields: checks"""


class ConnectionLost(TransientError):
    """the connection to the database was lost; fields: sqlstate"""


class LoadUnknown(TransientError):
    """nobody can say how loaded the server is, so nothing more is begun"""


class CommitUnknown(TransientError):
    """the connection was lost at COMMIT: the ledger says on the next try whether it took effect"""


# Refusals: a gate said no. A retry gives the same answer.


class Refused(MigratorError):
    """the migration must not go on"""


class AnalysisRefused(Refused):
    """the analysis found errors; fields: findings"""


class RestoreNotProven(Refused):
    """the restored copy does not equal the source; fields: differences"""


class CopySpoiled(Refused):
    """the password of the restored copy's role was changed: nobody logs in as it any more"""


class DryRunFailed(Refused):
    """the dry run on the restored copy failed; fields: problems"""


class ReviewMissing(Refused):
    """no valid review covers this plan and this evidence; fields: reasons"""


class ReviewRefused(Refused):
    """this review does not count (rejected, own change, same person twice)"""


class CardOutdated(Refused):
    """the answer is about another plan or evidence than lies there now; fields: reason"""


class AuthorsUnknown(Refused):
    """nobody can say who wrote this migration, and the target wants to know; fields: problems"""


class OutsideWindow(Refused):
    """the maintenance window does not allow this now; fields: opens_at, closes_at, begun"""


class GateClosed(Refused):
    """a gate between two steps does not open yet; fields: step, question, since, until, again"""


class GateRefused(Refused):
    """a person said no at a gate between two steps"""


class GateExpired(Refused):
    """a gate between two steps has waited for as long as it may"""


class PreflightRefused(Refused):
    """a pre-flight check said no; fields: checks"""


class ContentChanged(Refused):
    """the files differ from what was reviewed; fields: old_digest, new_digest, diff"""


class DriftDetected(Refused):
    """the schema changed since the snapshot; fields: differences"""


class DependencyMissing(Refused):
    """a migration that this one depends on is not applied; fields: missing"""


class OutOfOrder(Refused):
    """a higher version is applied already; fields: higher"""


class ClocksDiffer(Refused):
    """this machine's clock and the database's are too far apart; fields: seconds"""


class VerifyFailed(Refused):
    """the result in the database is not what was promised; fields: problems"""


class RollbackFailed(Refused):
    """the rollback script failed: a person must look; fields: sqlstate"""


class NeedsHuman(Refused):
    """the ledger is in a state that only a person can resolve"""


class PoolerDetected(Refused):
    """this connection goes through a pooler in transaction mode; a direct one is needed"""


class LedgerNewer(Refused):
    """the ledger was written by a newer engine"""


class LedgerOlder(Refused):
    """the ledger has an older layout; `migrator ledger upgrade` brings it up to date"""


class LedgerForeign(Refused):
    """the ledger was written by another database: this one is a restored backup or a clone"""


class LedgerTampered(Refused):
    """the ledger's chain of hashes is broken; fields: problems"""


class LedgerMissing(Refused):
    """the database has no ledger yet"""


class BaselineMissing(Refused):
    """the database has objects that no migration made: say with `migrator baseline` what is in it already"""


class StatementFailed(MigratorError):
    """the server refused a statement; fields: sqlstate, file, line, column, sql, step, statement"""


class ProgramFailed(MigratorError):
    """an external program failed; fields: program, exit_code, output"""


class Cancelled(MigratorError):
    """somebody stopped this step; what had been started is undone or repaired by the next attempt"""
