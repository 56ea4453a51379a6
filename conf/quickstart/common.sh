# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034
# What the quick start's commands share; they source it. Everything they make lies in build/run.
# From the environment: PORT, CONF, DATABASE, DEMO, EMAIL, ROLE, GRANT_TO.

set -eu
umask 022
top=$(cd "$(dirname "$0")/../.." && pwd -P)
quickstart=$top/conf/quickstart
run=$top/build/run
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH LC_ALL=C.UTF-8

# The private cluster's socket: an abstract one has no length limit and needs no directory.
socket=@learnhub-$(printf %s "$top" | sha256sum | cut -c 1-16)

say() {
    printf 'learnhub: %s\n' "$*"
}

die() {
    printf 'learnhub: %s\n' "$*" >&2
    exit 1
}

is_root() {
    [ "$(id -u)" = 0 ]
}

# as USER COMMAND...: runs it as USER. A user who cannot enter the checkout (a directory above it may be closed)
# is given the right to read past permissions, and nothing else. The working directory must be one he can enter.
as() (
    user=$1
    shift
    cd /
    if [ "$(id -un)" = "$user" ]; then
        exec "$@"
    fi
    is_root || die "This needs to run as $user or as root."
    ids="--reuid=$user --regid=$(id -g "$user") --clear-groups"
    # shellcheck disable=SC2086
    if setpriv $ids test -r "$top" -a -x "$top"; then
        exec setpriv $ids "$@"
    fi
    # shellcheck disable=SC2086
    exec setpriv $ids --inh-caps=+dac_override --ambient-caps=+dac_override "$@"
)

# How the roles of the private cluster connect: conninfo USER DATABASE.
private_conninfo() {
    printf '%s' "host=$socket port=5432 user=$1 dbname=$2 sslmode=disable gssencmode=disable"
}

# The database as its owner; DATABASE where the operator gave one.
owner_conninfo() {
    if [ -n "${DATABASE:-}" ]; then
        printf '%s' "$DATABASE"
    else
        private_conninfo learnhub_owner learnhub
    fi
}

# Where PostgreSQL's programs are: those of the private cluster's version, else the newest.
postgres_bin() {
    if [ -e "$run/pg/PG_VERSION" ]; then
        version=$(cat "$run/pg/PG_VERSION")
    else
        version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
    fi
    [ -x "/usr/lib/postgresql/$version/bin/psql" ] ||
        die "PostgreSQL $version is not installed; the data in build/run/pg need this version."
    printf '/usr/lib/postgresql/%s/bin' "$version"
}

# psql without anybody's settings: run_psql CONNINFO ARGUMENTS...
run_psql() {
    conninfo=$1
    shift
    [ -n "${DATABASE:-}" ] || unset PGPORT PGHOST PGHOSTADDR PGUSER PGDATABASE PGOPTIONS PGSERVICE PGSSLMODE
    PGCLIENTENCODING=UTF8 "$(postgres_bin)/psql" -X -q -v ON_ERROR_STOP=1 -d "$conninfo" "$@"
}
