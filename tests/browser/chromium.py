"""The Chromium of this machine, and how to start it so that it neither asks nor fetches anything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> str | None:
    """The program's path: CHROMIUM, else the first of the usual names."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def missing() -> str:
    """Why there is none, for the person who reads that the tests were skipped."""
    if named := os.environ.get("CHROMIUM"):
        return f"CHROMIUM names {named}, and there is no such file"
    return f"no Chromium on PATH ({', '.join(NAMES)}); install one, or set CHROMIUM=/path/to/it"


def expected() -> bool:
    """Whether .ci/run was to install it: then a missing one is a failure, not a skip."""
    return os.environ.get("CI") == "true" and Path("/etc/debian_version").exists() and os.geteuid() == 0


def flags() -> list[str]:
    """Chromium's own sandbox cannot be had as root."""
    return [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
