"""Large documents of a run: JSON files on object storage, named by run and stage; XCom carries where and which digest.

An operator that reads a document compares its digest with the one in XCom, so a file that was exchanged between two
tasks is noticed. Whoever can write both the file and the XCom could exchange them together, so the reference is sealed
with what only the workers know: the password of the target's connection. With a connection that has none (a
certificate, a service file) there is no seal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from migrator import documents
from migrator.database import sealing
from migrator.errors import NeedsHuman
from migrator.plan import Plan, plan_name, run_folder

T = TypeVar("T")

SEAL = "seal"
"""Key of an XCom reference."""
AGAIN = "clear {!r} with downstream"


@dataclass(frozen=True)
class EvidenceStore:
    root: str
    """URI or absolute path: the target's `evidence`."""
    target: str
    version: str
    run_id: str
    key: bytes | None = None
    """What references are sealed with; None: they are not."""

    def put(self, stage: str, document: Any, **summary: Any) -> dict[str, Any]:
        """Write the document of a stage; gives what goes to XCom."""
        path = self._folder() / f"{stage}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(documents.canonical_json(document) + "\n", encoding="utf-8")
        digest = documents.digest(document)
        sealed = {SEAL: sealing.seal(self.key, *self._sealed(stage, digest))} if self.key else {}
        if sealed:
            path.with_suffix(f".{SEAL}").write_text(sealed[SEAL] + "\n", encoding="utf-8")
        return {"uri": str(path), "digest": digest, **sealed, **summary}

    def keep_plan(self, plan: Plan) -> None:
        """Under a name of its own, so that what this run has applied can be undone by it although the run was analysed
        anew meanwhile."""
        (self._folder() / plan_name(plan.digest)).write_text(documents.canonical_json(plan) + "\n", encoding="utf-8")

    def kept_plan(self, digest: str) -> Plan:
        """The plan that the ledger names.

        :raises NeedsHuman: it is gone, or another one.
        """
        name = plan_name(digest)
        plan, _ = self._read(name.removesuffix(".json"), Plan)
        if plan.digest != digest:
            raise NeedsHuman(f"{name!r} of run {self.run_id!r} is not the plan of that digest: somebody has changed it")
        return plan

    def own(self, reference: dict[str, Any] | None, cls: type[T], *, stage: str) -> T:
        """The same for a document of this very run: XCom can be edited by people, so it must lie where the stage has
        put it.

        :raises NeedsHuman: it lies elsewhere; see `get` for the rest.
        """
        place = str(self._folder() / f"{stage}.json")
        if reference and not isinstance(reference, dict):
            raise NeedsHuman(f"the XCom of {stage!r} is no reference: somebody has changed it; {AGAIN.format(stage)}")
        if reference and reference.get("uri") != place:
            raise NeedsHuman(
                f"{reference.get('uri')!r} is not where this run keeps what stage {stage!r} wrote ({place!r}): somebody"
                f" has changed the XCom; clear {stage!r} with downstream"
            )
        sealed, digest = (str((reference or {}).get(key)) for key in (SEAL, "digest"))
        if reference and self.key and not sealing.holds(sealed, self.key, *self._sealed(stage, digest)):
            raise NeedsHuman(
                f"the XCom of {stage!r} is not what that stage has left: somebody has changed it, or the password of"
                f" the target's connection is another one since; clear {stage!r} with downstream"
            )
        return self.get(reference, cls, stage=stage)

    def _sealed(self, stage: str, digest: str) -> tuple[str, ...]:
        return self.target, self.version, self.run_id, stage, digest

    @staticmethod
    def get(reference: dict[str, Any] | None, cls: type[T], *, stage: str) -> T:
        """Read back the document that the XCom `reference` names.

        :raises NeedsHuman: the stage left no reference, the document is gone, or it is another one than was written.
        """
        if not reference:
            raise NeedsHuman(f"stage {stage!r} left no document in this run; clear {stage!r} with downstream")
        from airflow.sdk import ObjectStoragePath

        uri, expected = (reference.get(key) if isinstance(reference, dict) else None for key in ("uri", "digest"))
        if not isinstance(uri, str) or not isinstance(expected, str):
            raise NeedsHuman(f"the XCom of {stage!r} is no reference: somebody has changed it; {AGAIN.format(stage)}")
        try:
            data = json.loads(ObjectStoragePath(uri).read_text(encoding="utf-8"))
            found = documents.digest(data)
        except FileNotFoundError:
            raise NeedsHuman(f"{uri!r} is gone; {AGAIN.format(stage)} to make it again") from None
        except (ValueError, TypeError, RecursionError) as exc:
            raise NeedsHuman(
                f"{uri!r} is not the document that stage {stage!r} wrote: it cannot be read ({type(exc).__name__});"
                f" find out who changed it, then {AGAIN.format(stage)}"
            ) from None
        if found != expected:
            raise NeedsHuman(
                f"{uri!r} is not the document that stage {stage!r} wrote: digest {found}, expected {expected}; find out"
                f" who changed it, then {AGAIN.format(stage)}"
            )
        try:
            return documents.from_dict(cls, data)
        except (ValueError, TypeError, AttributeError) as exc:
            raise NeedsHuman(f"{uri!r} is no document of this engine: {exc}; {AGAIN.format(stage)}") from None

    def found(self, stage: str, cls: type[T]) -> T:
        """The document of a stage where this run keeps it, without an XCom that says which one it must be, but with its
        seal.

        :raises NeedsHuman: it is gone, or is not what the stage wrote.
        """
        found, digest = self._read(stage, cls)
        if self.key:
            path = self._folder() / f"{stage}.{SEAL}"
            sealed = path.read_text(encoding="utf-8").strip() if path.exists() else ""
            if not sealing.holds(sealed, self.key, *self._sealed(stage, digest)):
                raise NeedsHuman(
                    f"what stage {stage!r} wrote has been changed, or the password of the target's connection is"
                    " another one since"
                )
        return found

    def _read(self, stage: str, cls: type[T]) -> tuple[T, str]:
        path = self._folder() / f"{stage}.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return documents.from_dict(cls, data), documents.digest(data)
        except FileNotFoundError:
            raise NeedsHuman(f"what stage {stage!r} wrote is gone: {str(path)!r}") from None
        except (ValueError, TypeError, KeyError) as exc:
            raise NeedsHuman(f"{str(path)!r} is not what stage {stage!r} wrote: {exc}") from None

    @property
    def folder(self) -> str:
        """URI of where this run's documents lie."""
        return str(self._folder())

    def _folder(self) -> Any:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(as_uri(self.root)) / run_folder(self.target, self.version, self.run_id)


def as_uri(root: str) -> str:
    return root if "://" in root else f"file://{root}"


def within(uri: str, root: str) -> bool:
    """Whether `uri` names something below `root`, by its text alone."""
    return uri.startswith(as_uri(root).rstrip("/") + "/") and ".." not in uri.split("/")
