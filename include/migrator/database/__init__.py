"""A session with a server: connect, lock, wait, name blockers; schema and content as values; the `.sql` loader."""
