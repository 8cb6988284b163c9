"""Shapes of path parts beyond Django's own."""

from django.urls.converters import IntConverter


class IdConverter(IntConverter):
    """A row's id: at most 18 digits, so that it always fits a bigint."""

    regex = "[0-9]{1,18}"
