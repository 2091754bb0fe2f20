"""The rules for `migration-metadata.yaml`: which keys there are, what they mean, what they may hold.

The descriptions are the reference: `migrator schema` publishes them for editors and migrations/README.md prints them.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from migrator.catalogue.metadata import Allow, Metadata, Schedule, StepSpec
from migrator.errors import InvalidInput
from migrator.input.models import model_of
from migrator.input.validation import Duration, InputModel, examine, problem, unique
from migrator.input.walltime import parse_instant
from migrator.input.yaml_source import Document, read
from migrator.plan import MigrationType, OnFailure, Risk
from migrator.steps.contract import StepKind
from migrator.steps.kinds import STEPS, gate, kind_named, parameters_of

VERSION_PATTERN = r"^[0-9]{3,17}_[A-Za-z0-9]+(_[A-Za-z0-9]+)*$"
LONGEST_VERSION = 100
"""Airflow's task and DAG ids, file names and PostgreSQL's application_name all carry it."""
STEP_PATTERN = r"^[a-z][a-z0-9_]{0,59}$"
RULE_PATTERN = r"^([a-z_]+:)?[A-Za-z0-9][A-Za-z0-9_-]*$"
INSTANT_PATTERN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?\s*(Z|[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z0-9_+/-]*)$"


def version_problem(text: str) -> str | None:
    """What is wrong with `text` as a version, or None."""
    if len(text) > LONGEST_VERSION:
        return f"is longer than {LONGEST_VERSION} characters"
    if not re.match(VERSION_PATTERN, text):
        return f"{text!r} is not a version: write it like '001_add_analytics_tables' (digits, then words with '_')"
    return None


def _version(text: str) -> str:
    wrong = version_problem(text)
    if wrong:
        raise ValueError(wrong)
    return text


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a date and time such as '2025-01-15 02:00 UTC'")
    return parse_instant(value)


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("must be one line; longer text belongs into 'notes'")
    return text


def _matching(pattern: str, wanted: str) -> Any:
    def check(text: str) -> str:
        if not re.match(pattern, text) or "\n" in text:
            raise ValueError(f"{text!r} {wanted}")
        return text

    return check


Version = Annotated[
    str,
    AfterValidator(_version),
    WithJsonSchema({"type": "string", "pattern": VERSION_PATTERN, "maxLength": LONGEST_VERSION}),
]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Line = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_one_line)]
Instant = Annotated[
    tuple[datetime, str],
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "pattern": INSTANT_PATTERN, "examples": ["2025-01-15 02:00 UTC"]}),
]


class ScheduleModel(InputModel):
    """When the migration runs, once."""

    target: Line = Field(description="Name of the target in targets.yaml that the scheduled run changes.")
    window_start: Instant = Field(
        description="When the maintenance window opens, with a time zone: `2025-01-15 02:00 UTC` or "
        "`2025-01-15 02:00 Europe/Berlin`."
    )
    duration: Duration = Field(description="How long the window stays open.")
    lead_time: Duration = Field(
        default="2 hours",
        validate_default=True,
        description="How long before the window the run begins: snapshot, dry run and reviews come first.",
    )

    @model_validator(mode="after")
    def _positive(self) -> ScheduleModel:
        if self.duration.total_seconds() <= 0:
            raise ValueError("'duration' must be longer than nothing")
        return self


class StepModel(InputModel):
    """One resumable unit of the migration."""

    name: Annotated[
        str, AfterValidator(_matching(STEP_PATTERN, "is not a step name: use lower-case letters, digits and '_'"))
    ] = Field(description="Name of the step: the task `apply.<name>` and the ledger row carry it.")
    description: str = Field(default="", description="What the step is for, for the people who watch the run.")


def _step_model(kind: StepKind) -> type[InputModel]:
    """The keys of a step of this kind: those of all steps, then the kind's own."""
    name = "".join(word.capitalize() for word in kind.KIND.split("_")) + "Step"
    tag: Any = Annotated[Literal.__getitem__(kind.KIND), Field(description=f"`{kind.KIND}` {kind.SUMMARY}.")]
    return model_of(kind.PARAMETERS, name=name, base=StepModel, kind=(tag, ...))


