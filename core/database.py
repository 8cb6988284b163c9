"""Transactions with rules of their own, and what a connection of this site finds at the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# What Django raises when the server is gone, or a statement ran out of time.
DATABASE_GONE = (OperationalError, InterfaceError)
EXTENSIONS = ["pg_trgm"]  # by their names in pg_extension; a hosted Postgres keeps them apart
_LIFT = (
    "SELECT set_config(name, '0', {local}) FROM "
    "unnest(ARRAY['statement_timeout', 'idle_in_transaction_session_timeout']) name"
)
_RESET = "RESET statement_timeout; RESET idle_in_transaction_session_timeout; RESET search_path"
_HIDDEN = """
    SELECT DISTINCT nspname FROM pg_extension
    JOIN pg_namespace ON pg_namespace.oid = extnamespace
    WHERE extname = ANY(%s) AND nspname <> ALL (current_schemas(true)) ORDER BY 1
"""
_SERVER = """
    SELECT
        (SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'),
        (SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'),
        (SELECT sum(CASE name WHEN 'max_connections' THEN 1 ELSE -1 END * setting::int)::int
         FROM pg_settings
         WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')),
        (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
        (SELECT datconnlimit FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def without_statement_timeout() -> Iterator[None]:
    """Open a transaction whose statements, and pauses between them, may take what they need.

    For commands that write in bulk; ``SET LOCAL`` ends with the transaction, so the
    connection keeps its timeouts for whoever uses it next. Durable: inside another
    transaction the lifted timeouts would outlive the block, so that raises ``RuntimeError``.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(_LIFT.format(local="true"))
        yield


def analyze(*tables: type[models.Model]) -> None:
    """Let Postgres count the rows of these models again; after a bulk write it plans by old counts.

    Seconds at a million rows. Autovacuum does the same within a minute or two.
    """
    with without_statement_timeout(), connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {_names(tables)}")


def vacuum(*tables: type[models.Model]) -> None:
    """``analyze``, and mark the rows as visible to all so that the first reader need not.

    VACUUM runs in no transaction, and only a session can lift its timeout: where sessions
    are not ours, or in somebody's transaction, ANALYZE must do.
    """
    if connection.in_atomic_block or settings.DATABASE_POOLER == "transaction":
        analyze(*tables)
        return
    with unhurried(connection), connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {_names(tables)}")


def _names(tables: tuple[type[models.Model], ...]) -> str:
    return ", ".join(connection.ops.quote_name(model._meta.db_table) for model in tables)


@contextmanager
def unhurried(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Lift the timeouts for all that ``database`` does in the block, and let it see our extensions.

    For migrations, whose transactions are Django's. A transaction pooler would hand what a
    session SET to the next client, so there each transaction sets it for itself; a statement
    outside any (CREATE INDEX CONCURRENTLY) keeps the role's timeout.
    """
    path = _search_path(database)
    if settings.DATABASE_POOLER == "transaction":
        with database.execute_wrapper(_Unhurried(path)):
            yield
        return
    _prepare(database, path, local=False)
    try:
        yield
    finally:
        if database.is_usable():  # else the session, and what it SET, is gone
            with database.cursor() as cursor:
                cursor.execute(_RESET)


def _search_path(database: BaseDatabaseWrapper) -> str:
    """The search path with the schemas of our extensions; ``""`` if it has them. Up to two queries."""
    with database.cursor() as cursor:
        cursor.execute(_HIDDEN, [EXTENSIONS])
        hidden = [database.ops.quote_name(name) for (name,) in cursor.fetchall()]
        if not hidden:
            return ""
        cursor.execute("SHOW search_path")
        return ", ".join([cursor.fetchone()[0] or '""', *hidden])


def _prepare(database: BaseDatabaseWrapper, path: str, *, local: bool) -> None:
    with database.cursor() as cursor:
        cursor.execute(_LIFT.format(local=str(local).lower()))
        if path:
            cursor.execute("SELECT set_config('search_path', %s, %s)", [path, local])


class _Unhurried:
    """An execute wrapper that begins every transaction with the settings it needs."""

    def __init__(self, path: str):
        self.path = path
        self.busy = False

    def __call__(
        self, execute: Callable, sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        database = context["connection"]
        idle = database.connection.info.transaction_status == 0  # psycopg2: no statement yet
        if idle and database.in_atomic_block and not self.busy:
            self.busy = True
            try:
                _prepare(database, self.path, local=True)
            finally:
                self.busy = False
        return execute(sql, params, many, context)


@dataclass(frozen=True)
class Server:
    """What a fresh connection finds."""

    statement_timeout_ms: int
    idle_in_transaction_timeout_ms: int
    connections: int  # that this role may have at once, all processes together
    search_path: str  # one that also shows our extensions; "" if they are in sight


def ask_server() -> Server:
    """Open a connection of its own, so that nothing SET in this one counts; two or three queries.

    Raises ``OperationalError`` when Postgres does not answer within the connect timeout.
    """
    fresh = connection.copy()
    try:
        path = _search_path(fresh)
        with fresh.cursor() as cursor:
            cursor.execute(_SERVER)
            statement, idle, *limits = cursor.fetchone()
    finally:
        fresh.close()
    return Server(statement, idle, min(limit for limit in limits if limit >= 0), path)


def role_defaults(server: Server) -> dict[str, str]:
    """What the role should set for every connection, as SQL values by name.

    UTC spares Django a SET where the server's clock is elsewhere. No ``lock_timeout``: the
    statement's own covers the wait, and a shorter one would refuse replies to a busy debate.
    """
    values = {
        "statement_timeout": str(settings.STATEMENT_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(settings.IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "timezone": "'UTC'",
    }
    return values | ({"search_path": server.search_path} if server.search_path else {})
