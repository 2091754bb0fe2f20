"""What a dry run makes of large objects: no table has them, so neither apply nor rollback is seen to write them."""

from __future__ import annotations

from migrator import wording
from migrator.backups.trial import Trial
from migrator.database import large_objects
from migrator.evidence import Check, TableFingerprint, Verdict


def after_rollback(trial: Trial, version: str, data: Check) -> Check:
    """`data`, the check of the rows, with what became of the large objects. Reads all of them."""
    with trial.beside(version) as (untouched, conn):
        before, now = (large_objects.content(one) for one in (untouched, conn))
        rights = large_objects.rights(untouched) == large_objects.rights(conn)
    return judged(data, before, now, same_rights=rights)


def judged(data: Check, before: TableFingerprint, now: TableFingerprint, *, same_rights: bool) -> Check:
    """Pure."""
    text = ""
    if now.rows != before.rows:
        text = f"the rollback leaves {wording.count(now.rows, 'large object')}, there were {before.rows:,}"
    elif now != before:
        text = f"the rollback leaves other content in the {wording.count(now.rows, 'large object')}"
    elif not same_rights:
        text = "the rollback leaves other owners, grants or comments on large objects"
    if text:
        said = [] if data.verdict is Verdict.PASSED else [data.detail]
        return Check(data.name, Verdict.FAILED, "; ".join([*said, text]))
    if before.rows and data.verdict is Verdict.PASSED:
        return Check(data.name, data.verdict, f"{data.detail}, {wording.count(now.rows, 'large object')} as before")
    return data
