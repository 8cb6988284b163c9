"""The one place that hands work to Celery: after the commit, within half a second, never fatal.

A message may be lost, for the broker may be gone. So nothing depends on one: whatever a person
would miss says in its row that it is still to be done, and a sweep finds it within two minutes.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery import Task, current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection, pools
from kombu.exceptions import LimitExceeded, OperationalError
from redis.exceptions import RedisError

from . import queues, redis

logger = logging.getLogger(__name__)


def enqueue(task: Task, *args: Any, queue: str | None = None) -> None:
    """Send ``task`` with ``args`` (ids, plain words) once this transaction commits.

    ``queue`` overrides the task's route. Nothing is raised and nothing returned: the caller's row
    must be found again without the message.
    """

    def send() -> None:  # not a partial: Django reports what fails here by its __qualname__
        publish(task, *args, queue=queue)

    transaction.on_commit(send, robust=True)


def publish(task: Task, *args: Any, queue: str | None = None) -> bool:
    """Send now; whether the broker took it. At most two attempts of 200 ms.

    One failure is enough to publish nothing until a probe finds the broker well, so that it costs
    the first request half a second and the others nothing. The breaker is the publishers' own:
    sessions and limits on the same server are not given up for one slow publish.
    """
    broker = redis.breaker_at(settings.CELERY_BROKER_URL, "publishing to ")
    if broker.is_open:
        return False
    connection = _connection(settings.CELERY_BROKER_URL)
    try:
        with pools.producers[connection].acquire(block=True, timeout=0.5) as producer:
            task.apply_async(args, queue=queue, producer=producer)
    except LimitExceeded:  # other threads are stuck in it already
        return False
    except (OperationalError, RedisError) as error:
        broker.distrust(f"{task.name} was not taken: {error}")
        return False
    return True


def queue_lengths() -> dict[str, int | None]:
    """How many tasks wait in each queue; ``None`` while the broker does not say. One round trip.

    A task that a worker has taken is not waiting.
    """
    try:
        with redis.client_at(settings.CELERY_BROKER_URL).pipeline(transaction=False) as pipe:
            for name in queues.NAMES:
                pipe.llen(name)
            return dict(zip(queues.NAMES, pipe.execute(), strict=True))
    except RedisError:
        return dict.fromkeys(queues.NAMES)


@cache
def _connection(url: str) -> Connection:
    """The publishers' own, which waits much less long than a worker's."""
    return current_app.connection_for_write(url, transport_options=queues.PUBLISHING)
