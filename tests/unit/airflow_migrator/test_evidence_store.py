"""Documents between tasks: what was written is what is read, or nobody goes on."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_migrator.storage.evidence_store import EvidenceStore
from migrator import documents
from migrator.errors import NeedsHuman


@dataclass(frozen=True)
class Paper:
    text: str
    numbers: tuple[int, ...] = ()


def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(str(tmp_path), "production", "001_one", "manual__2026-01-01T00:00:00+00:00")


def test_comes_back_equal(tmp_path: Path) -> None:
    reference = store(tmp_path).put("analyze", Paper("ä", (1, 2)), risk="low")
    assert reference["risk"] == "low"
    assert EvidenceStore.get(reference, Paper, stage="analyze") == Paper("ä", (1, 2))


def test_lies_where_people_look_for_it(tmp_path: Path) -> None:
    store(tmp_path).put("dry_run", Paper("x"))
    expected = tmp_path / "production" / "001_one" / "manual__2026-01-01T00:00:00+00:00" / "dry_run.json"
    assert expected.read_text() == '{"numbers":[],"text":"x"}\n'


def test_a_run_id_cannot_leave_the_folder(tmp_path: Path) -> None:
    EvidenceStore(str(tmp_path / "in"), "t", "v", "../../../out").put("analyze", Paper("x"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_changed_document_is_noticed(tmp_path: Path) -> None:
    reference = store(tmp_path).put("analyze", Paper("reviewed"))
    path = next(tmp_path.rglob("analyze.json"))
    path.write_text(path.read_text().replace("reviewed", "other"))
    with pytest.raises(NeedsHuman, match="not the document that stage 'analyze' wrote"):
        EvidenceStore.get(reference, Paper, stage="analyze")


def test_another_layout_of_the_same_document_is_the_same(tmp_path: Path) -> None:
    reference = store(tmp_path).put("analyze", Paper("x"))
    next(tmp_path.rglob("analyze.json")).write_text('{ "text": "x",\n "numbers": [] }')
    assert EvidenceStore.get(reference, Paper, stage="analyze") == Paper("x")


def test_a_missing_document_says_what_to_clear(tmp_path: Path) -> None:
    reference = store(tmp_path).put("snapshot", Paper("x"))
    next(tmp_path.rglob("snapshot.json")).unlink()
    with pytest.raises(NeedsHuman, match="is gone; clear 'snapshot' with downstream"):
        EvidenceStore.get(reference, Paper, stage="snapshot")
    with pytest.raises(NeedsHuman, match="left no document"):
        EvidenceStore.get(None, Paper, stage="snapshot")


def test_a_reference_to_another_runs_document_is_refused(tmp_path: Path) -> None:
    """Digest and all may be right: it is what somebody else's run has proved."""
    other = EvidenceStore(str(tmp_path), "production", "001_one", "manual__other").put("dry_run", Paper("x"))
    mine = store(tmp_path).put("dry_run", Paper("x"))
    assert store(tmp_path).own(mine, Paper, stage="dry_run") == Paper("x")
    for wrong in (other, {**mine, "uri": mine["uri"].replace("dry_run", "restore_test")}):
        with pytest.raises(NeedsHuman, match="somebody has changed the XCom"):
            store(tmp_path).own(wrong, Paper, stage="dry_run")
    with pytest.raises(NeedsHuman, match="left no document"):
        store(tmp_path).own(None, Paper, stage="dry_run")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b'"x"', b'{"numbers": 1}', b"NaN", b"[" * 100_000])
def test_what_is_no_document_is_for_a_person(tmp_path: Path, content: bytes) -> None:
    reference = store(tmp_path).put("snapshot", Paper("x"))
    path = next(tmp_path.rglob("snapshot.json"))
    path.write_bytes(content)
    with pytest.raises(NeedsHuman, match="clear 'snapshot' with downstream"):
        EvidenceStore.get(reference, Paper, stage="snapshot")
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        reference = {**reference, "digest": documents.digest(json.loads(content))}
    with pytest.raises(NeedsHuman, match="clear 'snapshot' with downstream"):
        EvidenceStore.get(reference, Paper, stage="snapshot")


@pytest.mark.parametrize("edited", ["x", {"digest": "sha256:0"}, {"uri": 5, "digest": "x"}, ["x"], {"uri": "/x"}])
def test_an_edited_reference_is_for_a_person(tmp_path: Path, edited: Any) -> None:
    for read in (EvidenceStore.get, store(tmp_path).own):
        with pytest.raises(NeedsHuman, match="somebody has changed"):
            read(edited, Paper, stage="snapshot")


@pytest.mark.parametrize("seal", ["ä", "\udc80", None, 5])
def test_a_seal_of_any_text_is_compared(tmp_path: Path, seal: Any) -> None:
    worker = replace(store(tmp_path), key=b"secret")
    good = worker.put("snapshot", Paper("x"))
    for key in ("seal", "digest"):
        with pytest.raises(NeedsHuman, match="somebody has changed it"):
            worker.own({**good, key: seal}, Paper, stage="snapshot")
    next(tmp_path.rglob("snapshot.seal")).write_text("ä")
    with pytest.raises(NeedsHuman, match="has been changed"):
        worker.found("snapshot", Paper)


def test_a_reference_is_sealed_with_what_only_workers_know(tmp_path: Path) -> None:
    """Whoever can write the storage and edit XCom exchanges both: here the document, and a reference that fits it."""
    place = (str(tmp_path), "production", "001_one", "manual__2026-01-01T00:00:00+00:00")
    worker, somebody = EvidenceStore(*place, key=b"secret"), EvidenceStore(*place, key=b"guessed")
    good = worker.put("dry_run", Paper("rehearsed"))
    assert worker.own(good, Paper, stage="dry_run") == Paper("rehearsed")
    for forged in (somebody.put("dry_run", Paper("made up")), EvidenceStore(*place).put("dry_run", Paper("made up"))):
        with pytest.raises(NeedsHuman, match="somebody has changed it"):
            worker.own(forged, Paper, stage="dry_run")
    elsewhere = worker.put("analyze", Paper("made up"))
    with pytest.raises(NeedsHuman):
        worker.own({**elsewhere, "uri": good["uri"]}, Paper, stage="dry_run")


def test_what_is_found_without_a_reference_is_sealed_too(tmp_path: Path) -> None:
    place = (str(tmp_path), "production", "001_one", "manual__2026-01-01T00:00:00+00:00")
    worker = EvidenceStore(*place, key=b"secret")
    worker.put("snapshot", Paper("taken"))
    assert worker.found("snapshot", Paper) == Paper("taken")
    EvidenceStore(*place).put("snapshot", Paper("made up"))
    with pytest.raises(NeedsHuman, match="has been changed"):
        worker.found("snapshot", Paper)
    with pytest.raises(NeedsHuman, match="is gone"):
        worker.found("restore_test", Paper)
