"""Who may read, change or run more than before though no right on it has changed, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from migrator.database.rights import EVERYBODY, Guarded
from migrator.database.vocabulary import told_name
from migrator.rehearsal.reach import Key, Node, Reach

ACCESS: Mapping[str, str] = {
    "SELECT": "read",
    "INSERT": "write",
    "UPDATE": "write",
    "DELETE": "write",
    "TRUNCATE": "write",
    "EXECUTE": "call",
}
VERBS: Mapping[str, str] = {"read": "read", "write": "change", "call": "run"}
DOING: Mapping[str, str] = {"read": "reading", "write": "changing", "call": "calling"}
PROTECTED = "ROW LEVEL SECURITY"


@dataclass(frozen=True)
class State:
    reach: Reach
    rights: tuple[Guarded, ...]

    @cached_property
    def doors(self) -> Mapping[Key, Guarded]:
        return {Key(_kind(one), one.oid): one for one in self.rights}

    @cached_property
    def named(self) -> Mapping[tuple[str, str], Key]:
        return {(node.key.kind, node.name): node.key for node in self.reach.nodes.values()}

    def has(self, role: str, key: Key, access: str) -> bool:
        """Whether a right of its own leads the role to all of it."""
        one = self.doors.get(key)
        return one is not None and any(
            grant.role in (role, EVERYBODY) and grant.column is None and ACCESS.get(grant.privilege) == access
            for grant in one.grants
        )

    def enters(self, role: str, key: Key, access: str) -> bool:
        one = self.doors.get(key)
        return one is not None and any(
            grant.role in (role, EVERYBODY) and ACCESS.get(grant.privilege) == access for grant in one.grants
        )

    def is_protected(self, key: Key) -> bool:
        return key in self.doors and PROTECTED in self.doors[key].words


def changes(before: State, after: State) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_Comparison(before, after).lines()))


@dataclass(frozen=True)
class _Comparison:
    before: State
    after: State

    def lines(self) -> Iterator[str]:
        for key in self.after.doors:
            node = self.after.reach.nodes.get(key)
            if node is None or (key.kind == "function" and not node.own_rights):
                continue
            told: dict[str, list[str]] = {}
            for role in self._roles(key):
                told[role] = list(self._for(role, node))
                if role == EVERYBODY or told[role] != told.get(EVERYBODY):
                    yield from (f"{role} may now {line}" for line in told[role])

    def _roles(self, key: Key) -> list[str]:
        """Everybody first; then also those whom a policy names and everybody's right lets in."""
        roles = {grant.role for grant in self.after.doors[key].grants if grant.privilege in ACCESS}
        if EVERYBODY in roles:
            roles |= {role for policy in self._policies(self.after, key) for role in policy.roles}
        return sorted(roles, key=lambda role: (role != EVERYBODY, role))

    def _for(self, role: str, door: Node) -> Iterator[str]:
        found: dict[str, list[str]] = {}
        for access in VERBS:
            if self.after.enters(role, door.key, access):
                for end in self._ends(role, door, access):
                    found.setdefault(end, []).append(VERBS[access])
        for end, verbs in found.items():
            yield end.format(" or ".join(verbs))

    def _ends(self, role: str, door: Node, access: str) -> Iterator[str]:
        """What follows "may now", with a place for the verb."""
        old_door = self._before(door.key)
        now = self.after.reach.of(door.key, access)
        entered = old_door is not None and self.before.enters(role, old_door.key, access)
        was = self.before.reach.of(old_door.key, access) if old_door is not None and entered else None
        hidden = {key for key in now.rows if not self.after.has(role, key, access)}
        name = _told(door.name)
        if more := self._more(hidden, was.rows if was is not None else frozenset()):
            yield f"{{}} {more} through {name}"
        touched = {key for key in now.touched if not self.after.has(role, key, "read")}
        if code_reaches := self._more(touched, was.touched if was is not None else frozenset()):
            yield f"reach {code_reaches} by {DOING[access]} {name}"
        if old_door is None or was is None:
            return
        protected = self.before.is_protected(old_door.key) and self.after.is_protected(door.key)
        if (hidden or protected) and not more:
            ways = self._changed((key for key in now.ways if key.kind != "policy"), was.ways)
            if ways:
                yield f"{{}} other rows or columns through {name} (new or another: {ways})"
            if protected:
                yield from self._by_policy(role, door, old_door)
        if code := self._changed(now.code, was.code):
            yield (
                f"have other code run with the rights of an owner by {DOING[access]} {name} (new or another: {code})"
            )

    def _by_policy(self, role: str, door: Node, old_door: Node) -> Iterator[str]:
        """A policy that only takes rows away is no news."""
        old = {policy.key: policy for policy in self._policies(self.before, old_door.key)}
        found = []
        for policy in self._policies(self.after, door.key):
            was = self._before(policy.key)
            old.pop(was.key if was is not None else policy.key, None)
            bound = {*policy.roles, *(was.roles if was is not None else ())}
            if {role, EVERYBODY} & bound and (policy.widens if was is None else not policy.does_as(was)):
                found.append(policy.name)
        found += [policy.name for policy in old.values() if not policy.widens and {role, EVERYBODY} & {*policy.roles}]
        if found:
            names = ", ".join(f"policy {_told(name)}" for name in sorted(found))
            yield f"{{}} other rows of {_told(door.name)} (new, gone or another: {names})"

    @staticmethod
    def _policies(state: State, table: Key) -> list[Node]:
        keys = (key for key, _ in state.reach.edges.get(table, ()) if key.kind == "policy")
        return [state.reach.nodes[key] for key in keys]

    def _more(self, now: Iterable[Key], was: frozenset[Key]) -> str:
        """Which were there before, and were not reached."""
        old = {key: self._before(key) for key in now}
        return self._names(key for key, node in old.items() if node is not None and node.key not in was)

    def _changed(self, now: Iterable[Key], was: frozenset[Key]) -> str:
        old = {key: self._before(key) for key in now}
        nodes = self.after.reach.nodes
        return self._names(
            key for key, node in old.items() if node is None or node.key not in was or not nodes[key].does_as(node)
        )

    def _before(self, key: Key) -> Node | None:
        """The same object, or what had its name: it was dropped and made anew."""
        nodes = self.before.reach.nodes
        same = nodes.get(key)
        if same is None:
            named = self.before.named.get((key.kind, self.after.reach.nodes[key].name))
            same = nodes[named] if named is not None else None
        return same

    def _names(self, keys: Iterable[Key]) -> str:
        return ", ".join(sorted(_told(self.after.reach.nodes[key].name) for key in keys))


def _kind(one: Guarded) -> str:
    return "function" if one.kind in ("function", "procedure", "aggregate") else "relation"


def _told(name: str) -> str:
    """With its braces kept: the verb comes later."""
    return told_name(name).replace("{", "{{").replace("}", "}}")
