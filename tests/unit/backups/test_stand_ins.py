"""Which roles a schema names, and whose rights on a copy are none on the target."""

from __future__ import annotations

from migrator.backups.stand_ins import as_on_target, named_in
from migrator.database.schema import Schema

TARGET = Schema(
    {
        "owner": {"table public.t": "migrator", "view public.v": '"app owner"', "table public.own": "odd"},
        "grant": {
            "table public.t": '+SELECT to "a ""b, c", +UPDATE to pg_monitor with grant option, -USAGE from public',
            "view public.v": "+SELECT with grant option to reader",
        },
        "owner_grant": {"table public.own": "-DELETE from owner"},
        "policy": {"public.t.p": 'permissive for all to d, "e, f" using (x)'},
    },
    role="migrator",
)


def test_who_is_named() -> None:
    assert named_in(TARGET) == {'a "b, c', "pg_monitor", "reader", "d", "e, f", "odd"}


def test_an_owners_rights_are_no_grants_there() -> None:
    clone = Schema(
        {
            "owner": {"table public.t": "copy_1", "view public.v": "copy_1", "table public.new": "migrator"},
            "grant": {
                "table public.t": "+SELECT to migrator, +SELECT to reader",
                "view public.v": '+SELECT to "app owner"',
                "column public.t.c": "+UPDATE to migrator",
            },
            "policy": {"public.t.p": "permissive for all to migrator, reader using (x)"},
        },
        role="copy_1",
    )
    seen = as_on_target(clone, TARGET, "copy_1")
    assert seen.objects["grant"] == {"table public.t": "+SELECT to reader"}
    assert seen.objects["owner"]["table public.new"] == "copy_1"
    assert seen.portable.objects["policy"] == {"public.t.p": "permissive for all to CURRENT_USER, reader using (x)"}
