"""Books to talk about, where the catalogue has none."""

from __future__ import annotations

from random import Random

from core.models import Author, Book, BookAuthor

from . import words
from .marks import SOURCE, next_number

BOOKS_PER_AUTHOR = 3
BATCH_ROWS = 1_000


def create_books(count: int, dice: Random) -> None:
    """Add ``count`` books and their authors, about three books an author."""
    start = next_number(Author, "slug", f"{SOURCE}-autor-")
    authors = [
        Author(name=words.full_name(dice), slug=f"{SOURCE}-autor-{start + n}")
        for n in range(-(-count // BOOKS_PER_AUTHOR))
    ]
    for author in authors:
        author.derive()
    Author.objects.bulk_create(authors, batch_size=BATCH_ROWS)
    start = next_number(Book, "slug", f"{SOURCE}-livro-")
    books = [_book(start + n, authors[n // BOOKS_PER_AUTHOR].name, dice) for n in range(count)]
    Book.objects.bulk_create(books, batch_size=BATCH_ROWS)
    BookAuthor.objects.bulk_create(
        (
            BookAuthor(book=book, author=authors[n // BOOKS_PER_AUTHOR])
            for n, book in enumerate(books)
        ),
        batch_size=BATCH_ROWS,
    )


def _book(number: int, author: str, dice: Random) -> Book:
    book = Book(
        title=words.book_title(dice),
        slug=f"{SOURCE}-livro-{number}",
        year=dice.randint(1850, 2025),
        language="pt",
        pages=dice.randint(80, 700),
        description=" ".join(dice.sample(words.SENTENCES, 3)),
        source=SOURCE,
        source_id=number,
        ratings_count=int(dice.paretovariate(0.7)) % 1_000_000,
    )
    book.derive([author])
    return book
