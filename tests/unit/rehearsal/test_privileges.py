"""What is said of rights that the copy does not have as the target has them."""

from __future__ import annotations

from dataclasses import replace

from migrator.database.rights import Grant, Guarded
from migrator.database.schema import Schema
from migrator.rehearsal.privileges import by_default, changes

VIEW = Guarded("view", "public.v", 10, "copy", frozenset(), frozenset())
FUNCTION = Guarded("function", "public.f(integer)", 11, "copy", frozenset({"VOLATILE"}), frozenset())
OPEN = frozenset({Grant("PUBLIC", "EXECUTE")})
ORIGINAL = Schema(
    {
        "owner": {"view public.v": "reports", "function public.f(integer)": "shop", "table public.t": "shop"},
        "grant": {
            "view public.v": '+SELECT to "a, b", +SELECT with grant option to app',
            "function public.f(integer)": "+EXECUTE to app, -EXECUTE from public",
        },
    }
)


def test_grants_to_roles_that_are_not_beside_the_copy() -> None:
    anew = replace(VIEW, oid=20)
    assert changes({VIEW.key: VIEW}, {VIEW.key: anew}, ORIGINAL) == (
        '"a, b" may no longer select from public.v',
        "app may no longer select from public.v",
        "public.v is made anew: it belonged to reports, now to the role that applies the migration",
    )
    assert changes({VIEW.key: VIEW}, {VIEW.key: VIEW}, ORIGINAL) == (), "OR REPLACE keeps them"


def test_a_revoke_that_the_copy_does_not_have() -> None:
    was, anew = replace(FUNCTION, grants=OPEN), replace(FUNCTION, oid=21, grants=OPEN)
    told = changes({was.key: was}, {anew.key: anew}, ORIGINAL)
    assert told[:2] == (
        "PUBLIC may now execute public.f(integer)",
        "app may no longer execute public.f(integer)",
    )


def test_owners_are_told_where_there_are_several() -> None:
    one = Schema({"owner": {"view public.v": "shop", "table public.t": "shop"}})
    assert changes({VIEW.key: VIEW}, {VIEW.key: replace(VIEW, oid=20)}, one) == ()


def test_whose_rights_a_view_reads_with() -> None:
    invoker = replace(VIEW, words=frozenset({"security_invoker=true"}))
    assert changes({VIEW.key: invoker}, {VIEW.key: VIEW}, ORIGINAL) == (
        "public.v now reads its tables with the rights of its owner (security_invoker)",
    )
    assert changes({VIEW.key: VIEW}, {VIEW.key: invoker}, ORIGINAL) == (
        "public.v now reads its tables with the rights of whoever asks (security_invoker)",
    )


def test_a_role_that_is_called_public_is_quoted() -> None:
    granted = replace(VIEW, grants=frozenset({Grant('"PUBLIC"', "SELECT")}))
    assert changes({VIEW.key: VIEW}, {VIEW.key: granted}, ORIGINAL) == ('"PUBLIC" may now select from public.v',)


DEFAULTS = Schema(
    {
        "default_privileges": {
            'for "the owner" on tables': 'SELECT to reader, INSERT with grant option to "a, b"',
            'for "the owner" in public on tables': 'SELECT to public, ALL to "the owner"',
            'for "the owner" in other on tables': "UPDATE to reader",
            'for "the owner" on functions': "EXECUTE to reader, EXECUTE to public",
            "for somebody on tables": "DELETE to reader",
        }
    },
    role="the owner",
)


def test_what_the_targets_default_privileges_will_grant() -> None:
    """On that which is made, or made anew; not on what was there."""
    made, anew = replace(VIEW, oid=30, name="public.w"), replace(VIEW, oid=31)
    before = {VIEW.key: VIEW, FUNCTION.key: FUNCTION}
    called = replace(FUNCTION, oid=32, name="public.g(integer)")
    after = {made.key: made, anew.key: anew, FUNCTION.key: FUNCTION, called.key: called}
    told = changes(before, by_default(before, after, DEFAULTS), DEFAULTS)
    assert told == (
        '"a, b" may now insert into public.w',
        "PUBLIC may now select from public.w",
        "reader may now select from public.w",
        '"a, b" may now insert into public.v',
        "PUBLIC may now select from public.v",
        "reader may now select from public.v",
        "reader may now execute public.g(integer)",
    )
    assert by_default(before, after, replace(DEFAULTS, role="other")) == after


def test_who_reaches_it_in_another_schema() -> None:
    """A schema that is renamed takes its rights along."""
    schemas = Schema({"schema": {"public": "", "open": ""}})
    was = replace(VIEW, grants=frozenset({Grant("PUBLIC", "SELECT"), Grant("app", "UPDATE")}))
    moved, renamed = replace(was, name="open.v"), replace(was, name="new.v")
    assert changes({was.key: was}, {moved.key: moved}, schemas) == (
        "open.v was in schema public: of those who have rights on it (PUBLIC, app), whoever may use schema open reaches"
        " it now",
    )
    assert changes({was.key: was}, {renamed.key: renamed}, schemas) == ()
    assert changes({VIEW.key: VIEW}, {VIEW.key: replace(VIEW, name="open.v")}, schemas) == ()
