"""What was read from metadata files, kept on disk, so that an unchanged file is not parsed again by a fresh process.

Airflow's DAG processor starts a new process for every parse. One entry is one small JSON file, named after the path and
replaced atomically; it counts only while path, size, times and inode of the metadata file and the engine's
version are the same, and while its own checksum is right. So writers need no lock and a damaged entry is only a miss.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from migrator import __version__, documents
from migrator.catalogue.metadata import Metadata
from migrator.errors import InvalidInput
from migrator.problems import Problem

FORMAT = 2
"""Raise it when Metadata changes its shape without the engine's version changing."""
SETTLED_NS = 2_000_000_000
"""A file changed in the last two seconds is not cached: it could change again within one tick of the file system's
clock and keep its size."""


class MetadataReader:
    """Reads metadata files through the cache in `directory`, or without one."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def read(self, entry: os.DirEntry[str]) -> tuple[Metadata | None, tuple[Problem, ...]]:
        """The metadata of one file, or what is wrong with it. Problems are cached like results."""
        if self._directory is None:
            return _parse(Path(entry.path))
        try:
            signature = _signature(entry)
        except OSError as exc:
            return None, (Problem(entry.path, f"cannot be read: {exc.strerror or exc}"),)
        place = self._directory / (hashlib.blake2b(signature[0].encode(), digest_size=16).hexdigest() + ".json")
        known = _load(place, signature)
        if known is not None:
            return known
        metadata, problems = _parse(Path(entry.path))
        if abs(time.time_ns() - max(signature[2:4])) > SETTLED_NS:
            _store(place, signature, metadata, problems)
        return metadata, problems


def _parse(path: Path) -> tuple[Metadata | None, tuple[Problem, ...]]:
    from migrator.catalogue.metadata_model import load_metadata

    try:
        return load_metadata(path), ()
    except InvalidInput as error:
        return None, error.fields["problems"]


def _signature(entry: os.DirEntry[str]) -> tuple[Any, ...]:
    facts = os.stat(entry.path)  # not entry.stat(): for a link, the file that is read is what counts
    path = os.path.abspath(entry.path)
    return (path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev, entry.path,
            __version__, FORMAT)  # fmt: skip


def _load(place: Path, signature: tuple[Any, ...]) -> tuple[Metadata | None, tuple[Problem, ...]] | None:
    try:
        checksum, _, body = place.read_bytes().partition(b"\n")
        if checksum != _checksum(body):
            return None
        entry = json.loads(body)
        if tuple(entry["signature"]) != signature:
            return None
        if entry["metadata"] is None:
            return None, tuple(documents.from_dict(Problem, one) for one in entry["problems"])
        return documents.from_dict(Metadata, entry["metadata"]), ()
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(place: Path, signature: tuple[Any, ...], metadata: Metadata | None, problems: tuple[Problem, ...]) -> None:
    entry = {"signature": list(signature), "metadata": metadata, "problems": list(problems)}
    body = json.dumps(documents.to_dict(entry), ensure_ascii=False, separators=(",", ":")).encode()
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(body) + b"\n" + body)
            os.replace(name, place)
        except BaseException:
            os.unlink(name)
            raise
    except OSError:
        return  # a cache that cannot be written is no reason to stop: the next process parses again


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()
