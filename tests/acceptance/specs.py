"""What an acceptance case needs before Airflow starts: its migrations, its target's policy, its own server or not.

Airflow reads migrations, targets and connections when it starts, so every case declares them with the decorator
`scenario`; the laboratory writes them all, starts one Airflow, and runs the cases side by side.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

TEST = TypeVar("TEST", bound=Callable[..., Any])

ADD_TABLE = "CREATE TABLE labels (\n    id bigint PRIMARY KEY,\n    name text NOT NULL\n);\n"
DROP_TABLE = "DROP TABLE labels;\n"
GATE_KEY = 4711
GATE = f"SELECT pg_advisory_xact_lock({GATE_KEY});\n"
"""Waits while a `Gate` of the test is shut in the same database; on a restored copy nobody shuts it."""
PATIENT: Mapping[str, Any] = {"lock_timeout": "5 minutes"}
"""For a migration with a gate: waiting there counts as waiting for a lock."""
NUMBERS = """\
CREATE TABLE numbers (id int, times int NOT NULL DEFAULT 0, done boolean, filler text);
INSERT INTO numbers (id, filler) SELECT g, repeat('x', 200) FROM generate_series(1, 20000) AS g;
"""
FILL = "UPDATE numbers SET times = times + 1, done = true WHERE done IS NULL;\n"
REVIEWED: Mapping[str, Any] = {"environment": "production", "reviews": {"low": 2, "medium": 2, "high": 2}}
"""A target that wants two reviews of everything."""


PATIENCE_SECONDS = 600.0
"""How long a case waits for anything. Long, because a dozen cases share two cores with whatever else the machine does:
only what will never happen may fail here, and that is mostly noticed earlier, by the end of the run."""

SABOTEUR = "saboteur"
PRESENT = (
    f"EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{SABOTEUR}')"
)
"""True while the test holds a connection of that name: never on a restored copy, and gone when the test wants it so."""
SABOTAGED = f"DO $$ BEGIN IF {PRESENT} THEN RAISE EXCEPTION 'sabotaged'; END IF; END $$;\n"
NOT_SABOTAGED = {"verify": [f"SELECT NOT {PRESENT}"]}


class _Plain(yaml.SafeDumper):
    """Without anchors and aliases, which are refused in files that people write."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_Plain, sort_keys=False)


def paused(name: str) -> str:
    """A query that takes a minute while the test holds a `Brake` of that name in the same database."""
    return (
        "SELECT pg_sleep(60) WHERE EXISTS (SELECT FROM pg_stat_activity"
        f" WHERE datname = current_database() AND application_name = '{name}')"
    )


def braked(name: str) -> str:
    """A statement that ends when no `Brake` of that name is connected to the server any more, whatever the database."""
    return (
        "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity"
        f" WHERE application_name = '{name}') LOOP PERFORM pg_sleep(0.1); PERFORM pg_stat_clear_snapshot();"
        " END LOOP; END $$;\n"
    )


@dataclass(frozen=True)
class Files:
    """One migration's files. `metadata` overrides single keys of migration-metadata.yaml."""

    sql: str = ADD_TABLE
    rollback: str | None = DROP_TABLE
    plain: str = ""
    """SQL after which the schema is as after all its steps; empty: that of `sql`."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    """Further SQL files of the folder, by name."""
    schedule: Mapping[str, str] = field(default_factory=dict)
    """window_start, duration and lead_time; the target is the case's."""

    def write(self, root: Path, version: str, *, target: str) -> Path:
        folder = root / "2025" / version
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "version": version,
            "description": f"Case {version}",
            "author": "dave@wakala.com",
            "risk_level": "high",
            "estimated_duration": "1 minute",
            "rollback_available": self.rollback is not None,
            **({"schedule": {"target": target, **self.schedule}} if self.schedule else {}),
            **self.metadata,
        }
        (folder / "migration-metadata.yaml").write_text(to_yaml(content))
        (folder / f"{version}.sql").write_text(self.sql)
        if self.rollback is not None:
            (folder / f"{version}_rollback.sql").write_text(self.rollback)
        for name, text in self.more.items():
            (folder / name).write_text(text)
        if self.changes is not None:
            (folder / "schema_changes.yaml").write_text(to_yaml(dict(self.changes)))
        return folder


@dataclass(frozen=True)
class Spec:
    migrations: Mapping[str, Files] = field(default_factory=lambda: {"": Files()})
    """By a short name that is part of the version; "" is the case's main one."""
    target: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the target's policy in targets.yaml. Without any: no reviews, any time."""
    own_server: bool = False
    """The case stops its server, which nobody else may notice."""
    baselined: bool = True
    """Somebody has said what is in the database, before the case begins."""


@dataclass(frozen=True)
class Scenario:
    """What the decorator leaves on the test function."""

    build: Callable[..., Spec]
    slow: bool = False
    """Waits for a retry, a window, or people: begins before the others."""

    def spec(self, parameters: Mapping[str, Any]) -> Spec:
        wanted = self.build.__code__.co_varnames[: self.build.__code__.co_argcount]
        return self.build(**{name: parameters[name] for name in wanted})


def scenario(
    spec: Spec | Callable[..., Spec] | None = None, *, slow: bool = False, **fields: Any
) -> Callable[[TEST], TEST]:
    """Declare a case: with a Spec's fields, or with a function from the test's parameters to a Spec."""
    if spec is None:
        spec = Spec(**fields)
    build = spec if callable(spec) else (lambda: spec)

    def mark(test: TEST) -> TEST:
        test.scenario = Scenario(build, slow)  # type: ignore[attr-defined]
        return test

    return mark


def version_of(case: str, name: str = "") -> str:
    """A version that depends on the case alone, so that the same case has the same DAG in each selection."""
    words = "_".join(part for part in (case, name) if part)
    return f"{zlib.crc32(words.encode()) % 10**6:06d}_{words}"
