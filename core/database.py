"""Transactions with rules of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, models, transaction


@contextmanager
def without_statement_timeout() -> Iterator[None]:
    """Open a transaction whose statements may take as long as they need.

    For commands that write in bulk; ``SET LOCAL`` ends with the transaction, so the
    connection keeps its timeout for whoever uses it next. Durable: inside another
    transaction the lifted timeout would outlive the block, so that raises ``RuntimeError``.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def analyze(*tables: type[models.Model]) -> None:
    """Let Postgres count the rows of these models again; after a bulk write it plans by old counts.

    Seconds at a million rows. Autovacuum does the same within a minute or two.
    """
    quote = connection.ops.quote_name
    with without_statement_timeout(), connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(quote(model._meta.db_table) for model in tables)}")
