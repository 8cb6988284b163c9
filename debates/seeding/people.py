"""Readers, and what they keep on their shelves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from django.contrib.auth.hashers import make_password

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from accounts.services import sync_reviews
from core.models import Book

from . import words
from .chance import Ranking
from .clock import SPAN, START
from .copying import NULL, check_foreign_keys, copy, moment

PASSWORD = "carga-de-leitura"  # noqa: S105  of readers that exist for load generators only
WITH_PASSWORD = 200
BATCH_READERS = 5_000
SHELVES = ("lido",) * 5 + ("quero-ler",) * 4 + ("lendo",) * 2 + ("relendo", "abandonei")
RATINGS = (1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 10, 10)

_USER = (
    "id", "password", "last_login", "is_superuser", "is_staff", "is_active", "date_joined",
    "username", "email", "display_name", "city", "bio",
)  # fmt: skip
_SHELF = ("user_id", "book_id", "status", "created_at", "updated_at")
_PROGRESS = ("user_id", "book_id", "percent", "page", "pages", "updated_at")
_REVIEW = (
    "user_id", "book_id", "rating", "has_spoiler", "text", "text_html", "created_at", "edited_at",
)  # fmt: skip


def create_readers(
    first: int, count: int, *, prefix: str, mail: str, number: int, dice: Random
) -> None:
    """Copy ``count`` readers with ids from ``first`` and names from ``number`` on.

    The first two hundred share one password, whose hash is made once; the others cannot log in.
    """
    known = make_password(PASSWORD, salt=f"{dice.getrandbits(128):032x}")
    copy(User, _USER, _readers(first, count, known, prefix, mail, number, dice))


def _readers(first, count, known, prefix, mail, number, dice) -> Iterator[str]:
    for place in range(count):
        username = f"{prefix}{number + place:05d}"
        password = known if place < WITH_PASSWORD else f"!{dice.getrandbits(160):040x}"
        joined = moment(START + int(SPAN * place / count))
        yield (
            f"{first + place}\t{password}\t{NULL}\tf\tf\tt\t{joined}\t{username}\t{username}{mail}"
            f"\t{words.full_name(dice)}\t{dice.choice(words.CITIES)}\t\n"
        )


def fill_shelves(
    people: Ranking, books: Sequence[int], texts: Sequence[words.Text], dice: Random
) -> None:
    """Give each reader up to four books, some progress and some reviews; recount the books."""
    reviewed: set[int] = set()
    for start in range(0, people.count, BATCH_READERS):
        shelf: list[str] = []
        progress: list[str] = []
        reviews: list[str] = []
        for place in range(start, min(start + BATCH_READERS, people.count)):
            reader = people.id(place)
            chosen = {books[int(len(books) * dice.random() ** 2)] for _ in range(dice.randrange(5))}
            for book in sorted(chosen):
                status = dice.choice(SHELVES)
                when = moment(START + int(SPAN * dice.random()))
                shelf.append(f"{reader}\t{book}\t{status}\t{when}\t{when}\n")
                if status in {"lendo", "relendo"}:
                    progress.append(_progress(reader, book, when, dice))
                if status == "lido" and dice.random() < 0.5:
                    reviewed.add(book)
                    rating, said = dice.choice(RATINGS), dice.choice(texts).columns
                    spoiler = "t" if dice.random() < 0.1 else "f"
                    reviews.append(
                        f"{reader}\t{book}\t{rating}\t{spoiler}\t{said}\t{when}\t{NULL}\n"
                    )
        copy(ShelfItem, _SHELF, shelf)
        copy(ReadingProgress, _PROGRESS, progress)
        copy(BookReview, _REVIEW, reviews)
        check_foreign_keys()
    recount_reviews(reviewed)


def _progress(reader: int, book: int, when: str, dice: Random) -> str:
    percent = dice.randint(1, 99)
    if dice.random() < 0.5:
        return f"{reader}\t{book}\t{percent}\t{NULL}\t{NULL}\t{when}\n"
    pages = dice.randint(100, 700)
    page = pages * percent // 100
    return f"{reader}\t{book}\t{page * 100 // pages}\t{page}\t{pages}\t{when}\n"


def recount_reviews(book_ids) -> None:
    """Recount the reviews of these books, whose rows are held in the order of their ids."""
    ids = sorted(set(book_ids))
    books = Book.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    for pk in list(books.values_list("pk", flat=True)):
        sync_reviews(pk)
