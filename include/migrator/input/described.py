"""Fields that say what they are for: from them the model that reads YAML, its JSON Schema and the reference are made.

The dataclass stands where its values are used; it loads neither pydantic nor YAML. `models.py` reads the description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, field
from typing import Any

DESCRIPTION, PATTERN, WANTED = "description", "pattern", "wanted"


def described(
    description: str, *, default: Any = MISSING, pattern: str | None = None, wanted: str = "is not valid"
) -> Any:
    """A dataclass field with its description.

    :param pattern: of a text, or of each text of a tuple. :param wanted: what is said of one that does not match it.
    """
    metadata: Mapping[str, Any] = {DESCRIPTION: description, PATTERN: pattern, WANTED: wanted}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def refused(text: str, pattern: str, wanted: str) -> str | None:
    """What is wrong with `text`, or None."""
    return None if re.fullmatch(pattern, text) else f"{text!r} {wanted}"
