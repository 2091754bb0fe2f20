"""The file of what only some may read: its mode, its one announcement, and that it never stops the work."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Thread

from migrator.database import withheld
from migrator.database.withheld import Keeper, LocalFile, file_of_command, keep, kept_by


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_reads_it_and_it_is_named_once(tmp_path: Path) -> None:
    path, said = tmp_path / "run" / "withheld" / "apply.txt", []
    with kept_by(Keeper(lambda: LocalFile(path), said.append)):
        assert not path.parent.exists(), "nothing to keep, no folder"
        keep("one\x00\ud800")
        keep("two")
    keep("nobody keeps this")
    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)
    assert [line.partition(" ")[2] for line in path.read_text().splitlines() if line] == ["one\x00\\ud800", "two"]
    assert said == [f"the server's own words: {path}, readable by its owner alone"]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "given.txt"
    path.touch(mode=0o644)
    LocalFile(path).append("a row")
    assert mode_of(path) == 0o600


def test_a_link_is_not_followed_and_stops_nothing(tmp_path: Path) -> None:
    elsewhere, said = tmp_path / "elsewhere", []
    link = tmp_path / "apply.txt"
    link.symlink_to(elsewhere)
    keeper = Keeper(lambda: LocalFile(link), said.append)
    keeper.keep("canary")
    keeper.keep("canary")
    assert not elsewhere.exists()
    assert said == ["the server's own words could not be kept (OSError)"]


def test_what_a_command_kept_goes_after_a_month(tmp_path: Path) -> None:
    old, young, other = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.yaml"
    for path in (old, young, other):
        path.touch()
    long_ago = young.stat().st_mtime - (withheld.KEPT_DAYS + 1) * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    place = file_of_command("analyze", folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "c.yaml"]
    assert Path(place.name).parent == tmp_path
    assert "analyze" in place.name


def test_a_thread_keeps_where_the_one_that_started_it_does(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    with kept_by(Keeper(lambda: LocalFile(path), str)):
        threads = [Thread(target=withheld.keeping(keep), args=("ours",)), Thread(target=keep, args=("nobody's",))]
    for thread in (*threads, Thread(target=withheld.keeping(keep), args=("nobody's either",))):
        thread.start()
        thread.join()
    assert path.read_text().endswith(" ours\n\n")


def test_an_inner_keeper_gives_way_to_the_outer_one(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer.txt", tmp_path / "inner.txt"
    with kept_by(Keeper(lambda: LocalFile(outer), str)):
        with kept_by(Keeper(lambda: LocalFile(inner), str)):
            keep("in")
        keep("out")
    assert "in" in inner.read_text()
    assert "out" in outer.read_text()
