"""Text as people type it: folding for search, addresses for pages."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable
from html import unescape
from typing import TypeVar

from django.db import IntegrityError, models, transaction
from django.utils.html import strip_tags
from django.utils.text import Truncator, slugify

Row = TypeVar("Row", bound=models.Model)

SLUG_LENGTH = 220
_SLUG_BASE_LENGTH = 180
_SLUG_ATTEMPTS = 6
_APOSTROPHES = re.compile(r"['’‘`´]")
_NOT_WORD = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return ``text`` without case, accents or punctuation, words one space apart.

    ``fold("São Bernardo: o d'água")`` is ``"sao bernardo o dagua"``. The same function
    folds what is stored and what is searched for.
    """
    decomposed = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _NOT_WORD.sub(" ", bare.casefold()).strip()


def has_visible(text: str) -> bool:
    """Whether ``text`` holds a character that shows: not space, control, format or unassigned."""
    return any(unicodedata.category(char)[0] not in "ZC" for char in text)


def excerpt(html: str, length: int) -> str:
    """Return the beginning of rendered words as plain text on one line: at most ``length`` characters."""
    words = " ".join(unescape(strip_tags(html)).split())
    # said here: Brazilian Portuguese would put a space before them
    return Truncator(words).chars(length, truncate="…")


def slug_base(text: str, *, fallback: str) -> str:
    """Return the ASCII slug of ``text``, cut at a word; ``fallback`` when nothing is left."""
    slug = slugify(text)
    if len(slug) > _SLUG_BASE_LENGTH:
        cut = slug[:_SLUG_BASE_LENGTH]
        slug = cut.rpartition("-")[0] or cut
    return slug or fallback


def create_with_slug(text: str, *, fallback: str, create: Callable[[str], Row]) -> Row:
    """Return ``create(slug)`` for a slug nobody holds yet.

    Two requests with one title may race, so the unique constraint decides and not a look
    before: a taken slug is tried again with a random tail, at most six times. Each attempt
    is a savepoint. Raises ``IntegrityError`` for any other broken constraint.
    """
    base = slug_base(text, fallback=fallback)
    for attempt in range(_SLUG_ATTEMPTS):
        slug = base if attempt == 0 else f"{base}-{secrets.token_hex(3)}"
        try:
            with transaction.atomic():
                return create(slug)
        except IntegrityError as error:
            if "slug" not in str(error) or attempt == _SLUG_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")
