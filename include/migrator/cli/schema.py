"""`migrator schema`: the JSON Schema of the files that people write, for editors, and of what analyze prints."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migrator.cli.output import Output

FILES = ("metadata", "targets", "changes", "analysis")
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        choices=FILES,
        default="metadata",
        help="of migration-metadata.yaml (metadata, the default), of targets.yaml (targets), of "
        "schema_changes.yaml (changes), or of what `migrator analyze --format json` prints (analysis)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    out.raw(json.dumps(json_schema(args.file), indent=2, ensure_ascii=False) + "\n")
    return 0


def json_schema(file: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one of FILES."""
    if file == "targets":
        from migrator.targets.targets_model import json_schema as targets_schema

        name, schema = "targets.yaml", targets_schema()
    elif file == "analysis":
        from migrator.reports.json_text import json_schema as analysis_schema

        name, schema = "migrator analyze --format json", analysis_schema()
    elif file == "changes":
        from migrator.catalogue.expected_changes_model import ExpectedChangesModel

        name, schema = "schema_changes.yaml", ExpectedChangesModel.model_json_schema()
    else:
        from migrator.catalogue.metadata_model import MetadataModel

        name, schema = "migration-metadata.yaml", MetadataModel.model_json_schema()
    return {"$schema": DRAFT, **schema, "title": name}
