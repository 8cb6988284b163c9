"""Writes a batch of records: new books and their authors, and what differs of known ones."""

from __future__ import annotations

import secrets
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db import connection, models, transaction

from core.database import without_statement_timeout
from core.models import Author, Book, BookAuthor
from core.text import slug_base

from .identity import KnownBooks
from .names import name_key
from .records import NAME_LENGTH, Record
from .remarks import Refused, Remark

ONE_IMPORT_AT_A_TIME = 0x626F6F6B73  # an advisory lock of Postgres; "books"
_SOURCE = {"source", "source_id"}
_WRITTEN = (
    "title", "original_title", "series", "year", "language", "description", "isbn13", "source", "source_id",
    "work_id", "average_rating", "ratings_count", "byline", "folded_title", "search_text",
)  # fmt: skip


@dataclass
class Written:
    """What became of a batch."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: list[tuple[Record, Remark]] = field(default_factory=list)
    claims: dict[int, int] = field(default_factory=dict)


def write_batch(records: list[Record], claims: dict[int, int], *, dry_run: bool = False) -> Written:
    """Write ``records`` in one transaction; ``claims`` are the books earlier rows were.

    About ten queries and one more for each set of columns that changed together. No two
    records may share an ISBN or a source id (``repeats`` sees to that). Raises
    ``IntegrityError`` when another writer took a slug or an ISBN meanwhile.
    """
    with without_statement_timeout():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_IMPORT_AT_A_TIME])
        written = _write(records, claims)
        if dry_run:
            transaction.set_rollback(True)
    return written


def _write(records: list[Record], claims: dict[int, int]) -> Written:
    written = Written()
    known = KnownBooks(records)
    new: list[Record] = []
    met: list[tuple[Book, Record]] = []
    claimed = ChainMap(written.claims, claims)
    for record in records:
        try:
            book = known.find(record, claimed)
        except Refused as refused:
            written.refused.append((record, refused.remark))
            continue
        if book is None:
            new.append(record)
        else:
            met.append((book, record))
            written.claims[book.pk] = record.line
    recredited = [pair for pair in met if _has_other_authors(known, *pair)]
    authors = _authors([*new, *(record for _, record in recredited)])
    _create(new, authors)
    written.new = len(new)
    written.changed = _update(met, {book.pk for book, _ in recredited}, authors)
    written.unchanged = len(met) - written.changed
    return written


def _has_other_authors(known: KnownBooks, book: Book, record: Record) -> bool:
    wanted = [_author_key(name) for name in record.authors]
    return bool(wanted) and wanted != known.author_keys(book)


def _author_key(name: str) -> str:
    return name_key(name, NAME_LENGTH)


def _authors(records: Iterable[Record]) -> dict[str, Author]:
    """The authors of ``records`` by key; the ones nobody knows are created."""
    wanted: dict[str, str] = {}
    for record in records:
        for name in record.authors:
            wanted.setdefault(_author_key(name), name)
    found = models.Q(folded_name__in=wanted) | models.Q(folded_name="", name__in=wanted)
    authors: dict[str, Author] = {}
    for author in Author.objects.filter(found).order_by("pk") if wanted else ():
        authors.setdefault(author.folded_name or author.name, author)
    new = {key: Author(name=name) for key, name in wanted.items() if key not in authors}
    for author in new.values():
        author.derive()
    _give_slugs(new.values(), [[slug_base(a.name, fallback="autor")] for a in new.values()])
    Author.objects.bulk_create(new.values())
    return authors | new


def _create(records: list[Record], authors: Mapping[str, Author]) -> None:
    books = [Book(**record.columns) for record in records]
    for book, record in zip(books, records, strict=True):
        book.derive(author.name for author in _cover(record, authors))
    _give_slugs(books, [_book_slugs(record) for record in records])
    Book.objects.bulk_create(books)
    _credit(zip(books, records, strict=True), authors)


def _update(
    met: list[tuple[Book, Record]], recredited: set[int], authors: Mapping[str, Author]
) -> int:
    """Write the columns that differ, and no others; return how many books changed."""
    groups: dict[tuple[str, ...], list[Book]] = defaultdict(list)
    for book, record in met:
        if columns := _apply(book, record, authors if book.pk in recredited else None):
            groups[columns].append(book)
    for columns, books in groups.items():
        Book.objects.bulk_update(books, columns)
    BookAuthor.objects.filter(book__in=recredited).delete()
    _credit([pair for pair in met if pair[0].pk in recredited], authors)
    return len(recredited.union(book.pk for books in groups.values() for book in books))


def _apply(book: Book, record: Record, authors: Mapping[str, Author] | None) -> tuple[str, ...]:
    """Put what ``record`` says into ``book``; return the columns that differ now."""
    before = {name: getattr(book, name) for name in _WRITTEN}
    keeps_source = book.source_id is not None and book.source != record.columns.get("source")
    for name, value in record.columns.items():
        if not (keeps_source and name in _SOURCE):
            setattr(book, name, value)
    names = None if authors is None else [author.name for author in _cover(record, authors)]
    book.derive(names)
    return tuple(name for name in _WRITTEN if getattr(book, name) != before[name])


def _cover(record: Record, authors: Mapping[str, Author]) -> list[Author]:
    return [authors[_author_key(name)] for name in record.authors]


def _credit(pairs: Iterable[tuple[Book, Record]], authors: Mapping[str, Author]) -> None:
    BookAuthor.objects.bulk_create(
        BookAuthor(book=book, author=author, position=position)
        for book, record in pairs
        for position, author in enumerate(_cover(record, authors))
    )


def _book_slugs(record: Record) -> list[str]:
    """The title; where that is taken, the title and the author."""
    base = slug_base(record.title, fallback="livro")
    author = slug_base(record.authors[0], fallback="") if record.authors else ""
    longer = f"{base}-{author}"
    return [base, longer] if author and len(longer) <= 200 else [base]


def _give_slugs(rows: Iterable[Author | Book], wishes: list[list[str]]) -> None:
    """Give each row the first of its wishes that nobody holds, else one with a random tail.

    One query. Another writer may still take one before the insert: its unique constraint
    raises then, and the batch is tried again.
    """
    rows = list(rows)
    if not rows:
        return
    asked = {slug for wish in wishes for slug in wish}
    taken = set(type(rows[0]).objects.filter(slug__in=asked).values_list("slug", flat=True))
    for row, wish in zip(rows, wishes, strict=True):
        tailed = f"{wish[0]}-{secrets.token_hex(3)}"
        row.slug = next((slug for slug in wish if slug not in taken), tailed)
        taken.add(row.slug)
