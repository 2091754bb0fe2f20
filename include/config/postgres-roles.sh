#!/bin/sh
# Run once by the PostgreSQL image when it makes its data directory: the role of the migrations, and what it needs.
#   PURPOSE=target: it owns the databases named in DATABASES, sees all sessions and may end them.
#   PURPOSE=copies: it makes databases, and a role for each restored copy. Nobody else may connect to what is here.
set -eu
case "$PURPOSE" in
    target) may="NOCREATEDB NOCREATEROLE" ;;
    copies) may="CREATEDB CREATEROLE" ;;
    *) echo "PURPOSE is target or copies, not '$PURPOSE'" >&2; exit 1 ;;
esac
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set role="$ROLE" --set password="$ROLE_PASSWORD" \
    --set may="$may" <<'SQL'
CREATE ROLE :"role" LOGIN NOSUPERUSER :may PASSWORD :'password';
SQL
if [ "$PURPOSE" = target ]; then
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set role="$ROLE" <<'SQL'
GRANT pg_monitor, pg_signal_backend TO :"role";
SQL
    for name in $DATABASES; do
        createdb --username "$POSTGRES_USER" --owner "$ROLE" "$name"
    done
else
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set role="$ROLE" <<'SQL'
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres, template1 TO :"role";
SQL
fi
