"""The parameter of several step kinds: the SQL file that they run."""

FILE = "SQL file in the migration's folder. Default: `<version>.sql`."
FILE_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.sql"
FILE_WANTED = "is not the name of an SQL file in the migration's own folder"
