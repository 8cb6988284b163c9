"""Pages of a list: numbers for the first ten, keys beyond.

OFFSET walks over every row it skips, so its cost grows with the page's number; ten pages
bound it, and from there a page starts after the last row of the one before it: one range
over the index that the list is sorted by, however deep.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, F, Field, Func, Model, QuerySet, Value
from django.db.models.functions import Cast
from django.http import Http404, QueryDict

NUMBERED_PAGES = 10
_NUMBERS = {str(number) for number in range(1, NUMBERED_PAGES + 1)}
NUMBER, AFTER, BEFORE = "pagina", "depois", "antes"


@dataclass(frozen=True)
class Page:
    """One page of rows and the query strings of its neighbours (``""``: there is none)."""

    rows: list[Any]
    number: int | None  # None beyond the numbered pages
    first: str
    previous: str
    next: str

    @property
    def has_neighbours(self) -> bool:
        return bool(self.previous or self.next)


def page(
    rows: QuerySet,
    order: Sequence[str],
    params: QueryDict,
    *,
    size: int,
    first: Callable[[], list[Any]] | None = None,
) -> Page:
    """Return the page of ``rows`` that ``params`` (a request's GET) asks for. One query.

    ``first`` knows the rows of the first page and one more without it. ``order`` names fields of the model (``a__b`` reaches through a relation), all ascending
    or all with a leading minus, the last one unique. Raises ``Http404`` for a number or a
    key that is not one.
    """
    number = _number(params.get(NUMBER, "1"))
    after, before = params.get(AFTER), params.get(BEFORE)
    descending = order[0].startswith("-")
    names = [name.lstrip("-") for name in order]
    if any(name.startswith("-") != descending for name in order):
        raise ValueError("a key range needs one direction for all its columns")
    link = _Links(params)

    if before is not None:
        found = list(_beyond(rows, names, before, descending=not descending)[: size + 1])
        more, shown = len(found) > size, found[size - 1 :: -1] if len(found) > size else found[::-1]
        return Page(
            rows=shown,
            number=None,
            first=link.to(),
            previous=link.to(BEFORE, _key(shown[0], names)) if more else link.to(),
            next=link.to(AFTER, _key(shown[-1], names)) if shown else "",
        )

    if after is not None:
        found = list(_beyond(rows, names, after, descending=descending)[: size + 1])
        shown = found[:size]
        return Page(
            rows=shown,
            number=None,
            first=link.to(),
            previous=link.to(BEFORE, _key(shown[0], names)) if shown else link.to(),
            next=link.to(AFTER, _key(shown[-1], names)) if len(found) > size else "",
        )

    start = (number - 1) * size
    if first is not None and not start:
        found = first()
    else:
        found = list(rows.order_by(*order)[start : start + size + 1])
    if not found and number > 1:
        raise Http404
    shown = found[:size]
    following = ""
    if len(found) > size:
        numbered = number < NUMBERED_PAGES
        following = (
            link.to(NUMBER, number + 1) if numbered else link.to(AFTER, _key(shown[-1], names))
        )
    previous = ""
    if number > 1:
        previous = link.to(NUMBER, number - 1) if number > 2 else link.to()
    return Page(rows=shown, number=number, first=link.to(), previous=previous, next=following)


def place(rows: QuerySet, order: Sequence[str], row: Model, *, size: int) -> str:
    """Return the query string of the page of ``rows`` on which ``row`` stands.

    One query that reads at most ten pages of the index; a second one, for the rows just
    before it, when the place is deeper than the numbered pages.
    """
    if any(name.startswith("-") for name in order):
        raise ValueError("the place of a row is told for ascending lists only")
    before = _beyond(rows, list(order), _key(row, list(order)), descending=True)
    ahead = before[: NUMBERED_PAGES * size].count()
    if ahead < NUMBERED_PAGES * size:
        number = ahead // size + 1
        return f"?{NUMBER}={number}" if number > 1 else ""
    shown_before = list(before[: size // 4 + 1])
    return after(shown_before[-1], order)


def after(row: Model, order: Sequence[str]) -> str:
    """Return the query string of the page that begins just after ``row``. No query."""
    return f"?{AFTER}={_key(row, [name.lstrip('-') for name in order])}"


def _number(text: str) -> int:
    if text not in _NUMBERS:
        raise Http404
    return int(text)


def _beyond(rows: QuerySet, names: list[str], key: str, *, descending: bool) -> QuerySet:
    """Rows strictly beyond ``key``, nearest first."""
    values = _values(rows.model, names, key)
    sign = "-" if descending else ""
    condition = _RowCompare([F(name) for name in names], values, "<" if descending else ">")
    return rows.filter(condition).order_by(*(sign + name for name in names))


class _RowCompare(Func):
    """``(a, b) < (x, y)``: the one form of this condition that Postgres turns into an index range.

    Django's own tuple lookups take bare values for the right side and drop their casts.
    """

    output_field = BooleanField()

    def __init__(self, columns: Sequence[F], values: Sequence[Value | Cast], operator: str):
        super().__init__(*columns, *values)
        self.operator = operator

    def as_sql(self, compiler, connection, **extra):
        parts = [compiler.compile(expression) for expression in self.get_source_expressions()]
        half = len(parts) // 2
        left, right = (", ".join(sql for sql, _ in side) for side in (parts[:half], parts[half:]))
        params = [param for _, params in parts for param in params]
        return f"({left}) {self.operator} ({right})", params


def _key(row: Model, names: list[str]) -> str:
    """The place of ``row`` in its list, as text for a URL."""
    values = []
    for name in names:
        holder: Any = row
        *path, last = name.split("__")
        for step in path:
            holder = getattr(holder, step)
        values.append(holder._meta.get_field(last).value_to_string(holder))
    packed = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _values(model: type[Model], names: list[str], key: str) -> list[Value | Cast]:
    try:
        texts = json.loads(base64.urlsafe_b64decode(key.encode() + b"=" * (-len(key) % 4)))
        if not isinstance(texts, list) or len(texts) != len(names):
            raise ValueError("not a key of this list")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a key holds texts only")
        return [_value(model, name, text) for name, text in zip(names, texts, strict=True)]
    except (ValueError, TypeError, OverflowError, ValidationError, RecursionError) as error:
        raise Http404 from error


def _value(model: type[Model], name: str, text: Any) -> Value | Cast:
    *path, last = name.split("__")
    for step in path:
        model = model._meta.get_field(step).related_model  # type: ignore[assignment]  # a relation
    field: Field = model._meta.get_field(last)  # type: ignore[assignment]  # a column
    value = field.to_python(text)
    field.run_validators(value)  # a number beyond its column is no key
    if value is None:
        raise ValueError("not a value of this list")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("a moment without its zone")
    if isinstance(value, str) and "\x00" in value.encode().decode():  # encode: no lone surrogate
        raise ValueError("not a text that the database holds")
    if isinstance(value, list):  # psycopg2 sends a list of small numbers as integer[]
        return Cast(Value(value, output_field=field), field)
    return Value(value, output_field=field)


class _Links:
    """Query strings that keep the list's filters and change only the place in it."""

    def __init__(self, params: QueryDict):
        self._rest = params.copy()
        for name in (NUMBER, AFTER, BEFORE):
            self._rest.pop(name, None)

    def to(self, name: str = "", value: object = None) -> str:
        query = self._rest.copy()
        if name:
            query[name] = str(value)
        return f"?{query.urlencode()}"
