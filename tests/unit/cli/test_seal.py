"""What `migrator seal` says about a real Git repository, and what it refuses to say."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator.catalogue import content, seal
from migrator.catalogue.catalogue import load_catalogue
from migrator.catalogue.migration import Migration
from migrator.cli import main
from migrator.errors import AuthorsUnknown, InvalidInput
from tests import catalogue_files

FIRST, SECOND = "2025/001_first", "2025/002_second"
DAVE, ALICE, BOB = "Dave <dave@wakala.com>", "Alice <alice@wakala.com>", "Bob <bob@wakala.com>"


class Checkout:
    """A repository with a catalogue in it, and the people who commit to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.migrations = folder / "db" / "migrations"

    def git(self, *arguments: str, who: str = DAVE) -> str:
        name, _, address = who.rstrip(">").partition(" <")
        people = [f"-c{key}" for key in (f"user.name={name}", f"user.email={address}", "commit.gpgSign=false")]
        people = [part for one in people for part in ("-c", one.removeprefix("-c"))]
        command = ["git", "-C", str(self.folder), *people, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def commit(self, who: str, message: str = "a change") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message, who=who)

    def append(self, name: str, text: str = "-- more\n") -> None:
        path = self.migrations / name
        path.write_text(path.read_text() + text)

    def sealed(self) -> dict[str, Any]:
        assert main(["seal", "--migrations", str(self.migrations)]) == 0
        found: dict[str, Any] = json.loads((self.migrations / "seal.json").read_text())
        return found

    def authors(self, folder: str = FIRST) -> list[str]:
        return list(self.sealed()["migrations"][folder]["authors"])


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "repository")
    made.migrations.mkdir(parents=True)
    made.git("init", "--quiet", "--initial-branch", "main")
    (made.folder / ".gitignore").write_text("seal.json\n")
    sql = {"001_first": "CREATE TABLE a (id int);\n", "002_second": "CREATE TABLE b (id int);\n"}
    catalogue_files.write(made.migrations, sql)
    made.commit(DAVE)
    return made


def refusal(checkout: Checkout, capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    assert main(["seal", "--migrations", str(checkout.migrations)]) == code
    assert not (checkout.migrations / "seal.json").exists()
    return capsys.readouterr().err


def test_who_committed_each_migration(checkout: Checkout) -> None:
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit(ALICE)
    found = checkout.sealed()
    assert found["commit"] == checkout.git("rev-parse", "HEAD").strip()
    assert set(found["migrations"]) == {FIRST, SECOND}
    assert set(found["migrations"][FIRST]["files"]) == {"001_first.sql", "migration-metadata.yaml"}
    assert set(found["migrations"][FIRST]["authors"]) == {DAVE, ALICE}
    assert found["migrations"][SECOND]["authors"] == [DAVE]


def test_what_somebody_has_set_otherwise_changes_nothing(checkout: Checkout) -> None:
    for setting in ("log.showRoot", "diff.renames", "core.quotePath", "diff.relative", "log.showSignature"):
        checkout.git("config", setting, "true" if setting in ("diff.relative", "log.showSignature") else "false")
    checkout.git("mv", "db/migrations/2025", "db/migrations/2026")
    checkout.commit(BOB)
    assert set(checkout.authors("2026/001_first")) == {DAVE, BOB}


def test_renamed_files_keep_their_authors(checkout: Checkout) -> None:
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit(ALICE)
    checkout.git("mv", "db/migrations/2025", "db/migrations/2026")
    checkout.commit(BOB)
    assert set(checkout.authors("2026/001_first")) == {DAVE, ALICE, BOB}


def test_a_copy_of_an_earlier_migration_is_not_its_authors(checkout: Checkout) -> None:
    """`git log --follow` says that it is: it looks for copies, too."""
    for name in ("migration-metadata.yaml", "001_first.sql"):
        text = (checkout.migrations / FIRST / name).read_text()
        path = checkout.migrations / "2025" / "003_third" / name.replace("001_first", "003_third")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("001_first", "003_third"))
    checkout.commit(ALICE)
    copy = "db/migrations/2025/003_third/003_third.sql"
    followed = checkout.git("log", "--follow", "--format=%aN", "--", copy)
    assert followed.split() == ["Alice", "Dave"], "what Git says by itself"
    assert checkout.authors("2025/003_third") == [ALICE]


