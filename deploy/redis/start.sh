#!/bin/sh
# Start a Redis with the users of users.acl: start.sh FILE.conf [WORDS FOR redis-server…]
# REDIS_PASSWORD is the password of the user `cgbookstore`; Redis is shown its hash only. Nobody else
# may log in, and that user may not empty a database, list all keys or change the configuration.
set -eu
: "${REDIS_PASSWORD:?REDIS_PASSWORD is not set}"
here=$(cd "$(dirname "$0")" && pwd)
conf=$1
shift
users=${REDIS_USERS_FILE:-/tmp/users.acl}
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
(umask 077 && sed "s/PASSWORD_SHA256/$hash/" "$here/users.acl" > "$users")
unset REDIS_PASSWORD
exec "${REDIS_SERVER:-redis-server}" "$here/$conf" --aclfile "$users" "$@"
