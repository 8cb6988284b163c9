"""Addresses of servers, for the settings. Imports nothing of Django."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import parse_qsl, urlencode, urlsplit

from .embedded.errors import SetUpMissing

Network = IPv4Network | IPv6Network


def redis_database(url: str, number: int) -> str:
    """Return ``url`` with database ``number``; a ``db`` in its query would win over the path."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "db"]
    if parts.scheme == "unix":
        return f"unix://{parts.path}?{urlencode([*query, ('db', number)])}"
    return parts._replace(path=f"/{number}", query=urlencode(query)).geturl()


def metrics_networks(words: str) -> list[Network]:
    """Return the networks that ``METRICS_NETWORKS`` names, separated by commas."""
    try:
        return [ip_network(word.strip()) for word in words.split(",") if word.strip()]
    except ValueError as error:
        raise SetUpMissing(
            f"METRICS_NETWORKS is networks separated by commas, like 10.0.0.0/8: {error}"
        ) from error
