"""Sets of catalogue rows. Order is its own word and ends in a unique column."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .text import fold

TRIGRAM_LENGTH = 3  # shorter words cannot use the trigram index


def folded_match(column: str, query: str, *, exact: str | None = None) -> Q:
    """Rows whose folded ``column`` contains every word of ``query``.

    A query whose words are all too short for the index matches ``exact`` (default
    ``column``) as a whole instead, so that no search reads the table: "It", "A 5.ª vaga".
    """
    words = fold(query).split()
    if not any(len(word) >= TRIGRAM_LENGTH for word in words):
        return Q(**{exact or column: " ".join(words)}) if words else Q(pk__in=[])
    condition = Q()
    for word in words:
        condition &= Q(**{f"{column}__contains": word})
    return condition


class AuthorQuerySet(models.QuerySet):
    def matching(self, query: str):
        return self.filter(folded_match("folded_name", query))

    def by_name(self):
        return self.order_by("folded_name", "pk")


class BookQuerySet(models.QuerySet):
    POPULAR = ("-ratings_count", "-id")
    BY_TITLE = ("folded_title", "id")
    NEWEST = ("-created_at", "-id")

    def matching(self, query: str):
        return self.filter(folded_match("search_text", query, exact="folded_title"))

    def for_cards(self):
        """What a cover and its caption show; ``byline`` spares the join."""
        return self.only(
            "title", "slug", "byline", "year", "language", "ratings_count", "average_rating",
            "reviews_count", "rating_histogram", "folded_title", "created_at",
        )  # fmt: skip

    def filtered(self, *, category=None, language="", first_year=None, last_year=None):
        """Books in ``category``, of ``language``, first published between the two years."""
        books = self
        if category:
            books = books.filter(categories=category)
        if language:
            books = books.filter(language=language)
        if first_year is not None:
            books = books.filter(year__gte=first_year)
        if last_year is not None:
            books = books.filter(year__lte=last_year)
        return books

    def newest(self):
        return self.order_by(*self.NEWEST)
