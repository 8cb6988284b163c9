"""Writes of the catalogue that touch more than one row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction

from .models import Book

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Refused(Exception):
    """A write the house declines, with a sentence for the reader in ``message``."""

    message: StrOrPromise = ""

    def __init__(self, message: StrOrPromise = ""):
        self.message = message or self.message
        super().__init__(str(self.message))


@transaction.atomic
def sync_byline(book_ids: Iterable[int]) -> None:
    """Recompute ``byline`` and ``search_text`` from the credits; locks the books in id order."""
    books = Book.objects.filter(pk__in=list(book_ids)).order_by("pk").select_for_update(no_key=True)
    for book in books.prefetch_related("credits__author"):
        book.derive(credit.author.name for credit in book.credits.all())
        book.save(update_fields=["title", "byline"])
