"""Ids as people and addresses write them."""

from django.urls.converters import IntConverter

ID_DIGITS = 18  # so that an id always fits a bigint


def as_id(text: str) -> int | None:
    """Return ``text`` as the id it may be."""
    decimal = text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS
    return int(text) if decimal else None


class IdConverter(IntConverter):
    """A row's id: at most ``ID_DIGITS`` digits."""

    regex = f"[0-9]{{1,{ID_DIGITS}}}"
