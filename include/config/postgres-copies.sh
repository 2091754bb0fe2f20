#!/bin/sh
# Run once by the PostgreSQL image when it makes the data directory of the server for restored copies: the role that makes
# copies there, and a role for each of them. A copy's role, as which SQL that nobody has reviewed yet is tried, must reach
# nothing but its copy, so no database is open to everybody. For a server that is there already: docs/deployment.md.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set role="$ROLE" --set password="$ROLE_PASSWORD" <<'SQL'
CREATE ROLE :"role" LOGIN CREATEDB CREATEROLE BYPASSRLS NOSUPERUSER PASSWORD :'password';
GRANT pg_monitor TO :"role";
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO :"role";
SQL
