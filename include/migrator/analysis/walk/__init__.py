"""One file, statement after statement: transaction, held locks, bodies, earlier migrations."""
