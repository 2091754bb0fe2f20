"""What a dump loses, and what to do about it."""

from __future__ import annotations

from migrator.backups.proof import advice_on_views, comparable, rights, ways_out
from migrator.database.schema import Schema
from migrator.database.schema_diff import diff
from migrator.evidence import Check, Verdict
from migrator.rehearsal.checks import verdict

MEMBER = "function public.price(bigint) of citext"


def told(**objects: dict[str, str]) -> Schema:
    return Schema(objects, {f"extension_member {MEMBER}": "extension citext"})


def test_what_a_dump_loses_has_its_way_out() -> None:
    key = "FOREIGN KEY (n) REFERENCES public.item(id)"
    source = told(
        extension_member={MEMBER: "CREATE"},
        used_by={"view public.v": "operator ops.=(integer,integer)"},
        constraint={"public.item.n_fkey": f"{key} [disabled on public.item]"},
    )
    first, second, third = ways_out(diff(source, told(constraint={"public.item.n_fkey": key})))
    assert first.startswith("view public.v: a dump does not say which operator IS DISTINCT FROM")
    assert second.endswith(
        "public.item.n_fkey are not enabled as usual. let a superuser enable those of table public.item"
    )
    assert third.endswith("ALTER EXTENSION citext DROP function public.price(bigint)")


def test_a_member_that_the_copy_has_is_the_same_whoever_owns_it() -> None:
    source, copy = told(extension_member={MEMBER: "CREATE"}), told(extension_member={"table public.t of other": ""})
    assert not diff(*comparable(source, copy, grants=True, members={MEMBER: "CREATE"}))
    assert not diff(*comparable(told(), copy, grants=True)), "an extension makes its own"
    assert diff(*comparable(source, copy, grants=True)).lines() == (f"- extension member {MEMBER}: CREATE",)
    assert diff(*comparable(source, copy, grants=True, members={MEMBER: "other"})).changed


def test_which_materialized_view_a_restore_cannot_fill() -> None:
    failed, index = "could not execute query: could not create unique index", "CREATE UNIQUE INDEX i ON public.v (n)"
    view = Schema({"index": {"public.i": index}}, {"index public.i": "materialized_view public.v"})
    assert "with today's rows public.v may have some twice" in advice_on_views(failed, view)
    table = Schema({"index": {"public.i": index}}, {"index public.i": "table public.t"})
    assert "bt_index_check" in advice_on_views(failed, table)
    assert advice_on_views("role does not exist", view) == ""


def test_rights_that_nobody_has_seen_are_told_beside_the_verdict() -> None:
    (check,) = rights(["pg_newer"])
    assert check.verdict is Verdict.UNVERIFIED
    assert verdict([Check("apply", Verdict.PASSED), check], irreversible=False) is Verdict.PASSED
    assert rights([]) == ()
