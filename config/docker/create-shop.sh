#!/bin/sh
# Runs once, when a Postgres container makes its database: the shop's tables, owned by the role that the replicator connects as.
# The role may create schemas and trusted extensions in this database, and nothing else.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$TOMBOLO_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
create role tombolo login password :'password';
grant connect, create on database shop to tombolo;
set role tombolo;
\i /shop/shop-postgres.sql
SQL
