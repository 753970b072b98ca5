#!/bin/sh
# Makes the secrets of compose.yaml in ./secrets, once: those that exist are kept.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p -m 700 secrets
make_secret() {
    [ -e "secrets/$1" ] || printf '%s\n' "$2" > "secrets/$1"
    chmod 644 "secrets/$1"  # the folder is closed; the containers' users read the files
}
random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

make_secret trigger_api_tokens "$(random)"
make_secret postgres_password "$(random)"
make_secret grafana_password "$(random)"
make_secret trigger_api_database_url "postgresql://trigger_api:$(cat secrets/postgres_password)@database/trigger_api"
