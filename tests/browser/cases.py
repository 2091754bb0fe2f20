"""The migrations that the browser looks at, each with a target of its own, and the broken one beside them."""

from __future__ import annotations

from pathlib import Path

import yaml

from sandbox.workspace import repository
from tests.acceptance.specs import GATE, NOT_SABOTAGED, PATIENT, REVIEWED, Files, Spec

BROKEN = "777_typing_mistake"


def analytics() -> Files:
    """The shipped 001_add_analytics_tables, with its own words."""
    folder = repository() / "migrations" / "2025" / "001_add_analytics_tables"
    metadata = yaml.safe_load((folder / "migration-metadata.yaml").read_text())
    del metadata["version"], metadata["dependencies"]
    return Files(
        sql=(folder / "001_add_analytics_tables.sql").read_text(),
        rollback=(folder / "001_add_analytics_tables_rollback.sql").read_text(),
        metadata=metadata,
        changes=yaml.safe_load((folder / "schema_changes.yaml").read_text()),
    )


RISKY = Files(
    sql="ALTER TABLE messages ALTER COLUMN body TYPE varchar(4000);\nCREATE INDEX idx_body ON messages (body);\n",
    rollback="DROP INDEX idx_body;\nALTER TABLE messages ALTER COLUMN body TYPE text;\n",
    metadata={
        "description": "Bound the messages' length",
        "allow": [{"rule": "create-index", "reason": "messages is small here", "until": "2099-12-31"}],
    },
)

FILLING = Files(
    sql="CREATE TABLE numbers (id int, done boolean, filler text);\n"
    "INSERT INTO numbers (id, filler) SELECT g, repeat('x', 200) FROM generate_series(1, 20000) AS g;\n",
    rollback="DROP TABLE numbers;\n",
    metadata={
        **PATIENT,
        "steps": [
            {"name": "make", "kind": "sql"},
            {"name": "gate", "kind": "sql", "file": "gate.sql"},
            {"name": "fill", "kind": "backfill", "file": "fill.sql"},
        ],
    },
    more={"gate.sql": GATE, "fill.sql": "UPDATE numbers SET done = true WHERE done IS NULL;\n"},
)

ASKING = Files(
    sql="CREATE TABLE signals (note text);\n",
    rollback="DROP TABLE signals;\n",
    metadata={
        "steps": [
            {"name": "expand", "kind": "sql"},
            {"name": "deployed", "kind": "gate", "question": "Is **every** pod <b>new</b>?", "expires": "2 days"},
            {"name": "contract", "kind": "sql", "file": "contract.sql"},
        ],
    },
    more={"contract.sql": "INSERT INTO signals VALUES ('after the gate');\n"},
)

SPECS = {
    "rehearsed": Spec(migrations={"": analytics()}),
    "reviewed": Spec(migrations={"": RISKY}, target=REVIEWED),
    "overtaken": Spec(target=REVIEWED),
    "asking": Spec(migrations={"": ASKING}),
    "filled": Spec(migrations={"": FILLING}),
    "undone": Spec(migrations={"": Files(metadata=NOT_SABOTAGED)}),
}


def write_broken(migrations: Path) -> None:
    """A migration with a typing mistake in a key, written before Airflow starts."""
    folder = migrations / "2025" / BROKEN
    folder.mkdir(parents=True)
    (folder / "migration-metadata.yaml").write_text(
        f'version: "{BROKEN}"\ndescription: Has a typing mistake\nauthor: dave@wakala.com\nrisk_levl: low\n'
    )
    (folder / f"{BROKEN}.sql").write_text("SELECT 1;\n")
