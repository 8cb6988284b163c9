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


def broker_address(given: str, redis_url: str) -> str:
    """Return where tasks wait: ``given``, or database 0 of the server at ``redis_url``.

    Raises ``SetUpMissing`` for what Celery's transport cannot reach, which it would not say before
    the first message, and then in a log.
    """
    url = given or redis_database(redis_url, 0)
    if urlsplit(url).scheme not in {"redis", "rediss"}:
        whose = "CELERY_BROKER_URL" if given else "CELERY_BROKER_URL is unset, and REDIS_URL"
        raise SetUpMissing(f"{whose} must start with redis:// or rediss:// for Celery to reach it.")
    return url
