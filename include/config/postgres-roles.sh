#!/bin/sh
# Run once by the PostgreSQL image when it makes its data directory: the role that migrations use, and its databases.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set role="$ROLE" --set password="$ROLE_PASSWORD" <<'SQL'
CREATE ROLE :"role" LOGIN CREATEDB NOSUPERUSER PASSWORD :'password';
GRANT pg_monitor, pg_signal_backend TO :"role";
SQL
for name in $DATABASES; do
    createdb --username "$POSTGRES_USER" --owner "$ROLE" "$name"
done
