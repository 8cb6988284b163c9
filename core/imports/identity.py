"""Which book of the catalogue a record means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from django.db.models import Q

from core.models import Book, BookAuthor

from .records import Record
from .remarks import Refusal, Refused

Claims = Mapping[int, int]  # book -> line of the row of this file that means it


class KnownBooks:
    """The books a batch may mean, locked in id order. Three queries, whatever the batch.

    A record is the book with its ISBN, else with its id of the source, else the book with its
    title, author and year, unless that one has an ISBN or id of its own where the record has
    another. A refusal is better than a guess: an ISBN and an id never move between books.
    """

    def __init__(self, records: list[Record]):
        self._by_isbn: dict[str, Book] = {}
        self._by_source: dict[tuple[str, int], Book] = {}
        self._by_work: dict[tuple, list[Book]] = defaultdict(list)
        self._credits: dict[int, list[str]] = defaultdict(list)
        strong = self._load_strong(records)
        rest = [record for record in records if not self._strong(record)]
        works = self._load_works(rest)
        self._load_credits({book.pk for book in [*strong, *works]})
        for book in works:
            author = (self.author_keys(book) or [""])[0]
            title = book.folded_title or book.title
            self._by_work[title, author, book.year].append(book)

    def find(self, record: Record, claims: Claims) -> Book | None:
        """Return the book ``record`` means or ``None`` for a new one; ``Refused`` in doubt."""
        found = self._strong(record)
        if len(found) > 1:
            books = ", ".join(f"book {book.pk}" for book in found)
            raise Refused(Refusal.TWO_BOOKS, books)
        if not found:
            return self._by_title(record, claims)
        book = found[0]
        source, number = record.source_key or ("", None)
        if number is not None and book.source == source and book.source_id not in (None, number):
            raise Refused(Refusal.ISBN_TAKEN, f"{source} {book.source_id}")
        return _unclaimed(book, claims)

    def author_keys(self, book: Book) -> list[str]:
        """The folded names on the cover of ``book``, in their order."""
        return self._credits[book.pk]

    def _strong(self, record: Record) -> list[Book]:
        """The books with the ISBN or the source id of ``record``: none, one or two."""
        by_isbn = record.isbn13 and self._by_isbn.get(record.isbn13)
        by_source = record.source_key and self._by_source.get(record.source_key)
        return [*{book.pk: book for book in (by_isbn, by_source) if book}.values()]

    def _by_title(self, record: Record, claims: Claims) -> Book | None:
        books = [book for book in self._by_work[record.work_key] if _may_be(book, record)]
        if record.is_weak:
            if len(books) > 1:
                raise Refused(Refusal.AMBIGUOUS, ", ".join(f"book {book.pk}" for book in books))
            return _unclaimed(books[0], claims) if books else None
        free = [book for book in books if book.pk not in claims]
        return free[0] if len(free) == 1 else None

    def _load_strong(self, records: list[Record]) -> list[Book]:
        wanted = Q(isbn13__in=[record.isbn13 for record in records if record.isbn13])
        ids: dict[str, list[int]] = defaultdict(list)
        for record in records:
            if record.source_key:
                ids[record.source_key[0]].append(record.source_key[1])
        for source, numbers in ids.items():
            wanted |= Q(source=source, source_id__in=numbers)
        books = list(_locked().filter(wanted))
        for book in books:
            if book.isbn13:
                self._by_isbn[book.isbn13] = book
            if book.source_id is not None:
                self._by_source[book.source, book.source_id] = book
        return books

    def _load_works(self, records: list[Record]) -> list[Book]:
        # A title of signs only folds to nothing; its key is the title itself.
        titles = {record.work_key[0] for record in records}
        bare = Q(folded_title="", title__in=titles)
        return list(_locked().filter(Q(folded_title__in=titles - {""}) | bare)) if titles else []

    def _load_credits(self, books: set[int]) -> None:
        names = BookAuthor.objects.filter(book__in=books).order_by("position", "pk")
        for book, folded, name in names.values_list(
            "book_id", "author__folded_name", "author__name"
        ):
            self._credits[book].append(folded or name)


def _locked():
    return Book.objects.order_by("pk").select_for_update(no_key=True)


def _unclaimed(book: Book, claims: Claims) -> Book:
    if book.pk in claims:
        raise Refused(Refusal.REPEATED, f"line {claims[book.pk]}")
    return book


def _may_be(book: Book, record: Record) -> bool:
    """Whether nothing better than the title speaks against it."""
    if record.isbn13 and book.isbn13:
        return False
    return record.source_key is None or book.source_id is None
