"""How the parameters of step kinds write the names of what they change: as SQL does."""

import re

NAME_PATTERN = r'([a-z_][a-z0-9_$]*|"[^"\x00]+")'
RELATION_PATTERN = rf"{NAME_PATTERN}(\.{NAME_PATTERN})?"
COLUMN_LIST = rf"{NAME_PATTERN}(, *{NAME_PATTERN})*"
TABLE_WANTED = 'is not the name of a table: write it as SQL does, such as public.messages or "Odd Names"'
INDEX_WANTED = 'is not the name of an index: write it as SQL does, such as public.messages_idx or "Odd Names"'


def has_schema(name: str) -> bool:
    """Of a name that matches RELATION_PATTERN."""
    return re.fullmatch(NAME_PATTERN, name) is None
