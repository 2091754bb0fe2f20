"""`migrator new`: the files of a new migration, with the next number. Ready to be filled in; or, where options or a
statement say what it does, ready to run."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from migrator import errors
from migrator.catalogue.metadata import METADATA_FILE
from migrator.cli import new_from, new_step, options
from migrator.plan import MigrationType, Risk
from migrator.run import system_clock

if TYPE_CHECKING:
    from migrator.cli.new_files import Draft
    from migrator.cli.output import Output
    from migrator.plan import Plan, Suggestion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="what it does, in words: 'add analytics tables'; default: of the step"
    )
    options.add_catalogue_arguments(parser)
    parser.add_argument("--description", metavar="TEXT", help="one line; default: NAME")
    parser.add_argument("--author", metavar="EMAIL", help="default: Git's user.email")
    parser.add_argument(
        "--risk", choices=[str(risk) for risk in Risk], help="default: low; of a step that is written out: as analysed"
    )
    parser.add_argument(
        "--type",
        choices=[str(kind) for kind in MigrationType],
        metavar="TYPE",
        help="one of %(choices)s; default: computed from the SQL",
    )
    parser.add_argument("--year", metavar="FOLDER", help="folder below the catalogue; default: this year")
    parser.add_argument(
        "--depends-on",
        action="append",
        metavar="VERSION",
        help="a migration that must be applied before; may be given several times; default: that of --from, or the"
        " newest",
    )
    parser.add_argument("--irreversible", action="store_true", help="without a rollback script")
    parser.add_argument("--concurrent-index", action="store_true", help="a step that builds an index concurrently")
    new_step.add_arguments(parser)
    new_from.add_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.cli import new_files

    _require_one_way(args)
    root = options.catalogue_root(args)
    found = new_from.found_at(args)
    steps = found.steps if found is not None else _described(args)
    draft = _draft(args, root, steps, after=found.version if found is not None else None)
    folder = root / (args.year or f"{system_clock():%Y}") / draft.version
    written = new_files.files(draft)
    new_files.check(written, folder / METADATA_FILE)
    new_files.write(folder, written)
    if steps:
        written = _settled(draft, root, folder, wanted=args.risk)
    out.document({"version": draft.version, "folder": str(folder), "files": [str(folder / name) for name in written]})
    for name in written:
        out.line(str(folder / name))
    if found is not None:
        out.line(f"it does what {found.lines} does ({found.rule}): take that out, unless it is applied already")
    then = f"`migrator test {draft.version}`" if steps else f"write the SQL, then `migrator check {draft.version}`"
    out.line(f"next: {then}", style="faint")
    return 0


def _described(args: argparse.Namespace) -> tuple[Suggestion, ...]:
    described = new_step.step_of(args)
    return () if described is None else (described,)


def _require_one_way(args: argparse.Namespace) -> None:
    """:raises UsageError: options say in two ways what it does."""
    given = {"--kind": args.kind, "--from": args.place, "--concurrent-index": args.concurrent_index}
    ways = [name for name, value in given.items() if value]
    if len(ways) > 1:
        raise errors.UsageError(f"{ways[0]} and {ways[1]} both say what it does: give one of them")


def _draft(args: argparse.Namespace, root: Path, steps: Sequence[Suggestion], *, after: str | None) -> Draft:
    """
    :param after: the migration that its statement came from. :raises UsageError: an option is wrong.
    """
    from migrator.catalogue.folder import scan
    from migrator.catalogue.metadata_model import version_problem
    from migrator.catalogue.order import sort_key
    from migrator.cli.new_files import Draft
    from migrator.steps.suggestions import composed

    try:
        whole = composed(steps) if steps else None
    except ValueError as exc:
        raise errors.UsageError(str(exc)) from exc
    name = args.name or (new_step.title(steps) if steps else None)
    if name is None:
        raise errors.UsageError("what does it do? give NAME, in words, --kind or --from")
    versions = sorted((found.path.name for found in scan(root).found), key=sort_key)
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    version = f"{_next_number(versions)}_{words}"
    wrong = version_problem(version) if words else "has no letter or digit"
    if wrong:
        raise errors.UsageError(f"NAME {name!r}: the version {wrong}")
    newest = [after] if after in versions else versions[-1:]
    dependencies = newest if args.depends_on is None else list(args.depends_on)
    unknown = sorted(set(dependencies) - set(versions))
    if unknown:
        raise errors.UsageError(f"--depends-on: there is no migration {unknown[0]!r}")
    if args.year and not re.match(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z", args.year):
        raise errors.UsageError(f"--year {args.year!r} is not the name of a folder")
    author, description = args.author or _git_email(), " ".join((args.description or name).split())
    if not author:
        raise errors.UsageError("who writes it? give --author EMAIL, or set Git's user.email")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(author)[1]):
        raise errors.UsageError(f"author {author!r} is no e-mail address: give --author EMAIL")
    return Draft(
        version=version,
        description=description,
        author=author,
        written=system_clock().date(),
        risk=args.risk or str(Risk.LOW),
        type=args.type,
        requires_downtime=False,
        dependencies=tuple(dependencies),
        irreversible=args.irreversible,
        steps=whole,
        concurrent_index=args.concurrent_index,
    )


def _settled(draft: Draft, root: Path, folder: Path, *, wanted: str | None) -> dict[str, str]:
    """The files once risk and downtime in them are those of the analysis.

    :raises UsageError: it cannot be; then the folder is gone again.
    """
    from migrator.cli import new_files
    from migrator.plan import Severity

    try:
        plan = _analysed(root, draft.version)
        risk = wanted or str(plan.risk)
        written = new_files.files(replace(draft, risk=risk, requires_downtime=plan.requires_downtime))
        (folder / METADATA_FILE).write_text(written[METADATA_FILE], encoding="utf-8")
        refused = [one for one in _analysed(root, draft.version).findings if one.severity is Severity.ERROR]
        if refused:
            raise errors.UsageError("; ".join(f"{one.message} ({one.rule})" for one in refused))
    except errors.InvalidInput as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise errors.UsageError("; ".join(one.message for one in error.problems)) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return written


def _analysed(root: Path, version: str) -> Plan:
    from migrator.analysis.effects import ASSUMED
    from migrator.analysis.known import Known
    from migrator.catalogue.catalogue import load_catalogue
    from migrator.history.past import Past
    from migrator.stages.analyze import analyze

    catalogue = load_catalogue(root)
    before = Past(catalogue).before(version, assumed=ASSUMED)
    return analyze(catalogue.require(version), known=Known(before=before))


def _next_number(versions: list[str]) -> str:
    """One more than the highest, as wide as the widest. Timestamps as numbers stay timestamps."""
    numbers = [digits[0] for version in versions if (digits := re.match(r"[0-9]+", version))]
    if not numbers:
        return "000"
    if len(numbers[-1]) == 14:
        return f"{system_clock():%Y%m%d%H%M%S}"
    return str(int(numbers[-1]) + 1).zfill(len(numbers[-1]))


def _git_email() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    found = subprocess.run([git, "config", "user.email"], capture_output=True, text=True, check=False)
    return found.stdout.strip()
