#!/bin/sh
# Run once by PostgreSQL's image, when its data folder is new: a role and a database for each who keeps state there.
# A role owns its own database and may not open another's. The passwords come from the environment, never as arguments.
set -eu
for name in foresight dagster mlflow; do
  variable="$(echo "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD"
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres --set=name="$name" <<SQL
\getenv password $variable
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
