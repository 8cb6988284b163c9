"""Rows into tables by COPY, and the ids they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection, models
from psycopg2 import sql

NULL = r"\N"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK_CHARACTERS = 1 << 18
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def text(value: str) -> str:
    """Return ``value`` as COPY reads it."""
    return value.translate(_ESCAPES)


def moment(microseconds: int) -> str:
    """Return a time, counted from 1970, as COPY reads it."""
    return str(_EPOCH + timedelta(microseconds=microseconds))


def microseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)


def copy(model: type[models.Model], columns: Iterable[str], lines: Iterable[str]) -> None:
    """Send ``lines``, each one row ending in a line feed, into the table of ``model``.

    The lines are taken one by one, so that a generator of any length fits in memory.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, _Reader(lines), _CHUNK_CHARACTERS)


class _Reader:
    """The lines as the file that psycopg2 wants."""

    def __init__(self, lines: Iterable[str]):
        self._lines: Iterator[str] = iter(lines)

    def read(self, _size: int) -> bytes:
        taken: list[str] = []
        length = 0
        for line in self._lines:
            taken.append(line)
            length += len(line)
            if length >= _CHUNK_CHARACTERS:
                break
        return "".join(taken).encode()


def reserve(model: type[models.Model], count: int) -> int:
    """Return the first of ``count`` consecutive ids that nobody else will get."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT greatest(nextval(pg_get_serial_sequence(%s, 'id')),"
                " (SELECT coalesce(max(id), 0) + 1 FROM {}))"
            ).format(sql.Identifier(table)),
            [table],
        )
        first = cursor.fetchone()[0]
        last = first + max(count, 1) - 1
        cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, last])
    return first


def rewind(model: type[models.Model]) -> None:
    """Let the ids of ``model`` go on after the highest one that is left.

    Not by ``setval``, which a rollback leaves standing: the rows would be back, and their
    ids given out again.
    """
    table = sql.Identifier(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT coalesce(max(id), 0) + 1 FROM {}").format(table))
        following = cursor.fetchone()[0]
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [model._meta.db_table])
        sequence = sql.SQL(cursor.fetchone()[0])  # comes quoted
        restart = sql.SQL("ALTER SEQUENCE {} RESTART WITH {}")
        cursor.execute(restart.format(sequence, sql.Literal(following)))


def check_foreign_keys() -> None:
    """Check the rows written so far now, instead of all of them at the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
