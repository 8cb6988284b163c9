"""The broker as somebody asks it who only watches: bounded, and past Celery's own connections."""

from __future__ import annotations

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from .redis import CONNECT_SECONDS, READ_SECONDS


def client() -> redis.Redis:
    """A client of the broker that waits no longer than a page's does. Close it after use."""
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=READ_SECONDS,
        retry=Retry(NoBackoff(), 0),  # redis-py would try three times, with pauses
    )


def lengths(queues: list[str]) -> dict[str, int]:
    """How many tasks wait in each of ``queues``. One round trip; raises ``RedisError``."""
    with client() as broker, broker.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.llen(queue)
        return dict(zip(queues, pipe.execute(), strict=True))
