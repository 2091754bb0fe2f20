"""The rules for targets.yaml: which keys there are, what they mean, what they may hold.

`defaults` may have every key of a target. A target's own mapping (limits, reviews, reviewers, snapshot) is laid over
the default's key by key; its own list (windows, freezes, notifications) takes the default's place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from migrator.errors import InvalidInput
from migrator.input.validation import Duration, InputModel, Size, examine, nearest, problem, unique
from migrator.input.walltime import parse_instant, zone
from migrator.input.yaml_source import Document, Key, read
from migrator.plan import Risk
from migrator.problems import Problem
from migrator.targets.targets import (
    WEEKDAYS,
    AuthorsPolicy,
    Freeze,
    IdleSessions,
    Limits,
    Notification,
    OrderPolicy,
    Roles,
    SnapshotPolicy,
    Target,
    Targets,
    WindowRule,
)

NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
ID_PATTERN = r"^[A-Za-z0-9_.:#-]{1,200}$"
SEARCH_PATH_PATTERN = r'^([A-Za-z_][A-Za-z0-9_$]*|"[^"]+")(\s*,\s*([A-Za-z_][A-Za-z0-9_$]*|"[^"]+"))*$'
TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

Text = Annotated[str, Field(min_length=1, max_length=1000)]
Name = Annotated[str, Field(min_length=1, max_length=63)]
ConnectionId = Annotated[str, Field(pattern=ID_PATTERN)]
Count = Annotated[int, Field(ge=0, le=100_000)]


def _zone(text: str) -> str:
    zone(text)
    return text


def _day(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower()[:3] in WEEKDAYS and re.match(r"[A-Za-z]+\Z", value.strip()):
        return value.strip().lower()[:3]
    raise ValueError(f"must be a day of the week ({', '.join(WEEKDAYS)}), not {value!r}")


def _start(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(TIME_PATTERN, value):
        raise ValueError(f'must be a time such as "02:00", not {value!r}')
    return value


def _email(text: str) -> str:
    if not re.match(r"[^@\s]+@[^@\s]+\Z", text):
        raise ValueError(f"{text!r} is not an e-mail address")
    return text


Zone = Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string", "examples": ["UTC", "Europe/Berlin"]})]
Day = Annotated[str, BeforeValidator(_day), WithJsonSchema({"enum": [*WEEKDAYS]})]
Start = Annotated[str, BeforeValidator(_start), WithJsonSchema({"type": "string", "pattern": TIME_PATTERN})]
Email = Annotated[Text, AfterValidator(_email)]


class WindowModel(InputModel):
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = Field(description="Days of the week on which it opens.")
    start: Start = Field(description='When it opens, by the clocks of `timezone`, such as "02:00".')
    duration: Duration = Field(description="How long it stays open, in real time; it may run past midnight.")
    timezone: Zone = Field(default="UTC", description="Time zone of `days` and `start`.")


class FreezeModel(InputModel):
    name: Text = Field(description="What people call it.")
    start: Text = Field(description="First moment: a date, or a date and time.")
    end: Text = Field(description="First moment after it.")
    timezone: Zone = Field(default="UTC", description="Time zone of `start` and `end` where they name none.")
    except_emergency: bool = Field(default=False, description="Whether a declared emergency lifts it.")


class SnapshotModel(InputModel):
    max_age: Duration = Field(default="24 hours", validate_default=True, description="Older snapshots stop preflight.")
    retention: Duration = Field(
        default="30 days", validate_default=True, description="How long a snapshot is kept, in whole days."
    )
    keep: Annotated[int, Field(ge=1, le=10_000)] = Field(default=3, description="So many of the newest always stay.")
    jobs: Annotated[int, Field(ge=1, le=64)] = Field(default=2, description="Parallel jobs of dump and restore.")
    compression: Literal["auto", "none", "gzip", "lz4", "zstd"] = Field(
        default="auto", description="`auto` takes the fastest that the programs know."
    )


class LimitsModel(InputModel):
    max_replication_lag: Size = Field(default="64MB", validate_default=True, description="Of any standby, in WAL.")
    max_transaction_age: Duration = Field(
        default="5 minutes", validate_default=True, description="Of the oldest open transaction."
    )
    min_free_connections: Count = Field(default=5, description="Connections that the server must still accept.")
    max_replay_lag: Duration = Field(
        default="10 seconds",
        validate_default=True,
        description="Of any standby, in time. This and the following hold steps of many batches, preflight asks none.",
    )
    max_archive_backlog: Count = Field(default=64, description="Segments of WAL that wait for the archiver.")
    max_wal_rate: Size | None = Field(default=None, description="WAL of the whole server a second; absent: any.")


class IdleSessionsModel(InputModel):
    """A step that needs a lock ends sessions that have forgotten their transaction, of these roles alone."""

    end_after: Duration = Field(description="How long a session has been idle in its transaction; at least a second.")
    roles: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="Roles that such a session is logged in as."
    )


class NotificationModel(InputModel):
    kind: Literal["log", "slack", "smtp", "pagerduty"] = Field(description="How to tell people.")
    connection: ConnectionId | None = Field(default=None, description="Airflow connection; not for `log`.")
    channel: Text | None = Field(default=None, description="Slack's channel.")
    to: tuple[Email, ...] = Field(default=(), description="E-mail addresses, for `smtp`.")
    events: tuple[Literal["applied", "failed", "rolled_back", "rollback_failed", "review"], ...] = Field(
        default=(), description="What to tell; absent: everything. An emergency is always told."
    )


class ReviewsModel(InputModel):
    """Reviews that a migration needs, by its risk."""

    low: Annotated[int, Field(ge=0, le=9)] | None = Field(default=None, description="Default: 1; development: 0.")
    medium: Annotated[int, Field(ge=0, le=9)] | None = Field(default=None, description="Default: 2; development: 0.")
    high: Annotated[int, Field(ge=0, le=9)] | None = Field(default=None, description="Default: 2; development: 0.")


class TargetModel(InputModel):
    """One PostgreSQL database in one environment."""

    environment: Literal["development", "staging", "production"] = Field(description="Which environment it belongs to.")
    connection: ConnectionId = Field(description="Airflow connection of the database.")
    copies_connection: ConnectionId = Field(description="Airflow connection of the server for restored copies.")
    role: Name | None = Field(default=None, description="Role that every migration session takes on (SET ROLE).")
    search_path: Annotated[str, Field(pattern=SEARCH_PATH_PATTERN)] = Field(
        default="public", description="Search path of every migration session."
    )
    provider: Literal["pg_dump"] = Field(default="pg_dump", description="What takes and restores snapshots.")
    storage: Text = Field(default="snapshots", description="URI or directory for snapshots.")
    evidence: Text = Field(default="evidence", description="URI or directory for plans, evidence and reports.")
    reviews: ReviewsModel = Field(default_factory=ReviewsModel, description="Reviews needed, by risk.")
    review_ttl: Duration = Field(default="7 days", validate_default=True, description="How long a review is valid.")
    reviewers: dict[Name, Email] = Field(
        default_factory=dict, description="Who may review: Airflow user and e-mail address."
    )
    windows: tuple[WindowModel, ...] = Field(default=(), description="Maintenance windows; absent: any time.")
    freezes: tuple[FreezeModel, ...] = Field(default=(), description="When nothing may be changed.")
    snapshot: SnapshotModel = Field(default_factory=SnapshotModel, description="How snapshots are taken and kept.")
    limits: LimitsModel = Field(
        default_factory=LimitsModel, description="Above these, preflight refuses, and steps of many batches wait."
    )
    idle_in_transaction: IdleSessionsModel | None = Field(
        default=None,
        description="Which sessions a step ends that hold what it needs and do nothing; absent: none.",
    )
    notifications: tuple[NotificationModel, ...] = Field(default=(), description="Who is told what.")
    out_of_order: OrderPolicy = Field(
        default=OrderPolicy.REJECT,
        description="A version that is lower than an applied one is rejected, applied when somebody approves (ask), or"
        " applied.",
    )
    authors: AuthorsPolicy = Field(
        default=AuthorsPolicy.DECLARED,
        description="How it must be known who wrote a migration: by its metadata (declared), or by the commits that"
        " `migrator seal` has written down (required).",
    )


TARGETS = ("targets",)
DEFAULTS = ("defaults",)


RoleName = Annotated[str, Field(min_length=1, max_length=64)]


class RolesModel(InputModel):
    """Roles of Airflow's FAB auth manager that get access to every migration; other auth managers know none."""

    viewers: tuple[RoleName, ...] = Field(default=(), description="See runs, evidence and logs.")
    reviewers: tuple[RoleName, ...] = Field(default=(), description="Answer reviews, too.")
    operators: tuple[RoleName, ...] = Field(
        default=(), description="Start, clear and mark runs, too; answer no reviews."
    )


