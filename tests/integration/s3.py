"""An S3 that is a process of its own, and how Airflow reaches it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx

from sandbox.ports import free_port

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


class FakeS3:
    """moto's server: it speaks the protocol and keeps the objects in memory."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
            )
        self._wait(log)

    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url, **CREDENTIALS)

    def objects(self, bucket: str) -> dict[str, int]:
        """Sizes by key."""
        found = self.client().list_objects_v2(Bucket=bucket).get("Contents", ())
        return {one["Key"]: one["Size"] for one in found}

    def connection(self) -> str:
        """The Airflow connection, as AIRFLOW_CONN_* holds it."""
        return json.dumps(
            {
                "conn_type": "aws",
                "login": CREDENTIALS["aws_access_key_id"],
                "password": CREDENTIALS["aws_secret_access_key"],
                "extra": {"endpoint_url": self.url, "region_name": CREDENTIALS["region_name"]},
            }
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"moto's server ended: {log.read_text()[-2000:]}")
            try:
                httpx.get(self.url, timeout=5)
                return
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError("moto's server does not answer")


@contextmanager
def fake_s3(log: Path) -> Iterator[FakeS3]:
    server = FakeS3(log)
    try:
        yield server
    finally:
        server.stop()
