# Read by backup.sh and restore.sh: how to reach Postgres, and the programs that fit it.
# shellcheck shell=bash

say() { echo "${0##*/}: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# A variable that is not set is looked up in the site's own file, so that a person need not export it.
env_file=${CGB_ENV_FILE:-/etc/cgbookstore/env}
if [[ -r $env_file ]]; then
    for name in DATABASE_URL BACKUP_DATABASE_URL BACKUP_DIR BACKUP_KEEP BACKUP_FREE_MB PG_BIN; do
        if [[ -z ${!name:-} ]]; then
            printf -v "$name" %s "$(sed -n "s/^$name=//p" "$env_file" | tail -n 1)"
        fi
    done
fi

# The address without its password, which goes into the environment: arguments are everybody's to read.
address=${BACKUP_DATABASE_URL:-${DATABASE_URL:?DATABASE_URL is not set}}
pattern='^(postgres(ql)?://[^:@/]+)(:([^@/]*))?(@.*)$'
[[ $address =~ $pattern ]] || fail "DATABASE_URL is not postgres://user:password@host/database"
if [[ -n ${BASH_REMATCH[4]} ]]; then
    secret=${BASH_REMATCH[4]//\\/\\\\}
    printf -v PGPASSWORD '%b' "${secret//%/\\x}"
    export PGPASSWORD
fi
address=${BASH_REMATCH[1]}${BASH_REMATCH[5]}
# `?pgbouncer=true` is Prisma's word; libpq knows no such word.
address=$(sed -E 's/([?&])pgbouncer=[^&]*&?/\1/; s/[?&]$//' <<< "$address")
server=${address%%\?*}
options=${address#"$server"}
database=${server##*/}
server=${server%/*}
export PGCONNECT_TIMEOUT=10 PGAPPNAME="cgbookstore ${0##*/}"
export LC_ALL=C

# PG_BIN names the folder of programs that are as new as the server; Debian has each version's apart.
tool() { "${PG_BIN:+$PG_BIN/}$1" "${@:2}"; }
# One statement on a database of the server, by name; prints bare values.
ask() { tool psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "$server/$1$options" --command "$2"; }

fitting_programs() {
    local ours theirs
    theirs=$(ask "$database" "SELECT current_setting('server_version_num')::int / 10000") || fail "Postgres does not answer"
    ours=$(tool pg_dump --version) || fail "there is no pg_dump: set PG_BIN, or install postgresql-client-$theirs"
    ours=${ours##*PostgreSQL) }
    [[ ${ours%%.*} -ge $theirs ]] || fail "pg_dump ${ours%% *} is older than the server ($theirs): set PG_BIN=/usr/lib/postgresql/$theirs/bin"
}
