"""What is the same for all files of one run of `migrator analyze`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.analysis.effects import Assumed
from migrator.frozen import frozen
from migrator.reports.forms import Form
from migrator.reports.text import Look

if TYPE_CHECKING:
    pass


@frozen
class Settings:
    """What is the same for all files. Every process gets it once."""

    form: Form
    look: Look
    assumed: Assumed
    today: date
    catalogue: Path = Path("migrations")
    """Where a file of a migration has those that come before it."""
