"""review: one person's decision on the plan and its evidence, recorded in the ledger with the digests of both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowSkipException

from airflow_migrator.links import EvidenceLink, ReportLink, task_page
from airflow_migrator.notifications.message import Message
from airflow_migrator.operators.base import MigrationTask
from airflow_migrator.params import REHEARSAL
from migrator.gates import reviews
from migrator.gates.window import decide_window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from airflow.sdk.execution_time.hitl import HITLUser

    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from migrator.evidence import EvidenceBundle
    from migrator.ledger.rows import LedgerReview
    from migrator.plan import Plan

APPROVE, REJECT = "Approve", "Reject"


class PgMigrationReviewOperator(MigrationTask, HITLOperator):
    """Asks when the target's policy wants this many reviews, and returns at once when it does not.

    There are no defaults and no time-out: silence approves nothing. The answer is judged by the engine (author, same
    person twice, not a reviewer) and a refused or rejected one fails the task.

    :param version: the migration.
    :param target: name of the target in targets.yaml.
    :param number: which review of this run it is, counted from 1.
    """

    stage = "review"
    template_fields: Sequence[str] = ("version", "target", "subject", "body")
    operator_extra_links = (EvidenceLink(), ReportLink())
    ui_color = "#fce8e6"

    def __init__(self, *, version: str, target: str, number: int, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Review {number} of {version}",
            options=[APPROVE, REJECT],
            **kwargs,
        )
        self.version = version
        self.target = target
        self.number = number

    def execute(self, context: Context) -> Any:
        from airflow_migrator.notifications import notify
        from migrator.stages import review

        if context["params"].get("until") == REHEARSAL:
            raise AirflowSkipException("a rehearsal: the dry run was the last stage")
        with self.running(context):
            hook, plan, bundle = self.migration_hook(), self.plan(context), self.evidence(context)
            wanted = reviews.required(hook.target(), plan)
            given = approvals(hook, plan, bundle)
            if self.number > wanted or self.number <= len(given):
                return {"asked": False, "wanted": wanted, "approved_by": [one.reviewer for one in given]}
            what = f"risk {plan.risk.value}" if plan.emergency is None else f"EMERGENCY, risk {plan.risk.value}"
            self.subject = f"{plan.version} on {plan.target}: review {self.number} of {wanted} ({what})"
            self.body = review.card(
                plan, bundle, answers=[answer_line(one) for one in given], when=self.when(hook, plan, bundle)
            )
            self.assigned_users = known_reviewers(hook.target().reviewers)
            notify(self.question(context), hook.target().notifications, context)
        return super().execute(context)

    def when(self, hook: PgMigrationHook, plan: Plan, bundle: EvidenceBundle) -> str:
        """When preflight would let it pass, as things are now."""
        from migrator.run import system_clock

        migration = hook.migration(self.version)
        window = decide_window(plan, hook.target(), migration, bundle.dry_run.seconds, system_clock())
        if window.state == "open":
            return f"as soon as the reviews are complete ({window.reason})"
        return window.reason

    def question(self, context: Context) -> Message:
        """What reviewers are told, with a link to the card."""
        ti, base_url = context["ti"], (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        page = task_page(ti.dag_id, ti.run_id, ti.task_id, "required_actions")
        title = f"review {self.number} is needed"
        return Message("review", self.version, self.target, self.subject, base_url + page if base_url else None, title)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        from migrator.stages import review

        answer = super().execute_complete(context, event)
        with self.running(context):
            hook, plan, bundle = self.migration_hook(), self.plan(context), self.evidence(context)
            target = hook.target()
            reviewer = reviewer_of(answer["responded_by_user"], target.reviewers)
            run = replace(self.run_context(context), actor=reviewer)
            with hook.ledger() as ledger:
                ledger.install()
                judgement = review.record(
                    ledger,
                    plan,
                    bundle.digest,
                    target=target,
                    responder=reviewer,
                    decision="approved" if answer["chosen_options"] == [APPROVE] else "rejected",
                    comment=(answer["params_input"] or {}).get("reason") or "",
                    now=run.clock(),
                    run=run,
                )
        self.log.info("%s", judgement.reason)
        return {"asked": True, "reviewer": reviewer, "decision": judgement.decision.value, "plan_digest": plan.digest}


def approvals(hook: PgMigrationHook, plan: Plan, bundle: EvidenceBundle) -> tuple[LedgerReview, ...]:
    """Who has approved this very plan and evidence already: a cleared task does not ask for what the ledger has."""
    from migrator.run import system_clock

    now = system_clock()
    with hook.ledger() as ledger:
        found = ledger.reviews(plan.version) if ledger.exists() else ()
    return tuple(
        one
        for one in reviews.current(found, plan.digest, bundle.digest)
        if one.decision == "approved" and (one.expires_at is None or one.expires_at > now)
    )


def answer_line(given: LedgerReview) -> str:
    """One earlier approval, for the card of the next reviewer."""
    from migrator.reports.markup import Markup, text

    return Markup(f"{given.decided_at:%Y-%m-%d %H:%M %Z}, **{text(given.reviewer)}**: {text(given.reason or '')}")


def reviewer_of(user: Mapping[str, Any] | None, reviewers: Mapping[str, str]) -> str:
    """The responder as targets.yaml knows them: FAB's user id is a number, the simple auth manager's is the name."""
    names = [str(user[key]) for key in ("name", "id") if user.get(key)] if user else []
    return next((name for name in names if name in reviewers), names[0] if names else "nobody")


def known_reviewers(reviewers: Mapping[str, str]) -> list[HITLUser]:
    """Whom Airflow lets answer. Only the simple auth manager's user ids are the names that targets.yaml has; with the
    others, roles decide who may answer and the engine decides which answer counts."""
    from airflow.sdk.execution_time.hitl import HITLUser

    if "SimpleAuthManager" not in conf.get("core", "auth_manager", fallback=""):
        return []
    return [HITLUser(id=name, name=name) for name in reviewers]
