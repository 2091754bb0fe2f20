"""Names of helper objects."""

from __future__ import annotations

import re

from migrator.steps.names import HELPER_PREFIX, LONGEST, helper_name


def test_it_carries_the_migration_and_is_fit_for_everything() -> None:
    names = {
        helper_name(version, step, purpose)
        for version in ("001_small", "001-small", "2025_Grosse_Änderung" * 5, "2025_Grosse_Änderung" * 5 + "_2")
        for step in ("copy", "swap")
        for purpose in ("outbox", "capture")
    }
    assert len(names) == 4 * 2 * 2, "of each its own, also where they are cut, or differ in what is no letter"
    assert all(re.fullmatch(rf"{HELPER_PREFIX}[a-z0-9_]+", name) and len(name) <= LONGEST for name in names)
    assert helper_name("001_small", "copy", "outbox").startswith("migrator_001_small_outbox_")
    assert helper_name("001_small", "copy", "outbox") == helper_name("001_small", "copy", "outbox")
