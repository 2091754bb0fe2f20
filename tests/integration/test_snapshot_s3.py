"""Snapshots on S3, through Airflow's own filesystem and a server that speaks the protocol: kept as a whole or not at
all, restored from there, expired there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_migrator.storage.evidence_store import EvidenceStore
from airflow_migrator.storage.snapshot_storage import ObjectStorage, storage_at
from airflow_migrator.storage.withheld_words import place_of
from migrator.backups import manifest, retention
from migrator.database.session import Endpoint
from migrator.errors import EnvironmentFault, NeedsHuman, RestoreNotProven, TransientError
from migrator.evidence import SnapshotRecord, Verdict
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import restore_test, snapshot
from migrator.targets.targets import SnapshotPolicy, Target
from tests.factories import make_plan
from tests.integration.conftest import MakeDatabase
from tests.integration.s3 import FakeS3, fake_s3

BUCKET = "snapshots"
ROOT = f"s3://migrator_s3@{BUCKET}/wakala"
RUN = RunContext(run_id="manual__1", version="001_test", target="test", actor="tests")
SCRIPT = """
CREATE TABLE tenant (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO tenant SELECT n, md5(n::text) FROM generate_series(1, 3000) AS n;
"""
TARGET = Target(name="test", environment="production", connection="source", copies_connection="copies", storage=ROOT)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeS3]:
    with fake_s3(tmp_path_factory.mktemp("s3") / "moto.log") as server:
        yield server


@pytest.fixture
def s3(running: FakeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    """An empty bucket, reached by the connection `migrator_s3`; temporary files where the test sees them."""
    monkeypatch.setenv("AIRFLOW_CONN_MIGRATOR_S3", running.connection())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    forget_filesystems()
    client = running.client()
    client.create_bucket(Bucket=BUCKET)
    for key in running.objects(BUCKET):
        client.delete_object(Bucket=BUCKET, Key=key)
    return running


def forget_filesystems() -> None:
    """Airflow keeps one filesystem per connection, and s3fs the listings that it has seen."""
    from airflow.sdk.io import store

    store._STORE_CACHE.clear()


def test_what_is_withheld_lies_beside_the_documents(s3: FakeS3) -> None:
    """Who may read the bucket may read it: that is said."""
    place = place_of(EvidenceStore(ROOT, "test", "001_test", "manual__1"), "apply")
    place.append("one\n")
    place.append("two\ud800\n")
    key = "wakala/test/001_test/manual__1/withheld/apply.txt"
    assert s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"one\ntwo\\ud800\n"
    assert place.name.endswith(key)
    assert place.readers == "whoever may read objects of migrator_s3@snapshots"


def take(source: Endpoint, run: RunContext = RUN) -> SnapshotRecord:
    return snapshot.run(make_plan(), endpoint=source, target=TARGET, run=run, storage=storage_at(ROOT))


@pytest.fixture
def source(make_database: MakeDatabase) -> Endpoint:
    return make_database("source", script=SCRIPT)


def test_kept_and_restored(s3: FakeS3, source: Endpoint, copies: Endpoint, tmp_path: Path) -> None:
    record = take(source)
    assert record.location == f"{ROOT}/test/{record.id}"
    objects = s3.objects(BUCKET)
    assert f"wakala/test/{record.id}/{manifest.NAME}" in objects
    assert sum(size for key, size in objects.items() if not key.endswith(manifest.NAME)) == record.size_bytes
    assert storage_at(ROOT).keys("test") == (f"test/{record.id}",)
    assert (storage_at(ROOT).read(f"test/{record.id}", manifest.NAME) or b"").startswith(b"{")
    assert storage_at(ROOT).read(f"test/{record.id}", "nothing") is None
    assert left_behind(tmp_path) == []

    evidence = restore_test.run(record, copies=copies, target=TARGET, run=RUN, storage=storage_at(ROOT))
    assert evidence.verdict is Verdict.PASSED
    assert (evidence.tables_compared, evidence.rows_compared) == (1, 3000)
    assert left_behind(tmp_path) == []


def test_an_object_that_was_changed_or_lost_is_noticed(s3: FakeS3, source: Endpoint, copies: Endpoint) -> None:
    record = take(source)
    key = max(s3.objects(BUCKET), key=lambda name: s3.objects(BUCKET)[name])
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"something else")
    with pytest.raises(RestoreNotProven, match="damaged"):
        restore_test.run(record, copies=copies, target=TARGET, run=RUN, storage=storage_at(ROOT))
    s3.client().delete_object(Bucket=BUCKET, Key=key)
    forget_filesystems()
    with pytest.raises(RestoreNotProven, match="missing"):
        restore_test.run(record, copies=copies, target=TARGET, run=RUN, storage=storage_at(ROOT))


def test_expiry(s3: FakeS3, source: Endpoint) -> None:
    records = [take(source, replace(RUN, run_id=f"manual__{number}")) for number in range(3)]
    policy = replace(TARGET, snapshot=SnapshotPolicy(retention_days=1, keep=2))
    later = records[-1].finished_at + timedelta(days=2)
    gone = retention.expire(policy, now=later, storage=storage_at(ROOT))
    assert gone == (f"test/{records[0].id}",)
    assert {key.split("/")[2] for key in s3.objects(BUCKET)} == {record.id for record in records[1:]}
    assert retention.expire(policy, now=later, storage=storage_at(ROOT)) == ()


UPLOAD = """
import sys
from pathlib import Path
from airflow_migrator.storage.evidence_store import EvidenceStore
from airflow_migrator.storage.snapshot_storage import storage_at
storage_at(sys.argv[1]).keep(sys.argv[2], Path(sys.argv[3]))
"""


def test_an_upload_that_was_killed_is_no_snapshot(
    s3: FakeS3, source: Endpoint, tmp_path: Path, repository: Path
) -> None:
    """kill -9 of the process between two objects: nothing lists it, and the housekeeping takes it away."""
    folder = tmp_path / "made" / "20250101T020000Z-001_test-killed"
    folder.mkdir(parents=True)
    for number in range(200):
        (folder / f"{number:03}.dat").write_bytes(os.urandom(50_000))
    manifest.write(manifest.build(folder.name, folder), folder)
    environment = {**os.environ, "PYTHONPATH": str(repository / "plugins")}
    process = subprocess.Popen(
        [sys.executable, "-c", UPLOAD, ROOT, f"test/{folder.name}", str(folder)], env=environment
    )
    try:
        deadline = time.monotonic() + 120
        while not s3.objects(BUCKET) and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before anybody could kill it"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 0 < len(s3.objects(BUCKET)) <= 200

    assert storage_at(ROOT).keys("test") == ()
    record = take(source)
    assert storage_at(ROOT).keys("test") == (f"test/{record.id}",)
    assert retention.expire(TARGET, now=record.finished_at, storage=storage_at(ROOT)) == (f"test/{folder.name}",)
    assert {key.split("/")[2] for key in s3.objects(BUCKET)} == {record.id}


def test_storage_that_goes_away_is_worth_another_try(
    tmp_path: Path, source: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with fake_s3(tmp_path / "moto.log") as server:
        server.client().create_bucket(Bucket=BUCKET)
        monkeypatch.setenv("AIRFLOW_CONN_MIGRATOR_S3", server.connection())
        forget_filesystems()
        storage = StopsBeforeUpload(ROOT, server)
        with pytest.raises(TransientError, match="s3://"):
            snapshot.run(make_plan(), endpoint=source, target=TARGET, run=RUN, storage=storage)
    assert left_behind(tmp_path) == [], "production's data does not stay on the worker"


def test_a_bucket_that_is_not_there(s3: FakeS3, source: Endpoint, tmp_path: Path) -> None:
    storage = storage_at("s3://migrator_s3@nowhere/wakala")
    with pytest.raises(EnvironmentFault, match="nowhere"):
        snapshot.run(make_plan(), endpoint=source, target=TARGET, run=RUN, storage=storage)
    assert left_behind(tmp_path) == []


def test_documents_of_a_run(s3: FakeS3) -> None:
    """The plan and the evidence go the same way; one that was exchanged is noticed."""
    plan = make_plan()
    root = f"s3://migrator_s3@{BUCKET}/evidence"
    store = EvidenceStore(root, "test", plan.version, "manual__2026-01-01T00:00:00+00:00")
    reference = store.put("analyze", plan)
    assert EvidenceStore.get(reference, Plan, stage="analyze") == plan
    (key,) = s3.objects(BUCKET)
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    with pytest.raises(NeedsHuman, match="is not the document"):
        EvidenceStore.get(reference, Plan, stage="analyze")


class StopsBeforeUpload(ObjectStorage):
    """The server goes away when the dump is made."""

    def __init__(self, root: str, server: FakeS3) -> None:
        super().__init__(root)
        self._server = server

    def keep(self, key: str, folder: Path) -> None:
        self._server.stop()
        super().keep(key, folder)


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("migrator-")]
