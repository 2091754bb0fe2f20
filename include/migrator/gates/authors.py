"""Whose migration it is, and how that is known: none of them may approve it.

The metadata's author is a line in a file. Whoever started the run counts as well, and so does everybody who committed
the files, where a seal says who that was. Whoever clears a task has started nothing: Airflow does not tell who it was.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
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


_ADDRESS = re.compile(r"<([^<>]*)>")
_REMARK = re.compile(r"\s*\([^()]*\)\s*\Z")
_NOBODYS = re.compile(r"[^@]*@([^@]*\.)?no-?reply\.[^@]*|no-?reply@[^@]*", re.IGNORECASE)
PLATFORMS = frozenset({"noreply@github.com"})
"""They commit what somebody merges by a button; who wrote it stands beside."""


def person(name_or_email: str) -> str:
    """One spelling per person: `Bob <Bob+dba@Wakala.com>` and `bob@wakala.com` are the same one.

    As Git writes it, whose names have commas, brackets and quotation marks as they come: the address is what stands
    between the last < and >, no grammar of mail is asked.
    """
    address = (_address(name_or_email) or name_or_email).strip().casefold()
    local, at, domain = address.partition("@")
    return address if is_nobodys(address) else local.partition("+")[0] + at + domain


def is_nobodys(name_or_email: str) -> bool:
    """Whether it has an address that hides who it is: none, or one that GitHub, GitLab and the like give to everybody,
    such as `12345+eve@users.noreply.github.com`."""
    address = _address(name_or_email)
    return not address or _NOBODYS.fullmatch(address) is not None


def _address(text: str) -> str:
    found = _ADDRESS.findall(text)
    return str(found[-1]).strip() if found else _REMARK.sub("", text).strip()


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
    if target.authors is AuthorsPolicy.REQUIRED:
        _require_somebody(found, migration)
    if run.started_by:
        found.append(author_of(run.started_by, Source.STARTED, target))
    return tuple(found)


def _require_somebody(found: Collection[Author], migration: Migration) -> None:
    """:raises AuthorsUnknown: some of them, or all, have addresses that are nobody's: any reviewer may be them."""
    hidden = [one.name for one in found if not one.reviewer and is_nobodys(one.name)]
    platforms = [name for name in hidden if person(name) in PLATFORMS]
    if len(platforms) < len(found):
        hidden = [name for name in hidden if name not in platforms]
    if hidden:
        raise AuthorsUnknown(
            f"{migration.version!r} was committed by {', '.join(hidden)}, which does not say who that is: map it in"
            f" .mailmap to the person's own address, or make it the address of a reviewer, then {seal.AGAIN}",
            problems=tuple(hidden),
        )


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
