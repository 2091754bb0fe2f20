"""What concerns several migrations at once: order, duplicates, unknown and circular dependencies. Pure."""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from migrator.problems import Problem

if TYPE_CHECKING:
    from migrator.catalogue.folder import Found
    from migrator.catalogue.migration import Migration


def sort_key(version: str) -> tuple[int, str]:
    """By number, then by name: "0100_x" comes after "099_x"."""
    digits = re.match(r"[0-9]*", version)
    return (int(digits[0]) if digits and digits[0] else 0, version)


def ordered(migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """Each migration after all that it depends on and, where that leaves a choice, the lower version first.
    Dependencies on migrations that are not among them do not count; there must be no circle."""
    by_version = {migration.version: migration for migration in migrations}
    waiting = {
        version: sum(1 for name in set(migration.metadata.dependencies) if name in by_version)
        for version, migration in by_version.items()
    }
    followers: dict[str, list[str]] = {}
    for version, migration in by_version.items():
        for name in set(migration.metadata.dependencies):
            followers.setdefault(name, []).append(version)
    ready = [sort_key(version) for version, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    result: list[Migration] = []
    while ready:
        _, version = heapq.heappop(ready)
        result.append(by_version[version])
        for follower in followers.get(version, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, sort_key(follower))
    return tuple(result)


def duplicates(found: Iterable[Found]) -> Iterator[Problem]:
    """Folders of the same name, also those whose names differ only in case: on some file systems they are one folder,
    and people read them as one."""
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.path.name.casefold(), []).append(one)
    for group in groups.values():
        for one in group:
            others = [other for other in group if other is not one]
            if not others:
                continue
            same = any(other.path.name == one.path.name for other in others)
            what = "is there twice" if same else "differs only in case from another"
            where = ", ".join(repr(str(other.path)) for other in others)
            yield Problem(str(one.metadata_path), f"version {one.path.name!r} {what}: {where}", key="version")


def dependency_problems(migrations: Sequence[Migration], names: Iterable[str]) -> Iterator[Problem]:
    """Dependencies on versions that do not exist (`names` are all folders, also those that cannot be read), and
    circles, each once per member, with its path."""
    known = {*names, *(migration.version for migration in migrations)}
    for migration in migrations:
        for index, name in enumerate(migration.metadata.dependencies):
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                yield Problem(
                    str(migration.metadata_path),
                    f"depends on {name!r}, which does not exist",
                    key=f"dependencies[{index}]",
                    hint=f"did you mean {close[0]!r}?" if close else None,
                )
    for circle in circles({one.version: one.metadata.dependencies for one in migrations}):
        for migration in migrations:
            if migration.version in circle:
                start = circle.index(migration.version)
                path = " -> ".join([*circle[start:], *circle[:start], migration.version])
                yield Problem(
                    str(migration.metadata_path),
                    f"depends on itself: {path}",
                    key="dependencies",
                    hint="remove one of these dependencies",
                )


def circles(graph: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """For every strongly connected part of the graph circles that together name each of its members (Tarjan's
    algorithm, without recursion); each circle is a real path and starts with its lowest version."""
    result: list[list[str]] = []
    for part in _components(graph):
        left = set(part)
        while left:
            start = min(left, key=sort_key)
            circle = _shortest_circle(graph, start, set(part))
            result.append(circle)
            left.difference_update(circle)
    return result


def _components(graph: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """Strongly connected components that contain a circle."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    parts: list[list[str]] = []
    for root in sorted(graph, key=sort_key):
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, edges = work[-1]
            for following in edges:
                if following not in graph:
                    continue
                if following not in index:
                    index[following] = low[following] = len(index)
                    stack.append(following)
                    on_stack.add(following)
                    work.append((following, iter(graph[following])))
                    break
                if following in on_stack:
                    low[node] = min(low[node], index[following])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = stack[stack.index(node) :]
                    del stack[-len(part) :]
                    on_stack.difference_update(part)
                    if len(part) > 1 or node in graph[node]:
                        parts.append(part)
    return parts


def _shortest_circle(graph: dict[str, tuple[str, ...]], start: str, members: set[str]) -> list[str]:
    paths = [[start]]
    seen: set[str] = set()
    while paths:
        longer: list[list[str]] = []
        for path in paths:
            for following in graph[path[-1]]:
                if following == start:
                    return path
                if following in members and following not in seen:
                    seen.add(following)
                    longer.append([*path, following])
        paths = longer
    raise AssertionError(f"{start!r} is in no circle")  # unreachable: the part is strongly connected