class TargetsModel(InputModel):
    """The outline of the file; each target is checked by itself, with the defaults under it."""

    defaults: dict[str, Any] = Field(
        default_factory=dict, description="What every target has unless it says otherwise."
    )
    targets: Annotated[dict[str, Any], Field(min_length=1)] = Field(description="The targets, by name.")
    roles: RolesModel = Field(default_factory=RolesModel, description="Who may do what in Airflow.")


def json_schema() -> dict[str, Any]:
    """JSON Schema of targets.yaml (draft 2020-12)."""
    outline = TargetsModel.model_json_schema()
    target = TargetModel.model_json_schema()
    definitions = target.pop("$defs")
    definitions["Target"] = target
    # What a target must have it may also have from the defaults, so an editor cannot ask for it.
    target.pop("required")
    definitions["Defaults"] = {**target, "description": "What every target has unless it says otherwise."}
    outline["properties"]["defaults"] = {"$ref": "#/$defs/Defaults"}
    outline["properties"]["targets"] = {
        "type": "object",
        "description": "The targets, by name.",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": {"$ref": "#/$defs/Target"},
        "minProperties": 1,
    }
    outline["$defs"] = {**outline.get("$defs", {}), **definitions}
    return outline


def load_targets(path: Path) -> Targets:
    """The targets in the file `path`.

    :raises InvalidInput: with everything that is wrong at once, each with file, line and key.
    """
    return check(read(path))


