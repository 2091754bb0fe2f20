"""The reference page of the rules, written from the rules' own data: `python -m migrator.analysis.rules.reference`."""

from __future__ import annotations

from pathlib import Path

from migrator.analysis.rules import RULES, Rule

HEAD = """# Rules

What `migrator analyze` looks for. Severity depends on the table's size where a connection tells it: below 10,000 rows
it is `info`, from a million rows on it is an `error`, which fails analyze. What only the catalog can tell is `info`
without a connection, and tables that the same migration creates are never warned about.

A finding's alternative is SQL for this very statement and this server's version. The line
`-- in a migration after that one:` stands between parts that must be migrations of their own, because a lock is held
until its transaction ends. Each alternative in the rules' examples is run on a server, ends in the schema of the
statement itself, and is clean when it is analysed again; where it cannot be, the example says why. A warning or an
error without SQL belongs to a rule whose "Without SQL" says when, and why there is none.

A rule is allowed for one migration with
`allow` in its metadata: the rule's id, a reason, and a date until which the allowance is valid. For one statement a
comment before it does the same:

    -- migrator: allow create-index because the table is new and empty until 2026-12-31
    CREATE INDEX ON lm.notes (body);

The ids of other tools are understood there, too (`squawk:require-concurrent-index-creation`, or without the tool). An
allowance that nothing needs, that has expired or has no reason is itself a finding, and a changed one voids a review.

`migrator analyze --format` prints the findings as `text`, `json` (its schema: `migrator schema analysis`), `sarif`,
`github`, `gitlab` or `markdown`. How to use them in CI: [migrations/README.md](../../../migrations/README.md).

Besides the rules below there are findings with the ids `not-analysable` (it does not parse, or is not SQL), `allow`
(something is wrong with an allowance), `risk-understated`, `type-mismatch`, `downtime-not-declared`, `nothing-to-do`,
`constraint-by-partition` (a step of kind `constraint` that its partitions need first),
`another-versions-row` (bookkeeping in `schema_migrations` that is not about this migration), `header-contradicts` (the
comment at the head of a file says something else than the metadata),
`undeclared-dependency` (it needs what a migration makes that it does not depend on), `pending-conflict` (it may fail
once an earlier migration is applied), and, when `--validate-syntax` lets the target's server read the file,
`server-syntax`, `unknown-name`, `missing-privilege` and `server-unsure`.

What says that a statement may fail is a forecast, and never more than a warning: it ends no stage. Errors about it come
from a server alone: `server-syntax` for what its grammar refuses, `unknown-name` for a name in a query that neither the
target has nor anything before it can make, and the dry run, which runs the file on the restored copy.

This page is written by `python -m migrator.analysis.rules.reference`; a test compares it with the rules.
"""


def page() -> str:
    return "\n".join([HEAD, *(_section(rule) for rule in RULES)])


def _section(rule: Rule) -> str:
    aliases = f"- Elsewhere: {', '.join(f'`{alias}`' for alias in rule.aliases)}\n" if rule.aliases else ""
    without_sql = f"- Without SQL: {rule.without_sql}\n" if rule.without_sql else ""
    versions = "" if rule.versions == "all" else f"- PostgreSQL: {rule.versions}\n"
    return (
        f"## {rule.id}\n\n"
        f"- Severity: {rule.severity.value}{'' if rule.allowable else ', cannot be allowed'}\n"
        f"- When: {rule.condition}\n"
        f"- Effect: {rule.effect}\n"
        f"- Instead: {rule.alternative}\n"
        f"{without_sql}{versions}{aliases}"
        f"- Source: <{rule.source}>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("README.md").write_text(page(), encoding="utf-8")
