"""What keeps a database from being snapshotted and restored by roles that are no superusers, each with its way out.

Told before anything is dumped: by the stage analyze, by `migrator check --target`, and by the stages themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from migrator.backups import copy_template
from migrator.backups.copy_template import Extension, Locale, Template
from migrator.database.schema import Schema
from migrator.errors import Refused
from migrator.plan import Finding, Severity
from migrator.wording import count

SNAPSHOT, RESTORE = "no-snapshot", "no-restore"
"""Rules of their findings."""
SHOWN = 5
_FORCED = re.compile(r"\brow security enabled row security forced\b")
_DEFINITION = re.compile(r"version (?P<version>.*) schema (?P<schema>.*)")


@dataclass(frozen=True)
class Obstacle:
    what: str
    way_out: str
    template: bool = False
    """Whether a template database of the copies' server removes it."""

    def __str__(self) -> str:
        return f"{self.what}. {self.way_out}"


@dataclass(frozen=True)
class Source:
    """What the target is like, as its role sees it."""

    role: str
    locale: Locale = field(default_factory=Locale)
    extensions: tuple[Extension, ...] = ()
    unreadable: tuple[tuple[str, str, str], ...] = ()
    """Kind, name and schema of what the role may not read."""
    policed: tuple[tuple[str, bool], ...] = ()
    """Tables whose policies hold for the role, and whether the role owns them."""
    large_objects: tuple[tuple[str, int, int], ...] = ()
    """Those that it may not read: owner, how many, the first one's OID."""
    forced: tuple[str, ...] = ()
    """Tables with FORCE ROW LEVEL SECURITY."""


def described(schema: Schema) -> Source:
    """What a snapshot's record says of its source: enough for `of_server`. Pure."""
    found = (_DEFINITION.fullmatch(text) for text in schema.objects.get("extension", {}).values())
    extensions = tuple(
        Extension(_plain(name), _plain(match["schema"]), match["version"])
        for name, match in zip(schema.names("extension"), found, strict=True)
        if match is not None and name != "plpgsql"
    )
    forced = tuple(name for name, text in schema.objects.get("table", {}).items() if _FORCED.search(text))
    return Source("", Locale.of(schema.objects.get("database", {})), extensions, forced=forced)


@dataclass(frozen=True)
class Server:
    """What the server for restored copies has, as our role there sees it."""

    role: str
    server_version_num: int = 0
    offers: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    """Extension and version; whether a role that is no superuser may create it."""
    presets: Mapping[str, str] = field(default_factory=dict)
    """The version that CREATE EXTENSION makes by itself."""
    templates: tuple[Template, ...] = ()
    icu: bool = True
    bypasses: bool = True
    """Whether our role there sees the rows that policies hide from their tables' owner."""
    makes: bool = True
    """Whether it may make databases and roles."""


def of_source(source: Source) -> tuple[Obstacle, ...]:
    """What the snapshot would end with. Pure."""
    return (*_unreadable(source), *_policed(source), *_large_objects(source))


def of_server(source: Source, server: Server) -> tuple[Obstacle, ...]:
    """What the restore would end with. Pure."""
    return (*_makes(server), *_provider(source.locale, server), *_extensions(source, server), *_forced(source, server))


def findings(source: Source, server: Server | None) -> tuple[Finding, ...]:
    """For the plan: hours before the dump or the restore would end with it. Pure."""
    rows = [(SNAPSHOT, one) for one in of_source(source)]
    rows += [(RESTORE, one) for one in of_server(source, server)] if server is not None else []
    return tuple(Finding(rule, Severity.ERROR, one.what, one.way_out) for rule, one in rows)


def refuse(found: Iterable[Obstacle], *, what: str) -> None:
    """:raises Refused: with all of them."""
    lines = [f"- {one}" for one in found]
    if lines:
        raise Refused("\n".join([f"{what}:", *lines]))


def script(source: Source, server: Server) -> str:
    """The template database that removes what a template can remove. Pure."""
    template = copy_template.choose(server.templates, source.locale, source.extensions)
    wanted = tuple(one for one in source.extensions if not _makes_itself(one, server) and _offered(one, server))
    return copy_template.script(
        source.locale, wanted, owner=server.role, name=template.name if template is not None else ""
    )