def test_what_was_written_into_a_merge_counts_and_a_plain_merge_does_not(checkout: Checkout) -> None:
    def diverge(branch: str) -> None:
        checkout.git("checkout", "--quiet", "-b", branch)
        checkout.append(f"{FIRST}/001_first.sql", f"-- {branch}\n")
        checkout.commit(ALICE)
        checkout.git("checkout", "--quiet", "main")
        (checkout.folder / f"{branch}.txt").write_text("meanwhile\n")
        checkout.commit(DAVE)

    diverge("side")
    checkout.git("merge", "--quiet", "--no-ff", "--no-edit", "side", who=BOB)
    assert set(checkout.authors()) == {DAVE, ALICE}
    diverge("other")
    checkout.git("merge", "--quiet", "--no-ff", "--no-commit", "other", who=BOB)
    checkout.append(f"{SECOND}/002_second.sql", "DROP TABLE a;\n")
    checkout.commit(BOB)
    assert set(checkout.authors(SECOND)) == {DAVE, BOB}


def test_co_authors_count_and_the_mailmap_adds_names(checkout: Checkout) -> None:
    (checkout.folder / ".mailmap").write_text("Alice <alice@wakala.com> <ali@home.example>\n")
    checkout.append(f"{FIRST}/001_first.sql")
    ali = "Ali <ali@home.example>"
    checkout.commit(BOB, f"a change\n\nCo-authored-by: {ali}\n")
    assert set(checkout.authors()) == {DAVE, BOB, ALICE, ali}
    checkout.append(f"{SECOND}/002_second.sql")
    checkout.commit(ali)
    assert set(checkout.authors(SECOND)) == {DAVE, ALICE, ali}


def test_a_mailmap_of_the_authors_own_takes_no_name_away(checkout: Checkout) -> None:
    """It lies beside the migrations, and need not even be committed."""
    (checkout.folder / ".mailmap").write_text("Ghost <ghost@wakala.com> <dave@wakala.com>\n")
    assert DAVE in checkout.authors()
    checkout.git("config", "mailmap.file", str(checkout.folder / ".mailmap"))
    assert DAVE in checkout.authors()


def test_an_address_that_is_nobodys_gives_way_to_the_mailmap(checkout: Checkout) -> None:
    nobody = "Ali <7+ali@users.noreply.github.com>"
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit(nobody)
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit(BOB, f"a change\n\nCo-authored-by: {nobody}\n")
    assert set(checkout.authors()) == {DAVE, BOB, nobody}
    (checkout.folder / ".mailmap").write_text(f"{ALICE} <7+ali@users.noreply.github.com>\n")
    assert set(checkout.authors()) == {DAVE, BOB, ALICE}


def test_whoever_commits_with_another_author_counts(checkout: Checkout) -> None:
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.git("commit", "--quiet", "--all", "--message", "a change", f"--author={ALICE}", who=BOB)
    assert set(checkout.authors()) == {DAVE, ALICE, BOB}


