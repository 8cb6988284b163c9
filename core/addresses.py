"""Addresses of servers, for the settings. Imports nothing of Django."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit


def redis_database(url: str, number: int) -> str:
    """Return ``url`` with database ``number``; a ``db`` in its query would win over the path."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "db"]
    if parts.scheme == "unix":
        return f"unix://{parts.path}?{urlencode([*query, ('db', number)])}"
    return parts._replace(path=f"/{number}", query=urlencode(query)).geturl()
