"""`migrator status`: what is applied to a target, by whom, and what is still to come; of one version, how far it is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.cli import options
from migrator.cli.output import Output
from migrator.errors import Refused, UsageError

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerMigration, LedgerReview

PENDING = "pending"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", metavar="VERSION", help="only this one: how far each step of it is")
    parser.add_argument("--watch", action="store_true", help="with VERSION: go on showing until it runs no more")
    parser.add_argument("--schema", default="migrator", help="where the ledger lies (default: %(default)s)")
    parser.add_argument("--compare", action="store_true", help="also compare what was applied with the files of today")
    options.add_catalogue_arguments(parser)
    options.add_connection_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Exit code 1 when the ledger cannot be relied on, or when something failed or was changed."""
    from migrator.ledger.ledger import Ledger

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: options.endpoint() raises when a database is required
        raise UsageError("which database?")
    if args.watch and args.version is None:
        raise UsageError("which migration? give its VERSION with --watch")
    if args.version is not None:
        from migrator.cli import watch

        with Ledger(endpoint, schema=args.schema) as ledger:
            perform = watch.watch if args.watch else watch.show
            return perform(ledger, args.version, out)
    catalogue = _catalogue(args)
    with Ledger(endpoint, schema=args.schema) as ledger:
        trouble = _trouble(ledger)
        rows = ledger.migrations() if ledger.exists() else ()
        reviews = ledger.reviews(None) if rows or ledger.exists() else ()
    entries = [_applied(row, reviews, catalogue, compare=args.compare) for row in rows]
    entries += _pending(catalogue, rows, reviews)
    out.document({"database": endpoint.label, "ledger": trouble or "ok", "migrations": entries})
    _print(out, entries, trouble)
    bad = trouble or any(entry["note"] or entry["status"] in ("failed", "rollback_failed") for entry in entries)
    return 1 if bad else 0


def _catalogue(args: argparse.Namespace) -> Catalogue | None:
    """Without a catalogue there is nothing pending; a status of the database alone is still worth having."""
    from migrator.catalogue.catalogue import load_catalogue

    root: Path = args.migrations
    if root == options.DEFAULT_MIGRATIONS and not root.is_dir():
        return None
    return load_catalogue(options.catalogue_root(args), cache=args.cache)


def _trouble(ledger: Ledger) -> str | None:
    if not ledger.exists():
        return None
    try:
        ledger.check()
    except Refused as refusal:
        return str(refusal)
    return None


def _applied(
    row: LedgerMigration, reviews: tuple[LedgerReview, ...], catalogue: Catalogue | None, *, compare: bool
) -> dict[str, Any]:
    return {
        "version": row.version,
        "type": row.type,
        "risk": row.risk,
        "status": str(row.status),
        "applied_at": row.applied_at,
        "verified_at": row.verified_at,
        "by": row.applied_by,
        "run_id": row.run_id,
        "run_url": row.run_url,
        "reviews": _reviews(row.version, reviews),
        "error": row.error_message,
        "note": _note(row, catalogue, compare=compare),
        "lower_than": [],
    }


def _pending(
    catalogue: Catalogue | None, rows: Sequence[LedgerMigration], reviews: tuple[LedgerReview, ...]
) -> list[dict[str, Any]]:
    from migrator.history.out_of_order import higher

    present = {row.version for row in rows}
    return [
        {
            "version": migration.version,
            "type": str(migration.metadata.type) if migration.metadata.type else None,
            "risk": str(migration.metadata.risk_level),
            "status": PENDING,
            "applied_at": None,
            "verified_at": None,
            "by": None,
            "run_id": None,
            "run_url": None,
            "reviews": _reviews(migration.version, reviews),
            "error": None,
            "note": None,
            "lower_than": list(higher(migration.version, rows)),
        }
        for migration in (catalogue.migrations if catalogue else ())
        if migration.version not in present
    ]


def _note(row: LedgerMigration, catalogue: Catalogue | None, *, compare: bool) -> str | None:
    if catalogue is None or row.status == "rolled_back":
        return None
    migration = catalogue.get(row.version)
    if migration is None:
        return "its files are not in the catalogue (any more)"
    if compare and row.checksum is not None:
        from migrator.catalogue import content

        now = content.current_digest(migration, content.read_files(migration))
        if now != row.checksum:
            return f"its files were changed since: {row.checksum[:19]} then, {now[:19]} now"
    return None


def _reviews(version: str, reviews: tuple[LedgerReview, ...]) -> list[dict[str, Any]]:
    return [
        {"reviewer": r.reviewer, "decision": r.decision, "at": r.decided_at, "expires_at": r.expires_at}
        for r in reviews
        if r.version == version
    ]


def _print(out: Output, entries: list[dict[str, Any]], trouble: str | None) -> None:
    if trouble:
        out.line(f"the ledger cannot be relied on: {trouble}", style="bad")
    out.table(
        ("version", "type", "risk", "status", "applied", "verified", "by", "reviews"),
        (
            (
                entry["version"],
                entry["type"],
                entry["risk"],
                entry["status"],
                _when(entry["applied_at"]),
                _when(entry["verified_at"]),
                entry["by"],
                ", ".join(f"{r['reviewer']} {r['decision']}" for r in entry["reviews"]) or None,
            )
            for entry in entries
        ),
    )
    for entry in entries:
        for text in (entry["error"], entry["note"]):
            if text:
                out.line(f"{entry['version']}: {text}", style="warning")
        if entry["lower_than"]:
            above = ", ".join(entry["lower_than"])
            out.line(f"{entry['version']}: pending, but lower than {above} (out of order)", style="warning")
    if not entries:
        out.line("no migrations: neither in the ledger nor in the catalogue")


def _when(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else None