def test_a_history_of_this_place_alone_is_not_believed(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit(ALICE)
    checkout.append(f"{SECOND}/002_second.sql")
    checkout.commit(BOB)
    (checkout.folder / ".git" / "info" / "grafts").write_text(checkout.git("rev-parse", "HEAD"))
    assert checkout.git("log", "--format=%aN").split() == ["Bob"], "what Git says"
    assert "other parents than others have" in refusal(checkout, capsys, code=3)


def test_a_merged_subtree_keeps_its_authors(checkout: Checkout, tmp_path: Path) -> None:
    """Whoever merged it has only put it elsewhere."""
    other = Checkout(tmp_path / "other")
    catalogue_files.write(other.folder, {"003_third": "CREATE TABLE c (id int);\n"})
    other.git("init", "--quiet", "--initial-branch", "main")
    other.commit(ALICE)
    checkout.git("fetch", "--quiet", str(other.folder), "main")
    checkout.git("merge", "--quiet", "--no-commit", "-s", "ours", "--allow-unrelated-histories", "FETCH_HEAD")
    checkout.git("read-tree", "--prefix=db/migrations/2025/", "-u", "FETCH_HEAD:2025")
    checkout.git("commit", "--quiet", "--message", "a subtree", who=BOB)
    assert set(checkout.authors("2025/003_third")) == {ALICE, BOB}


def test_names_of_files_and_people_pass_for_nothing_else(checkout: Checkout) -> None:
    strange = checkout.folder / 'R100 "\x01 ö\n'
    strange.write_text("x")
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit("R100 Æl\x02ice <alice@wakala.com>")
    assert set(checkout.authors()) == {DAVE, "R100 Æl\x02ice <alice@wakala.com>"}


@pytest.mark.parametrize("hidden", [False, True])
def test_a_change_that_is_not_committed(checkout: Checkout, capsys: pytest.CaptureFixture[str], hidden: bool) -> None:
    if hidden:
        checkout.git("update-index", "--assume-unchanged", f"db/migrations/{FIRST}/001_first.sql")
    checkout.append(f"{FIRST}/001_first.sql")
    said = refusal(checkout, capsys)
    assert f"{FIRST}/001_first.sql" in said
    assert "002_second" not in said
    assert "commit them" in said


@pytest.mark.parametrize(
    "attribute, old, new",
    [
        ("ident", "'$Id$'", "'$Id: '; DROP TABLE a; COMMENT ON TABLE b IS '$'"),
        ("text eol=crlf", "one\n", "one\r\n"),
        ("filter=undo", "one", "two"),
        ("working-tree-encoding=latin1", "\u00e9", "\u00e9"),
    ],
)
@pytest.mark.parametrize("place", [".gitattributes", ".git/info/attributes"])
def test_another_text_that_git_takes_for_the_committed_one(
    checkout: Checkout, capsys: pytest.CaptureFixture[str], place: str, attribute: str, old: str, new: str
) -> None:
    path = checkout.migrations / FIRST / "001_first.sql"
    text = "CREATE TABLE b (id int);\nCOMMENT ON TABLE b IS '$Id$';\n-- one\n-- \u00e9\n"
    path.write_bytes(text.encode())
    checkout.commit(DAVE)
    checkout.git("config", "filter.undo.clean", "sed s/two/one/")
    (checkout.folder / place).parent.mkdir(exist_ok=True)
    (checkout.folder / place).write_text(f"*.sql {attribute}\n")
    path.write_bytes(text.replace(old, new).encode("latin1" if "latin1" in attribute else "utf-8"))
    committed = f"HEAD:db/migrations/{FIRST}/001_first.sql"
    assert checkout.git("hash-object", str(path)) == checkout.git("rev-parse", committed), "what Git says"
    assert f"{FIRST}/001_first.sql" in refusal(checkout, capsys)


@pytest.mark.parametrize("how", ["untracked", "ignored", "staged"])
def test_a_file_that_is_not_committed(checkout: Checkout, capsys: pytest.CaptureFixture[str], how: str) -> None:
    catalogue_files.write(checkout.migrations, {"003_third": "CREATE TABLE c (id int);\n"})
    if how == "ignored":
        (checkout.folder / ".git" / "info" / "exclude").write_text("003_third/\n")
    if how == "staged":
        checkout.git("add", "--all")
    assert "2025/003_third/003_third.sql" in refusal(checkout, capsys)


def test_a_shallow_clone(checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.append(f"{FIRST}/001_first.sql")
    checkout.commit(ALICE)
    shallow = tmp_path / "shallow"
    checkout.git("clone", "--quiet", "--depth", "1", checkout.folder.as_uri(), str(shallow))
    said = refusal(Checkout(shallow), capsys, code=3)
    assert "shallow" in said
    assert "git fetch --unshallow" in said


def test_no_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Checkout(tmp_path / "plain")
    catalogue_files.write(made.migrations, {"001_first": "SELECT 1;\n"})
    said = refusal(made, capsys, code=3)
    assert "not a git repository" in said
    assert "before the image is built" in said


def test_no_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Checkout(tmp_path / "empty")
    catalogue_files.write(made.migrations, {"001_first": "SELECT 1;\n"})
    made.git("init", "--quiet")
    assert "git cannot say who wrote" in refusal(made, capsys, code=3)


def test_no_git(checkout: Checkout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "git is not installed" in refusal(checkout, capsys, code=3)


def test_a_broken_catalogue_is_not_sealed(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout.migrations / FIRST / "migration-metadata.yaml").write_text("version: [\n")
    assert "migration-metadata.yaml" in refusal(checkout, capsys)


# What the analysis makes of it.


def sealed_migration(checkout: Checkout) -> tuple[seal.Seal, Migration]:
    checkout.sealed()
    found = seal.read(checkout.migrations)
    assert found is not None
    return found, load_catalogue(checkout.migrations).require("001_first")


def who(found: seal.Seal, migration: Migration) -> tuple[str, ...]:
    return seal.authors(found, migration, content.checksums(content.read_files(migration)))


def test_what_is_as_it_was_sealed_has_its_authors(checkout: Checkout) -> None:
    assert who(*sealed_migration(checkout)) == (DAVE,)


def test_an_edit_since_names_the_file_and_what_to_do(checkout: Checkout) -> None:
    found, migration = sealed_migration(checkout)
    checkout.append(f"{FIRST}/001_first.sql", "-- only a comment\n")
    with pytest.raises(AuthorsUnknown, match=r"'001_first.sql' was changed.*migrator seal") as caught:
        who(found, migration)
    assert "metadata" not in str(caught.value)


def test_a_file_that_was_added_or_is_gone(checkout: Checkout) -> None:
    found, migration = sealed_migration(checkout)
    files = found.migrations[FIRST].files
    (first, *_), *_ = (sorted(files),)
    fewer = replace(found, migrations={FIRST: seal.Sealed({k: v for k, v in files.items() if k != first}, (DAVE,))})
    with pytest.raises(AuthorsUnknown, match=f"'{first}' was added"):
        who(fewer, migration)
    more = replace(found, migrations={FIRST: seal.Sealed({**files, "other.sql": "sha256:0"}, (DAVE,))})
    with pytest.raises(AuthorsUnknown, match=r"'other.sql' is gone"):
        who(more, migration)


def test_a_migration_that_was_not_sealed(checkout: Checkout) -> None:
    found, migration = sealed_migration(checkout)
    with pytest.raises(AuthorsUnknown, match=r"'2025/001_first' is not in the seal.*commit it"):
        who(replace(found, migrations={}), migration)


def test_without_a_seal_there_is_none(checkout: Checkout) -> None:
    assert seal.read(checkout.migrations) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"commit": "x", "migrations": {"a": 1}}', "\xff"])
def test_what_is_no_seal_is_refused(checkout: Checkout, text: str) -> None:
    (checkout.migrations / "seal.json").write_text(text, encoding="latin-1")
    with pytest.raises(InvalidInput, match="is no seal"):
        seal.read(checkout.migrations)


def test_another_format_is_refused(checkout: Checkout) -> None:
    found, _ = sealed_migration(checkout)
    (checkout.migrations / "seal.json").write_text(seal.to_text(replace(found, format=2)))
    with pytest.raises(InvalidInput, match="no seal that this engine can read"):
        seal.read(checkout.migrations)
