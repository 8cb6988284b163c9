"""Kombu's Redis transport, with one error called by its name.

When the broker goes while a worker holds messages, kombu closes the connection and then asks it for
a client, to put the messages back. That is an ``AttributeError``, which nobody expects: the worker
ends (celery 5.7.0, kombu 5.7.0). As the lost connection that it is, the worker logs it and connects
again; the messages come back after the visibility timeout, and what a person would miss before.
"""

from __future__ import annotations

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError


class Channel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> dict:
        if self.connection.client is None:
            raise ConnectionError("the connection to the broker is closed")
        return super()._connparams(asynchronous)


class Transport(redis.Transport):
    Channel = Channel


def install() -> None:
    """Let ``redis://`` and ``rediss://`` mean this transport in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