if TYPE_CHECKING:
    AnyStep = Any
else:
    AnyStep = Annotated[Union[tuple(_step_model(kind) for kind in STEPS)], Field(discriminator="kind")]


class AllowModel(InputModel):
    """One finding that the author takes responsibility for."""

    rule: Annotated[str, AfterValidator(_matching(RULE_PATTERN, "is not the id of a rule"))] = Field(
        description="Id of the rule whose findings are allowed."
    )
    reason: Text = Field(description="Why it is safe here. Reviewers read it.")
    until: date = Field(description="Last day on which the exception counts.")


class MetadataModel(InputModel):
    """One migration: `migration-metadata.yaml`."""

    version: Version = Field(description="Name of the migration; its folder has the same name.")
    description: Line = Field(description="What the migration does, in one line.")
    author: Line = Field(description="E-mail address of who wrote it. The author cannot review it.")
    reviewed_by: tuple[Line, ...] = Field(
        default=(), description="Who is said to have reviewed it. A claim only: reviews that count are in the ledger."
    )
    risk_level: Risk = Field(description="Declared risk. Analyze fails when the computed risk is higher.")
    estimated_duration: Duration | None = Field(
        default=None, description="How long the author expects it to take, such as `5 minutes`."
    )
    requires_downtime: bool = Field(default=False, description="Whether the application must be stopped.")
    rollback_available: bool = Field(
        description="Whether `<version>_rollback.sql` undoes it. `false` makes the migration irreversible."
    )
    testing: dict[str, bool] = Field(
        default_factory=dict,
        description="Which tests were made, as a mapping or as a list of `name: true`.",
        json_schema_extra={
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "boolean"}},
                {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "boolean"}}},
            ]
        },
    )
    dependencies: tuple[Version, ...] = Field(default=(), description="Versions that must be applied before this one.")
    notes: str = Field(default="", max_length=50_000, description="Anything that reviewers and operators should know.")
    type: MigrationType | None = Field(
        default=None, description="Kind of change, as in the runbook's table. Checked against the computed one."
    )
    schedule: ScheduleModel | None = Field(default=None, description="When it runs. Absent: when somebody starts it.")
    steps: tuple[AnyStep, ...] = Field(
        default=(), description="Resumable units, in order. Absent: one step `sql` that runs `<version>.sql`."
    )
    verify: tuple[Text, ...] = Field(
        default=(), description="Queries that must each give one row with one true value after apply."
    )
    on_failure: OnFailure = Field(
        default=OnFailure.ROLLBACK,
        description="After a failure: `rollback` undoes what was applied, `hold` leaves it, `ask` asks a person.",
    )
    allow: tuple[AllowModel, ...] = Field(default=(), description="Findings of the analysis that are accepted.")
    lock_timeout: Duration = Field(
        default="2 seconds",
        validate_default=True,
        description="How long a statement may wait for a lock while applications queue behind it.",
    )
    statement_timeout: Duration = Field(
        default="0", validate_default=True, description="How long one statement may run; 0 is no limit."
    )
    transaction: bool | None = Field(
        default=None,
        description="Of a migration without `steps`: `true` runs the file in one transaction, `false` statement by "
        "statement. Default: what the statements allow.",
    )

    @field_validator("testing", mode="before")
    @classmethod
    def _merge_list(cls, value: Any) -> Any:
        """The runbook writes a list of one-key mappings."""
        if not isinstance(value, list):
            return value
        merged: dict[str, Any] = {}
        for item in value:
            if not isinstance(item, dict) or len(item) != 1:
                raise ValueError("must be a list of entries such as 'unit_tests: true'")
            for name, answer in item.items():
                if name in merged:
                    raise ValueError(f"names {name!r} twice")
                merged[name] = answer
        return merged

    @field_validator("verify", mode="before")
    @classmethod
    def _one_query(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def load_metadata(path: Path, *, file: str | None = None) -> Metadata:
    """The metadata in the file `path`.

    :raises InvalidInput: with everything that is wrong at once, each with file, line and key.
    """
    return check(read(path, file=file))


def check(document: Document) -> Metadata:
    """The metadata in a document.

    :raises InvalidInput: with every problem, also those that need more than one key.
    """
    model, problems = examine(MetadataModel, document)
    if model is not None:
        problems = tuple(problem(document, key, text, hint) for key, text, hint in _contradictions(model))
    if model is None or problems or document.problems:
        raise InvalidInput(problems=unique((*document.problems, *problems)))
    return _metadata(model, document)


def _contradictions(model: MetadataModel) -> list[tuple[tuple[str | int, ...], str, str | None]]:
    found: list[tuple[tuple[str | int, ...], str, str | None]] = []
    seen: dict[str, int] = {}
    for index, step in enumerate(model.steps):
        if step.name in seen:
            found.append((("steps", index, "name"), f"step {step.name!r} is declared twice", None))
        seen[step.name] = index
    files: set[str] = set()
    for index, step in enumerate(model.steps):
        if "file" not in type(step).model_fields:
            continue
        name = step.file or f"{model.version}.sql"
        if name in files:
            found.append((("steps", index), f"{name!r} is run by another step already", "one file a step"))
        files.add(name)
        if name == f"{model.version}_rollback.sql":
            found.append((("steps", index, "file"), "is the rollback script", "a step runs forward SQL"))
    for index, step in enumerate(model.steps):
        kind = kind_named(step.kind)
        for key, text, hint in kind.contradictions(parameters_of(kind, _parameters(step))):
            found.append((("steps", index, key), text, hint))
    for index in {0, len(model.steps) - 1} if model.steps else ():
        if model.steps[index].kind == gate.KIND:
            found.append(
                (("steps", index), "a gate stands between two steps", "write it after one step and before another")
            )
    if model.steps and model.transaction is not None:
        found.append((("transaction",), "has no meaning beside 'steps'", "write it into the step"))
    for index, dependency in enumerate(model.dependencies):
        if dependency == model.version:
            found.append((("dependencies", index), "a migration cannot depend on itself", None))
        elif dependency in model.dependencies[:index]:
            found.append((("dependencies", index), f"{dependency!r} is listed twice", None))
    for key, length in (("lock_timeout", model.lock_timeout), ("statement_timeout", model.statement_timeout)):
        if 0 < length.total_seconds() < 0.001:
            found.append(((key,), "is shorter than a millisecond", None))
    return found


def _parameters(step: Any) -> dict[str, Any]:
    """The kind's own parameters in their JSON form."""
    common = {*StepModel.model_fields, "kind"}
    return {key: value for key, value in step.model_dump(mode="json").items() if key not in common}


def _metadata(model: MetadataModel, document: Document) -> Metadata:
    schedule = model.schedule
    estimate = model.estimated_duration
    return Metadata(
        version=model.version,
        description=model.description,
        author=model.author,
        risk_level=model.risk_level,
        reviewed_by=model.reviewed_by,
        estimated_duration="" if estimate is None else str(document.data["estimated_duration"]),
        estimated_seconds=None if estimate is None else estimate.total_seconds(),
        requires_downtime=model.requires_downtime,
        rollback_available=model.rollback_available,
        testing=dict(model.testing),
        dependencies=model.dependencies,
        notes=model.notes,
        type=model.type,
        schedule=None
        if schedule is None
        else Schedule(
            target=schedule.target,
            window_start=schedule.window_start[0],
            duration=schedule.duration,
            lead_time=schedule.lead_time,
            timezone=schedule.window_start[1],
        ),
        steps=tuple(StepSpec(step.name, step.kind, _parameters(step), step.description) for step in model.steps),
        verify=model.verify,
        on_failure=model.on_failure,
        allow=tuple(Allow(**dict(allowed)) for allowed in model.allow),
        lock_timeout_ms=round(model.lock_timeout.total_seconds() * 1000),
        statement_timeout_ms=round(model.statement_timeout.total_seconds() * 1000),
        transaction=model.transaction,
    )
