#!/bin/sh
# Run once by the PostgreSQL image when it makes the target's data directory: the role of the migrations, which owns the
# databases named in DATABASES, sees all sessions and may end them, and makes neither databases nor roles.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set role="$ROLE" --set password="$ROLE_PASSWORD" <<'SQL'
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
GRANT pg_monitor, pg_signal_backend TO :"role";
SQL
for name in $DATABASES; do
    createdb --username "$POSTGRES_USER" --owner "$ROLE" "$name"
done
