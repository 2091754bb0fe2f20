"""review: one person's decision on the plan and its evidence, recorded in the ledger with the digests of both.

The digests are those of the card: they travel with the waiting task, and an answer that comes when something else lies
there is refused. The question is then asked by a new try, because within one try Airflow keeps the card's text; how a
new try gets a new one is in `cards`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from airflow_migrator import cards
from airflow_migrator.links import EvidenceLink, ReportLink, task_page
from airflow_migrator.notifications.message import Message
from airflow_migrator.operators.base import MigrationTask
from airflow_migrator.params import REHEARSAL
from migrator.errors import NeedsHuman
from migrator.gates import reviews
from migrator.gates.evidence import evidence_problems
from migrator.gates.shown import Shown, asked_again, difference, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from airflow.sdk.execution_time.hitl import HITLUser

    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from migrator.evidence import EvidenceBundle
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerReview
    from migrator.plan import Plan
    from migrator.run import RunContext

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
            require_belonging(plan, bundle)
            wanted = reviews.required(hook.target(), plan)
            given, again = self.answers(context, hook, plan, bundle)
            if self.number > wanted or self.number <= len(given):
                self.log.info("%s", not_asked(self.number, wanted, [one.reviewer for one in given]))
                return {"asked": False, "wanted": wanted, "approved_by": [one.reviewer for one in given]}
            what = f"risk {plan.risk.value}" if plan.emergency is None else f"EMERGENCY, risk {plan.risk.value}"
            self.subject = f"{plan.version} on {plan.target}: review {self.number} of {wanted} ({what})"
            self.body = review.card(
                plan,
                bundle,
                answers=[answer_line(one) for one in given],
                when=self.when(hook, plan, bundle),
                again=again,
            )
            self.ask(context, review.covered(plan, bundle), known_reviewers(hook.target().reviewers))
            notify(self.question(context, again), hook.target().notifications, context)
        raise TaskAwaitingInput(
            method_name="execute_complete", kwargs={"shown": Shown(plan.digest, bundle.digest).to_dict()}
        )

    def ask(self, context: Context, covered: str, people: Sequence[HITLUser]) -> None:
        """Put the card where people answer.

        :param covered: how a card about this plan and evidence ends.
        :raises NeedsHuman: Airflow shows an older one.
        """
        for name in self.params:  # Airflow fills in what whoever started the run gave under the same name
            self.params.get_param(name).value = None
        shown = cards.put(
            context,
            subject=self.subject,
            body=self.body or "",
            options=self.options,
            params=self.serialized_params,
            people=people,
        )
        if not shown.endswith(covered):
            raise NeedsHuman(
                "Airflow still shows the card of an earlier try, and an answer to that would count for nothing: see"
                " that the plugin `migrator` is loaded by API server and scheduler, then start a new run"
            )

    def answers(
        self, context: Context, hook: PgMigrationHook, plan: Plan, bundle: EvidenceBundle
    ) -> tuple[tuple[LedgerReview, ...], str]:
        """Who has approved this very plan and evidence already: a cleared task does not ask for what the ledger has.
        And why this question is asked again, if it is.

        :raises NeedsHuman: in this run somebody before this one has approved something else, and is not asked again.
        """
        from migrator.run import system_clock

        run_id = context["dag_run"].run_id
        with hook.ledger() as ledger:
            found, events = (ledger.reviews(self.version), ledger.events(self.version)) if ledger.exists() else ((), ())
        given = reviews.approvals(found, plan.digest, bundle.digest, now=system_clock())
        before = [one for one in found if one.run_id == run_id and one.decision == reviews.Answer.APPROVED]
        if before and len(given) < self.number - 1:
            raise NeedsHuman(
                f"{before[-1].reviewer!r} has approved in this run, but not what lies there now:"
                " clear review.reviewer_1 with downstream"
            )
        return given, asked_again(events, run_id=run_id, number=self.number)

    def when(self, hook: PgMigrationHook, plan: Plan, bundle: EvidenceBundle) -> str:
        """When preflight would let it pass, as things are now."""
        from migrator.gates.window import decide_next
        from migrator.run import system_clock

        migration = hook.migration(self.version)
        window = decide_next(plan, hook.target(), migration, bundle, (), system_clock())
        if window.state == "open":
            return f"as soon as the reviews are complete ({window.reason})"
        return window.reason

    def question(self, context: Context, again: str) -> Message:
        """What reviewers are told, with a link to the card."""
        ti, base_url = context["ti"], (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        page = task_page(ti.dag_id, ti.run_id, ti.task_id, "required_actions")
        title = f"review {self.number} is needed" + (" again" if again else "")
        text = f"{self.subject}. {again}" if again else self.subject
        return Message("review", self.version, self.target, text, base_url + page if base_url else None, title)

    def execute_complete(
        self, context: Context, event: dict[str, Any], shown: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The answer. :param shown: the digests of the card, as `execute` gave them along."""
        from migrator.stages import review

        answer = super().execute_complete(context, event)
        with self.running(context):
            hook = self.migration_hook()
            target = hook.target()
            reviewer = reviewer_of(answer["responded_by_user"], target.reviewers)
            run = replace(self.run_context(context), actor=reviewer)
            with hook.ledger() as ledger:
                ledger.install()
                plan, bundle = self.still_there(ledger, context, shown, run, answer["chosen_options"])
                judgement = review.record(
                    ledger,
                    plan,
                    bundle.digest,
                    target=target,
                    responder=reviewer,
                    decision="approved" if answer["chosen_options"] == [APPROVE] else "rejected",
                    comment=(answer["params_input"] or {}).get("comment") or "",
                    now=ledger.server_time(),
                    run=run,
                )
        self.log.info("%s", judgement.reason)
        return {"asked": True, "reviewer": reviewer, "decision": judgement.decision.value, "plan_digest": plan.digest}

    def still_there(
        self, ledger: Ledger, context: Context, shown: Mapping[str, Any] | None, run: RunContext, chosen: Sequence[str]
    ) -> tuple[Plan, EvidenceBundle]:
        """What the card was about.

        :raises CardOutdated: something else lies there, or nothing; the ledger says so.
        """
        card, found, unreadable = Shown.read(shown), None, ""
        try:
            plan, bundle = self.plan(context), self.evidence(context)
            found = Shown(plan.digest, bundle.digest)
        except NeedsHuman as exc:  # a stage before is at work again: the new try waits for it
            unreadable = str(exc)
        reason = difference(card, found, unreadable=unreadable)
        if reason is not None:
            refuse(
                ledger,
                number=self.number,
                answer=", ".join(chosen),
                shown=card,
                found=found,
                reason=reason,
                version=self.version,
                run=run,
            )
        return plan, bundle


def not_asked(number: int, wanted: int, people: Sequence[str]) -> str:
    """Why this review asks nobody, for its log."""
    if number > wanted:
        return f"nobody is asked: {wanted or 'no'} {'review is' if wanted == 1 else 'reviews are'} wanted"
    return f"nobody is asked again: {', '.join(people)} approved this plan and evidence already, as the ledger has it"


def require_belonging(plan: Plan, bundle: EvidenceBundle) -> None:
    """:raises NeedsHuman: the evidence is of another plan, or proves nothing: nobody is asked about that."""
    problems = evidence_problems(plan, bundle)
    if problems:
        raise NeedsHuman(
            f"nobody can be asked about {plan.version!r}: {'; '.join(problems)}. clear analyze with downstream"
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
