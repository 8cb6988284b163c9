"""Django's caches over Redis: one room a purpose, each with its own prefix. Read by settings."""

from __future__ import annotations

from typing import Any

JSON = "django_redis.serializers.json.JSONSerializer"


def room(
    url: str,
    prefix: str,
    timeout: int,
    *,
    serializer: str = JSON,
) -> dict[str, Any]:
    """Return one entry of ``CACHES``; a dead server costs a miss, never an exception.

    ``timeout`` in seconds. The prefix keeps the rooms apart where somebody gives them one
    database; nothing is pickled.
    """
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": prefix,
        "TIMEOUT": timeout,
        "OPTIONS": {
            "CLIENT_CLASS": "core.redis.Client",
            "REDIS_CLIENT_CLASS": "core.redis.Redis",
            "CONNECTION_POOL_CLASS": "core.redis.Pool",
            "CONNECTION_POOL_KWARGS": {"max_connections": 50},
            "SOCKET_CONNECT_TIMEOUT": 0.1,
            "SOCKET_TIMEOUT": 0.25,
            "IGNORE_EXCEPTIONS": True,
            "SERIALIZER": serializer,
        },
    }
