"""Statements that Django writes once a process, and not at every request.

Having Django write one takes it 150 microseconds for a row of its own and a millisecond for a
debate with its book and its author, most of what a vote costs; running it takes 50. What is asked
at nearly every write is asked through here. The queryset stays the one place that says what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=Model)


class OneRow(Generic[M]):
    """``rows(*values)``, asked for its one row again and again with other values.

    ``examples`` are distinct values of the right kind, with which the statement is written once:
    each must be a parameter of it, in that order, and nothing else may be.
    """

    def __init__(self, rows: Callable[..., QuerySet[M]], *examples: Any):
        self._rows, self._examples = rows, examples

    def get(self, *values: Any) -> M:
        """Return the row, joined ones set; raises the model's ``DoesNotExist``. One query."""
        row = self.first(*values)
        if row is None:
            raise self._written.model.DoesNotExist  # type: ignore[attr-defined]  # as every model has
        return row

    def first(self, *values: Any) -> M | None:
        """Return the row, or ``None``. One query.

        Raises ``TransactionManagementError`` for one that locks, outside of a transaction.
        """
        written = self._written
        if written.locks and connection.get_autocommit():
            raise TransactionManagementError("a lock outlasts its statement in a transaction only")
        with connection.cursor() as cursor:
            cursor.execute(written.statement, values)
            found = cursor.fetchone()
        return None if found is None else written.row(found)

    @cached_property
    def _written(self) -> _Written[M]:
        written = _Written(self._rows(*self._examples))
        if written.params != self._examples:
            raise ImproperlyConfigured(f"{written.params} are not the values {self._examples}")
        return written


class _Written(Generic[M]):
    """A statement, and how a row of its result becomes one of its model.

    ``row`` does what ``django.db.models.query.ModelIterable`` does with each.
    """

    def __init__(self, queryset: QuerySet[M]):
        compiler = queryset.query.get_compiler(connection=connection)
        self.statement, params = compiler.as_sql()
        self.params = tuple(params)
        self.model, self.locks = queryset.model, queryset.query.select_for_update
        select = compiler.select
        if compiler.annotation_col_map or not compiler.klass_info:
            raise ImproperlyConfigured("only whole rows are written once")
        places = compiler.klass_info["select_fields"]
        self._own = slice(places[0], places[-1] + 1)
        self._names = [column[0].target.attname for column in select[self._own]]
        self._joined = get_related_populators(  # type: ignore[call-arg]  # the stubs are of 6.1
            compiler.klass_info, select, connection.alias
        )
        self._convert = compiler.apply_converters
        self._converters = compiler.get_converters([column[0] for column in select])

    def row(self, values: tuple[Any, ...]) -> M:
        if self._converters:
            values = tuple(next(self._convert([values], self._converters)))
        found = self.model.from_db(connection.alias, self._names, values[self._own])
        for joined in self._joined:
            joined.populate(values, found)
        return found
