"""Where a run keeps what a server said that may hold rows: in a folder beside its documents, a file a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_migrator.storage.evidence_store import EvidenceStore, as_uri
from migrator.database.withheld import LocalFile

if TYPE_CHECKING:
    from migrator.database.withheld import Place

LOCAL = "file://"
FOLDER = "withheld"
"""Mode 0700: the documents beside it are for the API server, too, and these are not."""


def place_of(store: EvidenceStore, stage: str) -> Place:
    uri = as_uri(f"{store.folder}/{FOLDER}/{stage}.txt")
    return LocalFile(Path(uri.removeprefix(LOCAL))) if uri.startswith(LOCAL) else ObjectFile(uri)


class ObjectFile:
    """An object is written as a whole, so what it has is read first; a stage writes one at a time."""

    def __init__(self, uri: str) -> None:
        self.name = uri
        self.readers = f"whoever may read objects of {urlsplit(uri).netloc or uri}"

    def append(self, text: str) -> None:
        from airflow.sdk import ObjectStoragePath

        path = ObjectStoragePath(self.name)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(before + text, encoding="utf-8", errors="backslashreplace")
