"""docker-compose.yaml against the Compose specification's schema, and against what we promise of it.

There is no Docker daemon where these tests run, so the file is checked, not started. compose/compose_spec.json is the
schema of the Compose specification (Apache-2.0), as docker-compose 1.29.2 ships it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
WITH_DEFAULT = {"AIRFLOW_BASE_URL"}


def test_follows_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose" / "compose_spec.json").read_text())
    document = {key: value for key, value in COMPOSE.items() if key != "name"}  # younger than this schema
    jsonschema.validate(document, schema, cls=jsonschema.Draft7Validator)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_tells_its_health_and_is_not_root(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] not in ("root", "0", "0:0")
    assert service["cap_drop"] == ["ALL"]
    health = service["healthcheck"]
    assert "test" in health or service["restart"] == "no"


def test_what_depends_on_a_service_waits_for_its_health() -> None:
    for service in SERVICES.values():
        for condition in service.get("depends_on", {}).values():
            assert condition["condition"] in ("service_healthy", "service_completed_successfully")


def test_no_secret_has_a_default() -> None:
    for name, default in re.findall(r"(?<!\$)\$\{(\w+)(:[^}]*)?\}", TEXT):
        assert default.startswith(":?set") or name in WITH_DEFAULT, name
    for line in TEXT.splitlines():
        if re.search(r"(?i)(password|secret|key)\w*: ", line) and not line.strip().startswith("#"):
            assert "${" in line, line


def test_every_variable_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    example = (REPOSITORY / ".env.example").read_text()
    assert used == set(re.findall(r"(?m)^(\w+)=", example))
    filled = set(re.findall(r"(?m)^(\w+)=.+", example))
    assert filled == WITH_DEFAULT


def test_the_images_of_both_files_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    assert all(re.search(r":\d", image) for image in images)
    base = re.search(r"(?m)^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text())
    pinned = re.search(r"(?m)^apache-airflow==(\S+)", (REPOSITORY / "requirements.txt").read_text())
    assert base is not None
    assert pinned is not None
    assert f":{pinned[1]}-" in base[1]


def test_a_service_has_the_passwords_and_the_mounts_that_it_needs() -> None:
    """Whoever gets into the API server or the scheduler has not got production."""
    reaching = {name for name, service in SERVICES.items() if "AIRFLOW_CONN_" in json.dumps(service)}
    assert reaching == {"worker", "triggerer"}
    assert {name for name in reaching if "COPIES" in json.dumps(SERVICES[name]["environment"])} == {"worker"}
    mounted = {name: " ".join(map(str, service.get("volumes", ()))) for name, service in SERVICES.items()}
    assert {name for name, volumes in mounted.items() if "snapshots:" in volumes} == {"worker"}
    assert {name for name, volumes in mounted.items() if "evidence:" in volumes} == {"worker", "api-server"}
    assert "evidence:/opt/migrator/evidence:ro" in mounted["api-server"]
    assert {name for name, volumes in mounted.items() if "/migrations:" in volumes} == {
        "worker",
        "dag-processor",
        "airflow-init",
    }
    assert all(one.endswith(":ro") for volumes in mounted.values() for one in volumes.split() if one.startswith("./"))


def test_no_error_is_hidden_when_it_starts() -> None:
    script = SERVICES["airflow-init"]["command"]
    assert script[1] == "-ec"
    assert "|| true" not in script[2]


def test_images_are_named_by_full_versions() -> None:
    """make pin-images writes digests beside them where there is a Docker."""
    for service in SERVICES.values():
        if "build" not in service:
            assert re.fullmatch(r"\w+:\d+\.\d+(\.\d+)?(-alpine\d+\.\d+)?(@sha256:[0-9a-f]{64})?", service["image"])


def test_every_connection_of_the_targets_is_there() -> None:
    targets = yaml.safe_load((REPOSITORY / "include" / "config" / "targets.yaml").read_text())
    wanted = {target["connection"] for target in targets["targets"].values()}
    wanted.add(targets["defaults"]["copies_connection"])
    environment = SERVICES["worker"]["environment"]
    assert {f"AIRFLOW_CONN_{target['connection'].upper()}" for target in targets["targets"].values()} <= set(
        SERVICES["triggerer"]["environment"]
    ), "the custodian looks at every ledger from there"
    assert {f"AIRFLOW_CONN_{name.upper()}" for name in wanted} <= set(environment)
