"""What a Git repository says about the files in it: whether they are committed, and by whom.

History is walked once for all files. `git log --follow` would be one walk a file, and it follows copies as well as
renames (seen with Git 2.39): whoever wrote an earlier migration would be an author of each one that looks like it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from migrator.errors import EnvironmentFault
from migrator.gates.authors import is_nobodys

HEADER = "\x01"
PEOPLE = (("%aN", "%aE"), ("%an", "%ae"), ("%cN", "%cE"), ("%cn", "%ce"))
"""Who wrote it and who committed it: `--author` says anything, and so does the one who applies another's patch. Each as
.mailmap has them, and as the commit does: .mailmap lies beside the migrations, and need not even be committed."""
FORMAT = "--format={}%x00{}%x00{}".format(
    HEADER,
    "%x00".join(f"{name}%x00{address}" for name, address in PEOPLE),
    "%(trailers:key=Co-authored-by,valueonly,separator=%x02)",
)
"""Co-authors are text of the message, which Git does not map by itself."""
SETTINGS = (
    "core.quotePath=false",
    "diff.relative=false",
    "diff.renameLimit=10000",
    "i18n.logOutputEncoding=UTF-8",
    "log.showRoot=true",
)
"""What somebody may have set otherwise."""
BATCH = 200
"""Files on one command line."""


@dataclass(frozen=True)
class Commit:
    authors: tuple[str, ...]
    changed: tuple[tuple[str, tuple[str, ...]], ...]
    """Each path, and those that it had before where the commit renamed it. A merge has what differs from all its
    parents: what somebody wrote into the merge itself, or put elsewhere, as a merged subtree."""


class Repository:
    """The repository around a folder; paths are as seen from that folder."""

    def __init__(self, folder: Path) -> None:
        """:raises EnvironmentFault: Git is missing, or there is no repository, no commit, only a part of history, or
        another one than others have."""
        self._git = shutil.which("git") or ""
        if not self._git:
            raise EnvironmentFault("git is not installed here; run `migrator seal` where the repository is")
        self._folder = folder
        self._prefix = self._ask("rev-parse", "--show-prefix").rstrip("\n")
        if self._ask("rev-parse", "--is-shallow-repository").strip() != "false":
            raise EnvironmentFault(
                f"the clone around {str(folder)!r} is shallow, so who wrote the files is not in it: fetch the whole"
                " history (`git fetch --unshallow`; in GitHub Actions `fetch-depth: 0`, in GitLab `GIT_DEPTH: 0`)"
            )
        grafts = folder / self._ask("rev-parse", "--git-path", "info/grafts").rstrip("\n")
        if grafts.exists():  # as replacements, which can be left out
            raise EnvironmentFault(f"{str(grafts)!r} gives commits other parents than others have: remove it")
        self.commit = self._ask("rev-parse", "--verify", "HEAD^{commit}").strip()

    def uncommitted(self, files: Mapping[str, bytes]) -> tuple[str, ...]:
        """Those that are not, byte by byte, in the last commit. Git is not asked whether they are: the index can be
        told not to look (`--assume-unchanged`), and an attribute that nobody has committed (`ident`, `eol`, `filter`,
        `working-tree-encoding`) makes it take one text for another.

        :param files: what was read of each, which may be no more than its beginning.
        """
        committed = {}
        for line in self._ask("ls-tree", "-r", "-z", "--full-tree", "HEAD", "--", self._prefix or ".").split("\0"):
            about, _, path = line.partition("\t")
            if path:
                committed[path.removeprefix(self._prefix)] = about.split(" ")[2]
        kind = self._ask("rev-parse", "--show-object-format").strip()

        def is_committed(name: str, read: bytes) -> bool:
            raw = (self._folder / name).read_bytes()
            blob = hashlib.new(kind, b"blob %d\0" % len(raw) + raw).hexdigest()
            return raw.startswith(read) and committed.get(name) == blob

        return tuple(name for name, read in files.items() if not is_committed(name, read))

    def authors(self, files: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Who wrote or committed each file, under whatever names it had; the last one first."""
        found: dict[str, list[str]] = {name: [] for name in files}
        known_as: dict[str, set[str]] = {self._prefix + name: {name} for name in files}
        for commit in self._commits():
            for path, before in commit.changed:
                names = known_as.get(path, set())
                for name in names:
                    found[name] += [one for one in commit.authors if one not in found[name]]
                for old in before if names else ():
                    known_as.setdefault(old, set()).update(names)
        return {name: tuple(authors) for name, authors in found.items()}

    def _commits(self) -> Iterator[Commit]:
        """Newest first; what follows is before what it follows, also across branches."""
        log = self._ask(
            "log", "-z", "-c", "-M", "--combined-all-paths", "--name-status", "--topo-order", FORMAT, "HEAD"
        )
        found = list(_read(iter(log.split("\0"))))
        aliases = self._mapped(sorted({name for _, helpers, _ in found for name in helpers}))
        for people, helpers, changed in found:
            mapped = _known([one for name in helpers for one in (aliases[name], name)])
            yield Commit(tuple(dict.fromkeys((*people, *mapped))), changed)

    def _mapped(self, contacts: list[str]) -> dict[str, str]:
        """As .mailmap has them."""
        result: dict[str, str] = {}
        for start in range(0, len(contacts), BATCH):
            part = contacts[start : start + BATCH]
            result.update(zip(part, self._ask("check-mailmap", *part).splitlines(), strict=True))
        return result

    def _ask(self, *arguments: str) -> str:
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        # Replacements are local: they can show another history than the one that others have.
        command = [self._git, "-C", str(self._folder), "--no-replace-objects", *settings, *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
            hint = "run `migrator seal` in the repository, before the image is built"
            raise EnvironmentFault(f"git cannot say who wrote {str(self._folder)!r}: {said}. {hint}")
        return done.stdout.decode(errors="surrogateescape")


def _read(
    tokens: Iterator[str],
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]]:
    """`PEOPLE`, co-authors and changed paths of each commit of `git log -z --name-status`. A path follows its status,
    so that no name of a file can pass for anything else."""
    people, helpers = (), ()  # type: tuple[str, ...], tuple[str, ...]
    changed: list[tuple[str, tuple[str, ...]]] = []
    for token in tokens:
        status = token.lstrip("\n")
        if status == HEADER:
            if people:
                yield people, helpers, tuple(changed)
            people, changed = _known([_plain(f"{next(tokens)} <{next(tokens)}>") for _ in PEOPLE]), []
            helpers = tuple(_contact(_plain(one)) for one in next(tokens).split("\x02") if one.strip())
        elif status:
            # A merge has a letter for each parent, and the path in each; else only what was renamed has one before.
            parents = len(status) if status.isalpha() and len(status) > 1 else int(status[1:].isdigit())
            before = tuple(next(tokens) for _ in range(parents))
            changed.append((next(tokens), before))
    if people:
        yield people, helpers, tuple(changed)


def _known(contacts: Sequence[str]) -> tuple[str, ...]:
    """Of each two, as .mailmap has it and as it is: both, but for an address that is nobody's and is mapped to one."""
    pairs = zip(contacts[::2], contacts[1::2], strict=True)
    return tuple(one for mapped, raw in pairs for one in ((mapped,) if is_nobodys(raw) else (mapped, raw)))


def _contact(text: str) -> str:
    """One line with an address, as check-mailmap wants it."""
    line = " ".join(text.split())
    return line if re.search(r"<[^<>]*>\Z", line) else f"<{line}>"


def _plain(text: str) -> str:
    """Without the bytes of another encoding, which no JSON could hold."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
