#!/usr/bin/env bash
# Restore a backup: deploy/restore.sh FILE.dump [--into NAME]
#
# Into a new database first, which is looked at and only then takes the place of the site's. The one
# before stays as <name>_before_<UTC time> until you drop it, and coming back is a rename. Until the
# swap readers notice nothing; at the swap they are cut off and reconnect. Anything wrong before it
# ends with 1 and changes nothing.
#
# --into NAME: only make the database NAME, and leave the site's alone (a rehearsal; a look at a row).
#
# The role needs CREATEDB. It reads DATABASE_URL, BACKUP_DATABASE_URL and PG_BIN as backup.sh does;
# RESTORE_JOBS (2) is how many tables are loaded at once, BRIDGE_DATABASE (postgres) a third database
# that the role may enter, since nobody can be in one that is renamed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/database.sh
. "$here/database.sh"

file=${1:?which file? restore.sh FILE.dump [--into NAME]}
into=""
if [[ $# -eq 3 && $2 == --into ]]; then
    into=$3
elif [[ $# -ne 1 ]]; then
    fail "restore.sh FILE.dump [--into NAME]"
fi
[[ -z $into || $into =~ ^[a-z_][a-z0-9_]{0,62}$ ]] || fail "NAME is of small letters, digits and _"
[[ $database =~ ^[a-z_][a-z0-9_]{0,39}$ ]] || fail "$database is no name that this can put another in the place of"
[[ $into != "$database" ]] || fail "--into is for another database than the site's"

[[ -r $file ]] || fail "$file cannot be read"
[[ -r $file.sha256 ]] || fail "$file.sha256 is missing: nobody can tell whether the file is whole"
said=$(cut -d ' ' -f 1 "$file.sha256")
found=$(sha256sum < "$file" | cut -d ' ' -f 1)
[[ -n $said && $said == "$found" ]] || fail "$file is not what was written: its checksum differs"
fitting_programs
tool pg_restore --list "$file" | grep 'TABLE DATA .* django_migrations ' > /dev/null || fail "$file is no backup of this site"

now=$(date -u +%Y%m%dt%H%M%Sz)
new=${into:-${database}_new_$now}
[[ -z $(ask "$database" "SELECT 1 FROM pg_database WHERE datname = '$new'") ]] || fail "there is a database $new already"
# As the site's own is: its encoding and order of letters.
like=$(ask "$database" "SELECT format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_encoding_to_char(encoding), datcollate, datctype)
        || CASE to_jsonb(d) ->> 'datlocprovider'
            WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'))
            WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', to_jsonb(d) ->> 'datlocale')
            ELSE '' END
    FROM pg_database d WHERE datname = current_database()")
ask "$database" "CREATE DATABASE $new TEMPLATE template0 $like"
trap 'say "it failed: the site has the database it had"; ask "$database" "DROP DATABASE IF EXISTS $new WITH (FORCE)"' EXIT
tool pg_restore --exit-on-error --no-owner --no-privileges --jobs "${RESTORE_JOBS:-2}" --dbname "$server/$new$options" "$file"
ask "$new" "SET statement_timeout = 0; ANALYZE"
rows=$(ask "$new" "SELECT count(*) FROM django_migrations")
((rows > 0)) || fail "the restored database has no migrations"
if [[ -n $into ]]; then
    trap - EXIT
    say "$new is there; the site goes on with $database"
    exit 0
fi

# What the role sets in the site's database (set_role_defaults) belongs to it and not to its name.
settings=$(ask "$database" "SELECT format('ALTER ROLE %I IN DATABASE %I SET %I = %s;', rolname, '$new', split_part(word, '=', 1),
        CASE WHEN split_part(word, '=', 1) = 'search_path' THEN substr(word, strpos(word, '=') + 1)
        ELSE quote_literal(substr(word, strpos(word, '=') + 1)) END)
    FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
    JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) word
    WHERE datname = '$database' AND rolname = current_user")
[[ -z $settings ]] || ask "$new" "$settings"

before=${database}_before_$now
bridge=${BRIDGE_DATABASE:-postgres}
back() {
    say "it failed: the site has the database it had"
    ask "$bridge" "ALTER DATABASE $database ALLOW_CONNECTIONS true"
    ask "$bridge" "DROP DATABASE IF EXISTS $new WITH (FORCE)"
}
trap back EXIT
ask "$bridge" "ALTER DATABASE $database ALLOW_CONNECTIONS false"
# Both renames in one transaction. Who is still in there is shown out, and may have come before the line above.
for attempt in 1 2 3; do # each waits five seconds for those who are leaving
    ask "$bridge" "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('$database', '$new')" > /dev/null || true
    if ask "$bridge" "ALTER DATABASE $database RENAME TO $before; ALTER DATABASE $new RENAME TO $database"; then
        swapped=yes
        break
    fi
    say "somebody is still connected (attempt $attempt of 3)"
done
[[ ${swapped:-} == yes ]] || fail "the databases could not be swapped"
trap - EXIT
say "done. The database from before is $before: drop it when you are sure"
say "now retire what was kept of it: celery -A cgbookstore call core.tasks.clear_expired_cache"
echo "$before"
