"""Which rights a migration changes, in words that cannot be misread.

DROP and CREATE lose owner and grants, and give EXECUTE to everybody again; OR REPLACE keeps those, and loses whatever
the statement does not say again (CreateFunction in src/backend/commands/functioncmds.c, DefineVirtualRelation in
src/backend/commands/view.c). The schema is the same afterwards, so nobody sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from migrator.backups.trial import Trial
from migrator.database import rights, session
from migrator.database.rights import EVERYBODY, Grant, Guarded
from migrator.database.schema import LEDGER_SCHEMA, Schema
from migrator.database.vocabulary import told_name
from migrator.evidence import ROLES_CHANGED
from migrator.gates import owners
from migrator.parsing.build import name_text
from migrator.rehearsal import reach, through

VERBS: Mapping[str, str] = {
    "SELECT": "select from",
    "INSERT": "insert into",
    "UPDATE": "update",
    "DELETE": "delete from",
    "TRUNCATE": "truncate",
    "REFERENCES": "refer to",
    "TRIGGER": "make triggers on",
    "MAINTAIN": "maintain",
    "USAGE": "use",
    "EXECUTE": "execute",
}
_TOKEN = re.compile(
    r'(?P<sign>[+-])(?P<privilege>[A-Z]+)(?: with grant option)? (?:to|from) (?P<role>"(?:[^"]|"")+"|[^,"]+)'
)
_GIVEN = re.compile(r'(?P<privilege>[A-Z]+)(?: with grant option)? to (?P<role>"(?:[^"]|"")+"|[^,"]+)')
_SCHEMA = re.compile(r'(?P<schema>"(?:[^"]|"")+"|[^."]+)\.')
_CALLED = ("function", "procedure", "aggregate")
_DEFAULTS = {"sequence": "sequences", **dict.fromkeys(_CALLED, "functions")}
_SWITCHES = frozenset({"IMMUTABLE", "STABLE", "VOLATILE", "SECURITY DEFINER"})


@dataclass(frozen=True)
class Privileges:
    told: tuple[str, ...] = ()
    """Of what was there before, one sentence each."""
    changed: tuple[str, ...] = ()
    """See `owners.rehearsed`."""

    def evidence(self) -> dict[str, object]:
        return {"privileges": list(self.told), ROLES_CHANGED: list(self.changed)}


def after_apply(trial: Trial, version: str, original: Schema, before: Schema, after: Schema) -> Privileges:
    """
    :param original: as it is on the target: the copy belongs to a role of its own, and lacks grants to roles that are
        not on its server.
    """
    found, ways = [], []
    for endpoint in (trial.pristine, trial.watching):
        with session.connect(endpoint, purpose="observe", version=version) as conn:
            found.append(rights.read(conn, exclude=(LEDGER_SCHEMA,)))
            ways.append(reach.read(conn, exclude=(LEDGER_SCHEMA,)))
    found[1] = by_default(found[0], found[1], original)
    opened = through.changes(*map(through.State, ways, _on_target(found[0], found[1], original)))
    made = {key for key, now in found[1].items() if key in found[0] and found[0][key].oid != now.oid}
    told = (*changes(found[0], found[1], original), *opened)
    return Privileges(told, tuple(owners.rehearsed(before, after, made)))


def by_default(before: Mapping[str, Guarded], after: Mapping[str, Guarded], original: Schema) -> Mapping[str, Guarded]:
    """With what the target's default privileges will grant on that which is made: on the copy another role makes it.
    Pure."""
    there = {(one.kind, one.oid) for one in before.values()}
    return {
        key: one if (one.kind, one.oid) in there else replace(one, grants=one.grants | _default(one, original))
        for key, one in after.items()
    }


def _default(made: Guarded, original: Schema) -> frozenset[Grant]:
    """See ALTER DEFAULT PRIVILEGES: those of a schema come on top of those of all of them."""
    defaults = original.objects.get("default_privileges", {})
    schema = _SCHEMA.match(made.name)
    if not original.role or schema is None:
        return frozenset()
    role, what = name_text(original.role), _DEFAULTS.get(made.kind, "tables")
    texts = (defaults.get(f"for {role}{place} on {what}", "") for place in ("", f" in {schema['schema']}"))
    given = (one for text in texts for one in _GIVEN.finditer(text))
    grants = {Grant(EVERYBODY if one["role"] == "public" else one["role"], one["privilege"]) for one in given}
    return frozenset(grant for grant in grants if grant.role != role)


def changes(before: Mapping[str, Guarded], after: Mapping[str, Guarded], original: Schema) -> tuple[str, ...]:
    """Pure."""
    owner_of = original.objects.get("owner", {})
    several = (
        len({owner for key, owner in owner_of.items() if not key.startswith("schema ")}) > 1
    )  # `public` is the server's
    known = frozenset(original.objects.get("schema", {}))
    by_oid = {(one.kind, one.oid): one for one in before.values()}
    told: list[str] = []
    for key, now in after.items():
        old = by_oid.get((now.kind, now.oid)) or before.get(key)  # renamed, or made anew
        if old is None:
            usual = EVERYBODY if now.kind in _CALLED else None
            told += sorted(_may(now, grant, "may now") for grant in now.grants if grant.role != usual)
            continue
        had = old.grants if old.oid == now.oid else _as_on_target(old, original)
        told += sorted(_may(now, grant, "may now") for grant in now.grants - had)
        told += sorted(_may(now, grant, "may no longer") for grant in had - now.grants)
        owner = owner_of.get(key)
        if old.oid != now.oid and several and owner is not None and now.owner == old.owner:
            name = told_name(now.name)
            told.append(f"{name} is made anew: it belonged to {owner}, now to the role that applies the migration")
        told += _words(old, now)
        if old.oid == now.oid and (line := _moved(old, now, known)):
            told.append(line)
    return tuple(told)


def _moved(old: Guarded, now: Guarded, known: frozenset[str]) -> str:
    """Rights on it stay, and another schema lets others in."""
    was, into = (_SCHEMA.match(one.name) for one in (old, now))
    if was is None or into is None or was["schema"] == into["schema"] or not {was["schema"], into["schema"]} <= known:
        return ""
    roles = ", ".join(sorted({grant.role for grant in now.grants}))
    if not roles:
        return ""
    return (
        f"{told_name(now.name)} was in schema {told_name(was['schema'])}: of those who have rights on it ({roles}),"
        f" whoever may use schema {told_name(into['schema'])} reaches it now"
    )


def _on_target(
    before: Mapping[str, Guarded], after: Mapping[str, Guarded], original: Schema
) -> tuple[tuple[Guarded, ...], tuple[Guarded, ...]]:
    """With what is granted there and not on the copy; what is made anew has it no longer."""
    granted = {one.oid: _as_on_target(one, original) for one in before.values()}
    lacking = {one.oid: granted[one.oid] - one.grants for one in before.values()}
    was = tuple(replace(one, grants=granted[one.oid]) for one in before.values())
    return was, tuple(replace(one, grants=one.grants | lacking.get(one.oid, frozenset())) for one in after.values())


def _as_on_target(old: Guarded, original: Schema) -> frozenset[Grant]:
    """What was granted there, whether or not the copy has it."""
    found = set(old.grants)
    for token in _TOKEN.finditer(original.objects.get("grant", {}).get(old.key, "")):
        grant = Grant(EVERYBODY if token["role"] == "public" else token["role"], token["privilege"])
        if token["sign"] == "+":
            found.add(grant)
        else:
            found.discard(grant)
    return frozenset(found)


def _may(one: Guarded, grant: Grant, words: str) -> str:
    verb = VERBS.get(grant.privilege, grant.privilege)
    what = f"column {told_name(grant.column)} of {told_name(one.name)}" if grant.column else told_name(one.name)
    return f"{grant.role} {words} {verb} {what}"


def _words(old: Guarded, now: Guarded) -> Iterator[str]:
    """Of `now` as it may be told: what was there before, the schema before has."""
    lost, come, name = old.words - now.words, now.words - old.words, told_name(now.name)
    if "SECURITY DEFINER" in lost:
        yield f"{name} now runs with the rights of whoever calls it, no longer with its owner's (SECURITY DEFINER)"
    if "SECURITY DEFINER" in come:
        yield f"{name} now runs with its owner's rights, whoever calls it (SECURITY DEFINER)"
    for option in ("security_invoker", "security_barrier", "check_option"):
        was, is_now = _option(old, option), _option(now, option)
        if was == is_now:
            continue
        if option == "security_invoker":
            reads = "whoever asks" if is_now in ("true", "on", "1", "yes") else "its owner"
            yield f"{name} now reads its tables with the rights of {reads} (security_invoker)"
        else:
            yield f"{name}: {option} was {was or 'off'}, is now {is_now or 'off'}"
    if was_kind := (lost & {"IMMUTABLE", "STABLE", "VOLATILE"}):
        yield f"{name} was {''.join(was_kind)}, is now {''.join(come & {'IMMUTABLE', 'STABLE', 'VOLATILE'})}"
    rest = {word for word in lost if (word not in _SWITCHES and "=" not in word) or word.startswith("SET ")}
    more = {word for word in come if (word not in _SWITCHES and "=" not in word) or word.startswith("SET ")}
    if rest:
        yield f"{name} loses {', '.join(sorted(rest))}"
    if more:
        yield f"{name} gets {', '.join(map(told_name, sorted(more)))}"


def _option(one: Guarded, name: str) -> str:
    return next((word.partition("=")[2] for word in one.words if word.startswith(f"{name}=")), "")
