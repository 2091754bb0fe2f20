"""`python -m migrator` is the `migrator` command, for where the console script is not installed."""

from __future__ import annotations

import sys

from migrator.cli import main

if __name__ == "__main__":
    sys.exit(main())
