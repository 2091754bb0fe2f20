"""What is told of the backup that was tried."""

from __future__ import annotations

from migrator.backups.later_backup import SHOWN, tried


def test_tables_without_rows_say_so() -> None:
    assert tried([], ()) == "the schema"
    assert tried(["public.t"], ()) == "the schema and the rows of public.t"
    assert tried(["public.t", "public.u"], {"public.t"}) == (
        "the schema and the rows of public.t (no rows to try), public.u"
    )
    assert tried(list("abcdefgh"), ()).count(",") == SHOWN - 1
