# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034
# Shared by the quick-start scripts, which source it. All files they create are under build/run.
# Environment variables: PORT, LISTEN, CONF, DATABASE, DEMO, EMAIL, ROLE, GRANT_TO.

set -eu
umask 022
top=$(cd "$(dirname "$0")/../.." && pwd -P)
quickstart=$top/conf/quickstart
run=$top/build/run
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH LC_ALL=C.UTF-8

# The socket of the private cluster. It is abstract, because the path of a socket file in the checkout could exceed the
# length limit of socket paths.
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

# Creates build/run and sets the umask. Others may enter the directory, as PostgreSQL does under root, but not list it;
# files in it, such as logs with the addresses of clients, are not readable by others.
make_run() {
    umask 027
    mkdir -p "$run" && chmod 711 "$run" && find "$run" -maxdepth 1 -type f -exec chmod o= {} +
}

# as USER COMMAND...: runs COMMAND as USER in the directory /, which every user can enter. If USER cannot enter the
# checkout (a parent directory may be closed), COMMAND gets the capability to bypass file permissions, and no other.
as() (
    user=$1
    shift
    cd /
    if [ "$(id -un)" = "$user" ]; then
        exec "$@"
    fi
    is_root || die "This command must run as $user or as root."
    ids="--reuid=$user --regid=$(id -g "$user") --clear-groups"
    # shellcheck disable=SC2086
    if setpriv $ids test -r "$top" -a -x "$top"; then
        exec setpriv $ids "$@"
    fi
    # shellcheck disable=SC2086
    exec setpriv $ids --inh-caps=+dac_override --ambient-caps=+dac_override "$@"
)

# private_conninfo ROLE DATABASE: the connection string for the private cluster.
private_conninfo() {
    printf '%s' "host=$socket port=5432 user=$1 dbname=$2 sslmode=disable gssencmode=disable"
}

# The connection string of the database owner: DATABASE if it is set, else the private cluster.
owner_conninfo() {
    if [ -n "${DATABASE:-}" ]; then
        printf '%s' "$DATABASE"
    else
        private_conninfo learnhub_owner learnhub
    fi
}

# The directory of the PostgreSQL programs: the version of the private cluster, or the newest if there is no cluster.
postgres_bin() {
    if [ -e "$run/pg/PG_VERSION" ]; then
        version=$(cat "$run/pg/PG_VERSION")
    else
        version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
    fi
    [ -x "/usr/lib/postgresql/$version/bin/psql" ] ||
        die "PostgreSQL $version is not installed, but the data in build/run/pg require this version."
    printf '/usr/lib/postgresql/%s/bin' "$version"
}

# Removes the variables of libpq for the private cluster.
private_environment() {
    [ -n "${DATABASE:-}" ] || unset PGPORT PGHOST PGHOSTADDR PGUSER PGDATABASE PGOPTIONS PGSERVICE PGSSLMODE
}

# run_psql CONNINFO ARGUMENTS...: runs psql without psqlrc.
run_psql() {
    conninfo=$1
    shift
    private_environment
    PGCLIENTENCODING=UTF8 "$(postgres_bin)/psql" -X -q -v ON_ERROR_STOP=1 -d "$conninfo" "$@"
}

# run_ctl ARGUMENTS...: runs learnhub-ctl as the database owner. The connection string, which may contain a password, is
# not an argument. LEARNHUB_CTL is an installed one.
run_ctl() {
    private_environment
    PSQL="${PSQL:-$(postgres_bin)/psql}" DATABASE=$(owner_conninfo) "${LEARNHUB_CTL:-$top/conf/learnhub-ctl}" "$@"
}
