"""What makes core's pages stale. The floors above name their own in ``<app>/cache.py``."""

from __future__ import annotations

from . import cache

# Authors, categories and books as staff and imports write them: so rare that one token serves.
CATALOGUE = "core.catalogue"


def book(slug: str) -> str:
    """The scope of one book's page: its reviews and debates change far oftener than it does."""
    return f"core.book.{slug}"


def catalogue_changed() -> None:
    cache.bump(CATALOGUE)


def book_changed(slug: str) -> None:
    cache.bump(book(slug))
