"""The Redis client behind Django's caches: it cannot empty a database that others share."""

from __future__ import annotations

from django_redis.client import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

SCAN_BATCH_KEYS = 500


class Client(DefaultClient):
    """django-redis' client whose ``clear()`` takes only this alias' own keys.

    Django's and django-redis' ``clear()`` is FLUSHDB: it would take sessions, counters and
    queued tasks of every site that shares the database with it.
    """

    def clear(self, client=None) -> None:
        """Unlink the keys under this alias' prefix, in batches; never FLUSHDB."""
        client = client or self.get_client(write=True)
        pattern = self.make_pattern("*")
        batch: list[bytes] = []
        try:
            for key in client.scan_iter(match=pattern, count=SCAN_BATCH_KEYS):
                batch.append(key)
                if len(batch) >= SCAN_BATCH_KEYS:
                    client.unlink(*batch)
                    batch.clear()
            if batch:
                client.unlink(*batch)
        except RedisError as error:  # the backend decides what a dead server costs
            raise ConnectionInterrupted(connection=client) from error
