"""Template databases for copies: what only an administrator can put into a database, put there before.

A copy is restored by a role that owns nothing but the copy, so it can create no extension that its author did not mark
as trusted (extension_is_trusted in src/backend/commands/extension.c). What is made from a template has what the
template has. An administrator makes one for each encoding and locale, from the script that we print; anybody who may
create databases may copy it, since it is marked IS_TEMPLATE, and nobody can connect to it.

Its comment is its mark and says what it holds. The mark is there to be told by; what is restored goes by what lies in
the copy itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psycopg import sql as pgsql

PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


@dataclass(frozen=True)
class Locale:
    """What a database cannot change any more, and a copy must have."""

    encoding: str = "UTF8"
    lc_collate: str = "C"
    lc_ctype: str = "C"
    provider: str = "c"
    """pg_database.datlocprovider: c libc, i ICU, b builtin."""
    locale: str = ""
    """Of the providers icu and builtin."""
    rules: str = ""
    """ICU_RULES."""

    @property
    def words(self) -> str:
        more = f", {PROVIDERS.get(self.provider, self.provider)} {self.locale}" if self.provider != "c" else ""
        return (
            f"{self.encoding}, {self.lc_collate}"
            + ("" if self.lc_ctype == self.lc_collate else f"/{self.lc_ctype}")
            + more
        )

    @property
    def options(self) -> pgsql.Composable:
        """Of CREATE DATABASE. LOCALE_PROVIDER came with 15, BUILTIN_LOCALE with 17."""
        parts = [("ENCODING", self.encoding), ("LC_COLLATE", self.lc_collate), ("LC_CTYPE", self.lc_ctype)]
        if self.provider != "c":
            name = PROVIDERS.get(self.provider, self.provider)
            parts += [("LOCALE_PROVIDER", name), (f"{name.upper()}_LOCALE", self.locale)]
        if self.rules:
            parts.append(("ICU_RULES", self.rules))
        return pgsql.SQL(" ").join(pgsql.SQL(f"{key} {{}}").format(pgsql.Literal(value)) for key, value in parts)

    @classmethod
    def of(cls, database: Mapping[str, str]) -> Locale:
        """From what `schema.read` says of the database."""
        return cls(
            database.get("encoding", "UTF8"),
            database.get("collate", "C"),
            database.get("ctype", "C"),
            database.get("provider", "c"),
            database.get("locale", ""),
            database.get("rules", ""),
        )


@dataclass(frozen=True)
class Extension:
    name: str
    schema: str
    version: str

    @property
    def words(self) -> str:
        return f'"{self.name}" {self.version} in schema "{self.schema}"'


@dataclass(frozen=True)
class Template:
    name: str
    locale: Locale
    extensions: Mapping[str, Extension] = field(default_factory=dict)


def read_mark(name: str, comment: str | None, locale: Locale) -> Template | None:
    """None: this database is no template for copies. Pure."""
    try:
        data = json.loads(comment or "")
        if data["migrator_template"] != 1:
            return None
        held = {
            str(key): Extension(str(key), str(one["schema"]), str(one["version"]))
            for key, one in data["extensions"].items()
        }
        return Template(name, locale, held)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def choose(templates: Iterable[Template], locale: Locale, extensions: Iterable[Extension]) -> Template | None:
    """Of those with this very locale the one that holds most of what is wanted. Pure."""
    wanted = tuple(extensions)
    fitting = [one for one in templates if one.locale == locale]
    return max(fitting, key=lambda one: sum(one.extensions.get(x.name) == x for x in wanted), default=None)


def name_for(locale: Locale) -> str:
    parts = (locale.encoding, PROVIDERS.get(locale.provider, ""), locale.locale or locale.lc_collate)
    return re.sub(r"[^a-z0-9]+", "_", "_".join(("copies", *parts)).lower()).strip("_")[:63]


def script(locale: Locale, extensions: Iterable[Extension], *, owner: str, name: str = "") -> str:
    """For psql, as an administrator of the server for restored copies. May be run again, to add extensions. Pure.

    :param owner: our role there, to which schemas of extensions will belong, so that it can give them to a copy's role.
    """
    database = pgsql.Identifier(name or name_for(locale))
    wanted = tuple(extensions)
    create = pgsql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(database, locale.options).as_string(None)
    lines = [
        f"-- A template database for restored copies ({locale.words}), for psql as an administrator of their server.",
        "-- SQL that nobody has reviewed yet can use in a copy what this database holds.",
        "\\set ON_ERROR_STOP on",
        "\\set home :DBNAME",
        pgsql.SQL("SELECT {} WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {}) \\gexec")
        .format(pgsql.Literal(create), pgsql.Literal(name or name_for(locale)))
        .as_string(None),
        _text("ALTER DATABASE {} ALLOW_CONNECTIONS true;", database),
        _text("ALTER DATABASE {} IS_TEMPLATE true;", database),
        _text("REVOKE ALL ON DATABASE {} FROM PUBLIC;", database),
        _text("\\connect {}", database),
    ]
    for schema in dict.fromkeys(one.schema for one in wanted if one.schema not in ("public", "pg_catalog")):
        of = (pgsql.Identifier(schema), pgsql.Identifier(owner))
        lines.append(_text("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {};", *of))
    for one in wanted:
        lines.append(
            _text(
                "CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} VERSION {};",
                pgsql.Identifier(one.name),
                pgsql.Identifier(one.schema),
                pgsql.Literal(one.version),
            )
        )
    return (
        "\n".join([*lines, _MARK, "\\connect :home", _text("ALTER DATABASE {} ALLOW_CONNECTIONS false;", database)])
        + "\n"
    )


def _text(template: str, *parts: pgsql.Composable) -> str:
    return pgsql.SQL(template).format(*parts).as_string(None)


_MARK = """\
DO $mark$
DECLARE
    wrapper name;
BEGIN
    FOR wrapper IN SELECT fdwname FROM pg_foreign_data_wrapper LOOP
        EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO PUBLIC', wrapper);
    END LOOP;
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), (
        SELECT json_build_object('migrator_template', 1, 'extensions', coalesce(json_object_agg(
            x.extname, json_build_object('schema', n.nspname, 'version', x.extversion)
        ) FILTER (WHERE x.extname <> 'plpgsql'), '{}'))
        FROM pg_extension AS x INNER JOIN pg_namespace AS n ON x.extnamespace = n.oid
    ));
END
$mark$;"""
