"""What apply does at a gate between two steps: ask a person, or come back later. No worker is held meanwhile.

The step's own task asks, so that clearing it is all there is to asking anew: a task of its own for the question would
have to be cleared together with it, and could be marked as done. A wrong person's answer, or one to something else, is
written down, and the question stays.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf
from airflow.sdk.exceptions import TaskAwaitingInput

from airflow_migrator import cards
from airflow_migrator.links import task_page
from airflow_migrator.notifications.message import Message
from airflow_migrator.operators.base import WINDOW
from airflow_migrator.operators.review import known_reviewers, reviewer_of
from airflow_migrator.params import review_params

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_migrator.operators.apply import PgMigrationApplyOperator
    from migrator.errors import GateClosed
    from migrator.evidence import EvidenceBundle
    from migrator.plan import Plan

YES, NO = "Yes", "No"
SOON = timedelta(seconds=10)
"""Airflow fails no task in the very moment in which it begins to wait."""


def wait(
    task: PgMigrationApplyOperator,
    context: Context,
    shut: GateClosed,
    plan: Plan,
    bundle: EvidenceBundle,
    now: datetime,
) -> None:
    """Gives the worker back; never returns.

    :raises NeedsHuman: Airflow shows the question of another plan.
    """
    task.log.info("%s%s", shut, shut.fields.get("note") or "")
    context["ti"].xcom_push(key=WINDOW, value=f"{shut}; since {shut.fields['since']:%Y-%m-%d %H:%M:%S %Z}")
    if shut.fields["question"] is None:
        look_again(task, shut.fields["again"])
    ask(task, context, shut, plan, bundle)
    raise TaskAwaitingInput(
        method_name="answered",
        kwargs={
            "shown": {"plan": plan.digest, "evidence": bundle.digest},
            "step": shut.fields["step"],
            "since": shut.fields["since"].isoformat(),
        },
        timeout=max(shut.fields["until"] - now, SOON),
    )


def look_again(task: PgMigrationApplyOperator, moment: datetime) -> None:
    """Never returns."""
    from airflow_migrator.triggers.window import WindowOpenTrigger

    task.defer(trigger=WindowOpenTrigger(moment.isoformat()), method_name="execute", kwargs={"at_gate": True})


def ask(task: PgMigrationApplyOperator, context: Context, shut: GateClosed, plan: Plan, bundle: EvidenceBundle) -> None:
    """Put the question where people answer, and tell them."""
    from airflow_migrator.notifications import notify
    from migrator.errors import NeedsHuman
    from migrator.reports.gates import question
    from migrator.reports.review_card import covered

    target, name = task.migration_hook().target(), shut.fields["step"]
    subject = f"{plan.version} on {plan.target}: gate {name}"
    shown = cards.put(
        context,
        subject=subject,
        body=question(plan, name, until=shut.fields["until"]) + "\n\n" + covered(plan, bundle),
        options=[YES, NO],
        params={key: param.serialize() for key, param in review_params().items()},
        people=known_reviewers(target.reviewers),
    )
    if not shown.endswith(covered(plan, bundle)):
        raise NeedsHuman(
            "Airflow still shows the question of another plan, and an answer to that would count for nothing: see that"
            " the plugin `migrator` is loaded by API server and scheduler, then start a new run"
        )
    ti, base_url = context["ti"], (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    page = task_page(ti.dag_id, ti.run_id, ti.task_id, "required_actions")
    text = f"{task.again}{subject} asks: {shut.fields['question']}"
    url = base_url + page if base_url else None
    notify(
        Message("review", plan.version, plan.target, text, url, "a gate waits for an answer"),
        target.notifications,
        context,
    )


def record(
    task: PgMigrationApplyOperator, context: Context, event: Mapping[str, Any], shown: Any, step: str, since: str
) -> str:
    """Write an answer into the ledger. Returns why it does not count; empty: it does."""
    from datetime import datetime

    from migrator.errors import ReviewRefused
    from migrator.gates import answers
    from migrator.gates.shown import Shown, difference
    from migrator.steps import execution

    hook, plan, bundle = task.migration_hook(), task.plan(context), task.evidence(context)
    target, chosen = hook.target(), event.get("chosen_options")
    person = reviewer_of(event.get("responded_by_user"), target.reviewers)
    stale = difference(Shown.read(shown), Shown(plan.digest, bundle.digest))
    if chosen not in ([YES], [NO]):
        stale = f"{chosen} is neither {YES!r} nor {NO!r}"
    try:
        with hook.ledger() as ledger:
            answers.record(
                ledger,
                plan,
                bundle.digest,
                execution.find(plan, step),
                target=target,
                responder=person,
                yes=chosen == [YES],
                comment=(event.get("params_input") or {}).get("comment") or "",
                since=datetime.fromisoformat(since),
                run=replace(task.run_context(context), actor=person),
                stale=stale or "",
            )
    except ReviewRefused as exc:
        task.log.warning("the answer of %r does not count, and the question stays: %s", person, exc)
        return f"the answer of {person!r} does not count: {exc}. "
    task.log.info("%r has answered %s at gate %s", person, chosen, step)
    return ""
