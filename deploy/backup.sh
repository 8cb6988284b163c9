#!/usr/bin/env bash
# Back up the database: deploy/backup.sh
#
# Writes BACKUP_DIR/cgbookstore-<UTC time>.dump (pg_dump's custom format, compressed) and its .sha256.
# A file under that name is whole: it is written under another, read back and renamed. The newest
# BACKUP_KEEP stay. Prints the file's name; anything wrong ends with 1 and leaves older ones alone.
#
#   DATABASE_URL         the site's. A transaction pooler cannot be dumped through: then also
#   BACKUP_DATABASE_URL  Postgres itself, or the session pooler
#   BACKUP_DIR           /var/lib/cgbookstore/backups. Another disk, and from there another place
#   BACKUP_KEEP          14
#   BACKUP_FREE_MB       1024; refuses when the backup would leave less on the disk
#   PG_BIN               where pg_dump is, if the one on PATH is older than the server
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/database.sh
. "$here/database.sh"

folder=${BACKUP_DIR:-/var/lib/cgbookstore/backups}
keep=${BACKUP_KEEP:-14}
spare=${BACKUP_FREE_MB:-1024}
[[ $keep =~ ^[1-9][0-9]*$ ]] || fail "BACKUP_KEEP is a number of at least 1, not “$keep”"
[[ $spare =~ ^[0-9]+$ ]] || fail "BACKUP_FREE_MB is a number of megabytes, not “$spare”"
umask 077
mkdir -p "$folder"

# Two at once would remove each other's old files, and the disk would have to hold both.
exec 9> "$folder/.lock"
flock --nonblock 9 || fail "another backup is running"
rm -f "$folder"/*.partial

fitting_programs
# Compressed it is smaller than what Postgres takes; without indexes much smaller. Half is cautious.
need=$(ask "$database" "SELECT pg_database_size(current_database()) / 2 / 1048576")
free=$(df --output=avail --block-size=1M "$folder" | tail -n 1)
((free - need >= spare)) || fail "$((free)) MB are free in $folder; the backup may take $need and $spare must stay free (BACKUP_FREE_MB)"

name=cgbookstore-$(date -u +%Y%m%dT%H%M%SZ).dump
partial=$folder/$name.partial
trap 'rm -f "$partial"' EXIT
tool pg_dump --format=custom --compress=6 --no-owner --no-privileges --lock-wait-timeout=60s \
    --dbname "$server/$database$options" --file "$partial"
# A table of contents that lists our tables: the file can be read, and is no empty database's.
tool pg_restore --list "$partial" | grep 'TABLE DATA .* django_migrations ' > /dev/null || fail "the dump has no django_migrations: is $database the site's database?"
sync "$partial"
(cd "$folder" && sha256sum < "$name.partial" | sed "s/-$/$name/" > "$name.sha256")
mv "$partial" "$folder/$name"
sync "$folder"

# By name, which is by time. What is not ours stays.
mapfile -t old < <(cd "$folder" && ls -1 -- cgbookstore-????????T??????Z.dump | head -n "-$keep")
for each in "${old[@]}"; do
    rm -f -- "$folder/$each" "$folder/${each%.dump}.dump.sha256"
done
echo "$folder/$name"