def check(document: Document) -> Targets:
    """The targets in a document.

    :raises InvalidInput: with every problem of every target.
    """
    outline, problems = examine(TargetsModel, document)
    found: list[Problem] = [*document.problems, *problems]
    targets: dict[str, Target] = {}
    if outline is not None:
        known = TargetModel.model_fields
        for key in outline.defaults:
            if key not in known:
                found.append(problem(document, (*DEFAULTS, key), "unknown key", nearest(key, known)))
        for name, content in outline.targets.items():
            target, wrong = _check_one(document, name, content, outline.defaults)
            found.extend(wrong)
            if target is not None:
                targets[name] = target
    if found:
        raise InvalidInput(problems=unique(found))
    return Targets(targets, file=document.file, roles=Roles(**dict(outline.roles)) if outline is not None else Roles())


def _check_one(
    document: Document, name: str, content: Any, defaults: dict[str, Any]
) -> tuple[Target | None, Sequence[Problem]]:
    at: Key = (*TARGETS, name)
    if not re.match(NAME_PATTERN, name):
        return None, (problem(document, at, "is not a name: use lower-case letters, digits, '_' and '-'"),)
    if not isinstance(content, dict):
        return None, (problem(document, at, "must be a mapping of keys to values"),)
    known = {key: value for key, value in defaults.items() if key in TargetModel.model_fields}
    merged, inherited = _merged(known, content, document, at)
    model, problems = examine(TargetModel, inherited, data=merged, at=at)
    if model is not None:
        target, wrong = _target(name, model, inherited, at)
        problems = tuple(wrong)
        if not problems:
            return target, ()
    return None, [_as_default(one, document, name) for one in problems]


def _merged(
    defaults: dict[str, Any], content: dict[str, Any], document: Document, at: Key
) -> tuple[dict[str, Any], Document]:
    """The target's content over the defaults, and a document that knows the places of both."""
    merged = {**defaults, **content}
    for name, value in content.items():
        below = defaults.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[name] = {**below, **value}
    keys, values = dict(document.keys), dict(document.values)
    for places in (keys, values):
        for key, place in list(places.items()):
            if key[:1] == DEFAULTS and len(key) > 1 and not _overridden(key[1:], content):
                places.setdefault((*at, *key[1:]), place)
    return merged, replace(document, keys=keys, values=values)


def _overridden(key: Key, content: dict[str, Any]) -> bool:
    own = content.get(str(key[0]))
    if not isinstance(own, dict):
        return key[0] in content
    return len(key) > 1 and key[1] in own


