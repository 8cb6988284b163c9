"""Shapes of path parts beyond Django's own."""

from django.urls.converters import IntConverter

ID_DIGITS = 18  # so that an id always fits a bigint


class IdConverter(IntConverter):
    """A row's id: at most ``ID_DIGITS`` digits."""

    regex = f"[0-9]{{1,{ID_DIGITS}}}"