def _unreadable(source: Source) -> Iterator[Obstacle]:
    for kind in dict.fromkeys(kind for kind, _, _ in source.unreadable):
        names = [name for one, name, _ in source.unreadable if one == kind]
        word = "SEQUENCE" if kind == "sequence" else "TABLE"
        schemas = ", ".join(dict.fromkeys(schema for one, _, schema in source.unreadable if one == kind))
        yield Obstacle(
            f'the role "{source.role}" may not read {_listed(kind, names)}, and a snapshot without them is none',
            f'let the owner run: GRANT USAGE ON SCHEMA {schemas} TO "{source.role}";'
            f' GRANT SELECT ON {word} {", ".join(names[:SHOWN])} TO "{source.role}"'
            + ("; and so for the others" if len(names) > SHOWN else ""),
        )


def _policed(source: Source) -> Iterator[Obstacle]:
    for ours, what in ((True, "FORCE ROW LEVEL SECURITY, which holds for owners, too"), (False, "policies")):
        names = [name for name, mine in source.policed if mine is ours]
        if names:
            yield Obstacle(
                f"{_listed('table', names)} {'have' if len(names) > 1 else 'has'} {what}: a snapshot by"
                f' "{source.role}" would have only the rows that they choose',
                f'let a superuser run: ALTER ROLE "{source.role}" BYPASSRLS',
            )


def _large_objects(source: Source) -> Iterator[Obstacle]:
    for owner, number, first in source.large_objects:
        yield Obstacle(
            f'{count(number, "large object")} of "{owner}", such as {first}, may not be read by "{source.role}"',
            f'let a superuser run: GRANT "{owner}" TO "{source.role}", or GRANT SELECT ON LARGE OBJECT for each',
        )


def _makes(server: Server) -> Iterator[Obstacle]:
    if not server.makes:
        yield Obstacle(
            f'the role "{server.role}" of the server for restored copies may not make databases and roles, which each'
            " copy wants: one of its own, and stand-ins for the target's",
            f'let a superuser there run: ALTER ROLE "{server.role}" CREATEDB CREATEROLE',
        )


def _provider(locale: Locale, server: Server) -> Iterator[Obstacle]:
    if locale.provider == "i" and not server.icu:
        yield Obstacle(
            f"the target's locale is ICU's {locale.locale!r}, and the server for restored copies was built without ICU",
            "use a server with ICU, such as Debian's or the official image's",
        )
    elif locale.provider != "c" and server.server_version_num and server.server_version_num < 150000:
        yield Obstacle(
            "the target's locale has a provider, and the server for restored copies is older than PostgreSQL 15",
            "use a server of the target's own release",
        )


def _extensions(source: Source, server: Server) -> Iterator[Obstacle]:
    template = copy_template.choose(server.templates, source.locale, source.extensions)
    for one in source.extensions:
        held = template.extensions.get(one.name) if template is not None else None
        if held == one:
            continue
        if held is not None and template is not None:
            yield Obstacle(
                f'the target has the extension {one.words}, the template database "{template.name}" {held.words}',
                "let an administrator drop it there, and run the script for the template again",
                template=True,
            )
        elif not _offered(one, server):
            known = sorted(version for name, version in server.offers if name == one.name)
            yield Obstacle(
                f"the target has the extension {one.words}, which the server for restored copies does not have"
                + (f" (it has {', '.join(known)})" if known else ""),
                "update it on the target with ALTER EXTENSION ... UPDATE, or install the same package there"
                if known
                else "install its package there",
            )
        elif not _makes_itself(one, server):
            why = (
                "only a superuser can create"
                if not server.offers[one.name, one.version]
                else f"is made there in version {server.presets.get(one.name, '')}"
            )
            yield Obstacle(
                f"the target has the extension {one.words}, which {why}",
                "let an administrator of the server for restored copies make a template database that holds it:"
                " `migrator check --target NAME --template-script` prints how",
                template=True,
            )


def _forced(source: Source, server: Server) -> Iterator[Obstacle]:
    if source.forced and not server.bypasses:
        names = _listed("table", list(source.forced))
        yield Obstacle(
            f'FORCE ROW LEVEL SECURITY holds for {names}, so "{server.role}" could not compare all rows of a copy',
            f'let a superuser of the server for restored copies run: ALTER ROLE "{server.role}" BYPASSRLS',
        )


def _offered(one: Extension, server: Server) -> bool:
    return (one.name, one.version) in server.offers


def _makes_itself(one: Extension, server: Server) -> bool:
    """Whether a restore, which names no version, makes the very same as a role that is no superuser."""
    return server.offers.get((one.name, one.version), False) and server.presets.get(one.name) == one.version


def _plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def _listed(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"{kind}{'s' if len(names) > 1 else ''} {shown}"
