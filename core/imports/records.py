"""One row of a file as a ``Record``: clean values for columns of ``Book``, and remarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, cast

from django.db import models

from core.languages import language_code
from core.models import Author, Book

from . import isbn
from .names import name_key, split_authors, split_series, tidy
from .remarks import Note, Refusal, Refused, Remark

GOODBOOKS = "goodbooks"


def _max_length(model: type[models.Model], name: str) -> int:
    return cast(models.CharField, model._meta.get_field(name)).max_length or 0


_LENGTHS = {
    name: _max_length(Book, name) for name in ("title", "original_title", "series", "description")
}
NAME_LENGTH = _max_length(Author, "name")
_YEAR = re.compile(r"(-?[0-9]{1,5})(?:\.0*)?")
_COUNT = re.compile(r"([0-9]{1,19})(?:\.0*)?")
_RATING = re.compile(r"[0-9](?:\.[0-9]{1,10})?")
_SMALL, _INTEGER, _BIG = 2**15, 2**31, 2**63

Cells = Mapping[str, str]


@dataclass(slots=True)
class Record:
    """A row that can be a book. ``columns`` holds what the row says, and no empty value."""

    line: int
    columns: dict[str, Any]
    authors: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.columns["title"]

    @property
    def isbn13(self) -> str | None:
        return self.columns.get("isbn13")

    @property
    def source_key(self) -> tuple[str, int] | None:
        """The source and the book's id there, when the row came with one."""
        number = self.columns.get("source_id")
        return (self.columns["source"], number) if number is not None else None

    @property
    def work_key(self) -> tuple[str, str, int | None]:
        """Folded title, first author and year: who a book is that has nothing better."""
        author = name_key(self.authors[0], NAME_LENGTH) if self.authors else ""
        return name_key(self.title, _LENGTHS["title"]), author, self.columns.get("year")

    @property
    def is_weak(self) -> bool:
        """Known by its ``work_key`` only."""
        return self.isbn13 is None and self.source_key is None


class Shape(NamedTuple):
    """One kind of file: the columns it must have, whether it may have more, how it is read."""

    columns: frozenset[str]
    may_have_more: bool
    source: str
    read: Callable[[int, Cells], Record]

    def fits(self, header: list[str]) -> bool:
        """Whether a file with this header is of this kind; the order is free."""
        found = set(header)
        return self.columns == found or (self.may_have_more and self.columns < found)


def _goodbooks(line: int, cells: Cells) -> Record:
    found = isbn.from_columns(cells["isbn"], cells["isbn13"])
    record = _record(line, cells, found, cells["original_publication_year"], cells["language_code"])
    source_id = _count(cells["book_id"], _BIG)
    if source_id is None:
        raise Refused(Refusal.SOURCE_ID, f"book_id {cells['book_id'][:40]!r}")
    numbers = {
        "work_id": _count(cells["work_id"], _BIG),
        "average_rating": _rating(cells["average_rating"]),
        "ratings_count": _count(cells["ratings_count"], _INTEGER),
    }
    for name, number in numbers.items():
        if number is None and cells[name].strip():
            record.remarks.append(Remark(Note.NUMBER, f"{name} {cells[name].strip()[:40]}"))
    _keep(record, source=GOODBOOKS, source_id=source_id, **numbers)
    _keep(record, original_title=_text(cells, "original_title"))
    return record


def _plain(line: int, cells: Cells) -> Record:
    found = isbn.from_text(cells["isbn"])
    record = _record(line, cells, found, cells["year"], cells["language"])
    _keep(record, description=_text(cells, "description", keep_lines=True))
    return record


SHAPES = (
    Shape(
        frozenset(
            {
                "book_id", "work_id", "isbn", "isbn13", "authors", "original_publication_year",
                "original_title", "title", "language_code", "average_rating", "ratings_count",
            }
        ),
        True,
        GOODBOOKS,
        _goodbooks,
    ),
    Shape(
        frozenset({"title", "authors", "isbn", "year", "language", "description"}),
        False,
        "",
        _plain,
    ),
)  # fmt: skip


def _record(line: int, cells: Cells, found: isbn.Found, year: str, language: str) -> Record:
    """What both shapes have."""
    title, series = split_series(tidy(cells["title"]))
    if not title:
        raise Refused(Refusal.NO_TITLE)
    record = Record(line, {"title": title}, _authors(cells["authors"]))
    if found.remark:
        record.remarks.append(found.remark)
    number = _year(year)
    if number is None and year.strip():
        record.remarks.append(Remark(Note.YEAR, year.strip()[:40]))
    for name, text in (("title", title), ("series", series)):
        _refuse_longer(name, text, _LENGTHS[name])
    _keep(record, series=series, isbn13=found.isbn13, year=number, language=language_code(language))
    return record


def _keep(record: Record, **values: Any) -> None:
    record.columns.update({k: v for k, v in values.items() if v is not None and v != ""})


def _text(cells: Cells, name: str, *, keep_lines: bool = False) -> str:
    raw = cells[name]
    text = "\n".join(map(tidy, raw.splitlines())).strip() if keep_lines else tidy(raw)
    _refuse_longer(name, text, _LENGTHS[name])
    return text


def _authors(text: str) -> list[str]:
    names = split_authors(text)
    for name in names:
        _refuse_longer("author", name, NAME_LENGTH)
    return names


def _refuse_longer(what: str, text: str, length: int) -> None:
    if len(text) > length:
        raise Refused(Refusal.TOO_LONG, f"{what} has {len(text)} characters of at most {length}")


def _year(text: str) -> int | None:
    """A year, negative before Christ; there was no year 0."""
    match = _YEAR.fullmatch(text.strip())
    number = int(match[1]) if match else 0
    return number if number and -_SMALL <= number < _SMALL else None


def _count(text: str, limit: int) -> int | None:
    match = _COUNT.fullmatch(text.strip())
    return int(match[1]) if match and int(match[1]) < limit else None


def _rating(text: str) -> Decimal | None:
    """An average of 0 to 5 with the two places that are stored."""
    if not _RATING.fullmatch(text.strip()):
        return None
    number = Decimal(text.strip()).quantize(Decimal("0.01"))
    return number if number <= 5 else None
