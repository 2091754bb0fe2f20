"""Whose migration it is, and how that is known: none of them may approve it.

The metadata's author is a line in a file. Whoever started the run counts as well, and so does everybody who committed
the files, where a seal says who that was. Whoever clears a task has started nothing: Airflow does not tell who it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from typing import TYPE_CHECKING

from migrator.catalogue import seal
from migrator.errors import AuthorsUnknown
from migrator.plan import Author, Plan, Source
from migrator.targets.targets import AuthorsPolicy, Target

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration
    from migrator.run import RunContext

WORDS: Mapping[Source, str] = {
    Source.DECLARED: "is the author",
    Source.SEALED: "is an author, having committed the files",
    Source.STARTED: "counts as author, having started the run",
}


def person(name_or_email: str) -> str:
    """One spelling per person: `Bob <Bob+dba@Wakala.com>` and `bob@wakala.com` are the same one."""
    address = parseaddr(name_or_email)[1] or name_or_email
    local, at, domain = address.strip().casefold().partition("@")
    return local.partition("+")[0] + at + domain


def beside_the_declared(
    migration: Migration, here: Mapping[str, str], target: Target, run: RunContext
) -> tuple[Author, ...]:
    """Who else is an author of the migration in this run.

    :param here: the digests of its files as they lie here (`content.checksums`).
    :raises AuthorsUnknown: the files are not what was sealed, or there is no seal where the target wants one.
    """
    sealed = seal.read(migration.root)
    if sealed is None and target.authors is AuthorsPolicy.REQUIRED:
        raise AuthorsUnknown(
            f"target {target.name!r} wants to know who committed {migration.version!r} (authors: required), and there"
            f" is no {seal.SEAL_FILE!r} beside the migrations: {seal.AGAIN}",
            problems=("no seal",),
        )
    committed = seal.authors(sealed, migration, here) if sealed is not None else ()
    found = [author_of(name, Source.SEALED, target) for name in committed]
    if run.started_by:
        found.append(author_of(run.started_by, Source.STARTED, target))
    return tuple(found)


def author_of(name: str, source: Source, target: Target) -> Author:
    """With the reviewer of the target that they are."""
    who = person(name)
    for user, email in target.reviewers.items():
        if who in (person(user), person(email)):
            return Author(name, source, user, email)
    return Author(name, source)


def everyone(declared: str, others: Iterable[Author]) -> tuple[Author, ...]:
    return (Author(declared, Source.DECLARED), *others)


def persons(author: Author) -> frozenset[str]:
    """All that this author is known as."""
    return frozenset(person(name) for name in (author.name, author.reviewer, author.email) if name)


def authorship(plan: Plan, responder: str, email: str | None) -> str:
    """What makes this person an author of the plan, in words; empty when nothing does. Pure."""
    me = {person(responder), *([person(email)] if email else [])}
    found = (author for author in everyone(plan.author, plan.authors) if persons(author) & me)
    return next((WORDS[author.source] for author in found), "")


def approvers(target: Target, authors: Iterable[Author]) -> frozenset[str]:
    """The people who may approve what these have written."""
    theirs = {name for author in authors for name in persons(author)}
    return frozenset(
        person(email)
        for name, email in target.reviewers.items()
        if person(name) not in theirs and person(email) not in theirs
    )
