"""What all rings share: markers by folder, an Airflow home of our own, and the choice of the PostgreSQL major."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import zlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
RINGS = {"unit": "unit", "integration": "integration", "effects": "integration"}
RINGS |= {"acceptance": "acceptance", "browser": "browser", "torture": "torture"}
LARGE = 3
"""A test with as many cases is one of which `--sample` takes some, unless it is marked `whole`."""

# A database a test: on a file system in memory each is made in a quarter of the time. xdist's workers inherit it.
_IN_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 8 * 2**30
_SCRATCH: str | None = None
if "TMPDIR" not in os.environ and _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ROOM_BYTES:
    _SCRATCH = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="migrator-tests-", dir=_IN_MEMORY)
    Path(_SCRATCH).chmod(0o711)  # servers run as another account than root
    tempfile.tempdir = None

# Before anything imports Airflow: a person's own Airflow home must not be read, let alone written.
_AIRFLOW_HOME = tempfile.mkdtemp(prefix="migrator-airflow-")
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_AIRFLOW_HOME}/airflow.db"
# Whoever runs the tests in the background has them ignore these, and so would every process that they start to signal.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _usual)
for _name in [name for name in os.environ if name.startswith(("PG", "MIGRATOR_"))]:
    del os.environ[_name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres-major",
        type=int,
        default=None,
        choices=(14, 15, 16, 17, 18),
        help="PostgreSQL major to test with (default: the newest one here; missing ones are downloaded)",
    )
    parser.addoption(
        "--every-major",
        action="store_true",
        help="prove effects and what differs between majors on PostgreSQL 14 to 18, not on one or two of them",
    )
    parser.addoption(
        "--sample",
        type=int,
        default=1,
        metavar="N",
        help="of the cases of effects, and of each larger matrix on a server, take one in N, the same ones each time",
    )
    torture = parser.getgroup("torture", "of tests/torture")
    torture.addoption("--kind", default=None, help="torture this kind only, with as many seeds")
    torture.addoption("--seeds", type=int, default=3, metavar="N", help="how many seeds of backfill")
    torture.addoption("--others", type=int, default=1, metavar="N", help="how many of each other kind")
    torture.addoption("--from-seed", type=int, default=1, metavar="SEED", help="the first one")
    torture.addoption(
        "--keep", action="store_true", help="write results down, and leave out seeds that have passed before"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test's ring is the folder that it lies in. With `--sample` only some cases of the larger matrices run."""
    matrices: dict[str, list[pytest.Item]] = {}
    for item in items:
        ring = item.path.relative_to(REPOSITORY / "tests").parts[0]
        if ring in RINGS:
            item.add_marker(RINGS[ring])
        if ring == "integration" and hasattr(item, "callspec") and not item.get_closest_marker("whole"):
            matrices.setdefault(item.nodeid.partition("[")[0], []).append(item)
    sample = config.getoption("--sample")
    left_out = {item.nodeid for item in items if sample > 1 and item.get_closest_marker("thorough")}
    for cases in matrices.values():
        chosen = {item.nodeid for item in cases if zlib.crc32(item.nodeid.encode()) % sample == 0}
        if len(cases) >= LARGE:
            left_out |= {item.nodeid for item in cases} - (chosen or {cases[0].nodeid})
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def pytest_unconfigure() -> None:
    for folder in (_AIRFLOW_HOME, _SCRATCH):
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return REPOSITORY