def _as_default(one: Problem, document: Document, name: str) -> Problem:
    """A wrong default is one problem of the defaults, not one of each target."""
    for key, place in (*document.keys.items(), *document.values.items()):
        if key[:1] == DEFAULTS and len(key) > 1 and (place.line, place.column) == (one.line, one.column):
            return replace(one, key=(one.key or "").replace(f"targets.{name}", "defaults", 1))
    return one


def _target(name: str, model: TargetModel, document: Document, at: Key) -> tuple[Target, list[Problem]]:
    wrong: list[Problem] = []
    freezes: list[Freeze] = []
    for index, freeze in enumerate(model.freezes):
        key = (*at, "freezes", index)
        instants: list[datetime] = []
        for part in ("start", "end"):
            try:
                instants.append(parse_instant(getattr(freeze, part), default_zone=freeze.timezone)[0])
            except ValueError as exc:
                wrong.append(problem(document, (*key, part), str(exc)))
        if len(instants) == 2:
            if instants[1] <= instants[0]:
                wrong.append(problem(document, (*key, "end"), "must be after 'start'"))
            freezes.append(Freeze(freeze.name, instants[0], instants[1], freeze.timezone, freeze.except_emergency))
    for index, window in enumerate(model.windows):
        if not timedelta(0) < window.duration <= timedelta(days=7):
            key = (*at, "windows", index, "duration")
            wrong.append(problem(document, key, "must be longer than nothing and at most a week"))
    reviews = _reviews(model)
    most = max(reviews.values())
    if most > len(set(model.reviewers.values())):
        text = f"{most} reviews are needed, but only {len(set(model.reviewers.values()))} people may review"
        wrong.append(problem(document, (*at, "reviewers"), text, "name more reviewers, or ask for fewer reviews"))
    if model.review_ttl <= timedelta(0):
        wrong.append(problem(document, (*at, "review_ttl"), "must be longer than nothing"))
    if model.snapshot.retention % timedelta(days=1) or model.snapshot.retention < timedelta(days=1):
        wrong.append(problem(document, (*at, "snapshot", "retention"), "must be a number of whole days"))
    idle = model.idle_in_transaction
    if idle is not None and idle.end_after < timedelta(seconds=1):
        wrong.append(problem(document, (*at, "idle_in_transaction", "end_after"), "must be at least a second"))
    for index, notification in enumerate(model.notifications):
        key = (*at, "notifications", index)
        if notification.kind != "log" and notification.connection is None:
            wrong.append(problem(document, key, f"kind {notification.kind!r} needs a 'connection'"))
        if notification.kind == "smtp" and not notification.to:
            wrong.append(problem(document, key, "kind 'smtp' needs 'to'"))
    values = dict(model)
    values.update(
        name=name,
        reviews=reviews,
        reviewers=dict(model.reviewers),
        windows=tuple(WindowRule(**dict(window)) for window in model.windows),
        freezes=tuple(freezes),
        snapshot=SnapshotPolicy(
            max_age=model.snapshot.max_age,
            retention_days=model.snapshot.retention.days,
            keep=model.snapshot.keep,
            jobs=model.snapshot.jobs,
            compression=model.snapshot.compression,
        ),
        limits=Limits(
            max_replication_lag_bytes=model.limits.max_replication_lag,
            max_transaction_age_seconds=model.limits.max_transaction_age.total_seconds(),
            min_free_connections=model.limits.min_free_connections,
            max_replay_lag_seconds=model.limits.max_replay_lag.total_seconds(),
            max_archive_backlog=model.limits.max_archive_backlog,
            max_wal_rate_bytes=model.limits.max_wal_rate,
        ),
        idle_in_transaction=IdleSessions(**dict(idle)) if idle is not None else None,
        notifications=tuple(Notification(**dict(notification)) for notification in model.notifications),
    )
    return Target(**values), wrong


def _reviews(model: TargetModel) -> Mapping[Risk, int]:
    """What the file says, over what a target of this environment needs at least when nobody says otherwise."""
    usual = (0, 0, 0) if model.environment == "development" else (1, 2, 2)
    return {
        risk: default if (said := getattr(model.reviews, risk.value)) is None else said
        for risk, default in zip(Risk, usual, strict=True)
    }
