"""Parameters that several step kinds have: the SQL file that they run, the name of what they work on."""

FILE = "SQL file in the migration's folder. Default: `<version>.sql`."
FILE_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.sql"
FILE_WANTED = "is not the name of an SQL file in the migration's own folder"

_NAME = r'([a-z_][a-z0-9_$]*|"[^"\x00]+")'
NAME_PATTERN = rf"{_NAME}(\.{_NAME})?"
INDEX_WANTED = 'is not the name of an index: write it as SQL does, such as public.messages_idx or "Odd Names"'
TABLE_WANTED = 'is not the name of a table: write it as SQL does, such as public.messages or "Odd Names"'
