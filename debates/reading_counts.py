"""How often a debate is read.

A reading is counted in the process, gathered with others in one Redis hash within a second,
and folded into ``DebateTopic.views_count`` by Beat: the request pays for a lock and a dict.
A batch is the hash under a name of its own; the hash says from its first reading on which batch
it is, and that ``ViewBatch`` row is inserted with the update, so that it is folded once however
often it is tried, and once when Redis comes back with an older state of itself. While Redis is no use readings
are dropped: a number that lags is no reason to write on a GET.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache, partial
from multiprocessing import util
from threading import Lock, Timer
from typing import cast
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils import timezone
from redis import Redis

from core.redis import attempt

from .models import DebateTopic, ViewBatch

ROOM = "ratelimit"  # counters live there: nothing evicts them for the sake of a page
IDENTITY = "batch"  # the field of the hash beside those of the debates
FLUSH_SECONDS = 1.0
MOST_DEBATES = 10_000  # counted between two flushes; more than a process can serve in a second
CHUNK_ROWS = 1_000  # debates locked and updated by one statement
BATCHES_KEPT = timedelta(days=30)  # how long a batch that Redis brings back is still known

# Who reads without a reader: crawlers, previews of links in chats, watchers, libraries. Cubot is
# a telephone. Headless browsers are somebody's test.
_ROBOTS = re.compile(
    r"(?<!cu)bot|crawl|spider|slurp|archiver|externalhit|externalagent|preview|embedly|whatsapp"
    r"|headless|lighthouse|pingdom|monitor|check|scan|feed|mediapartners|googleother"
    r"|chatgpt-user|perplexity|claude-user|curl|wget|python|aiohttp|httpx|java/|okhttp|go-http"
    r"|node-fetch|axios|ruby|perl|php|scrapy|postman|insomnia|locust",
    re.IGNORECASE,
)
_PREFETCH_HEADERS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")


# --- counting ----------------------------------------------------------------------


def seen(request: HttpRequest, topic_id: int, *, is_creator: bool = False) -> None:
    """Count one reading of a debate, unless nobody reads: HEAD, robots, prefetching, its creator.

    No query, no round trip, and ``request.user`` is not touched.
    """
    if is_creator or request.method != "GET" or _is_prefetched(request):
        return
    if not _is_robot(request.META.get("HTTP_USER_AGENT", "")):
        _counts.add(topic_id)


def _is_prefetched(request: HttpRequest) -> bool:
    """Whether a browser fetches the page in case somebody asks for it."""
    return any(
        word in request.META[name].lower()
        for name in _PREFETCH_HEADERS
        if name in request.META
        for word in ("prefetch", "prerender", "preview")
    )


@lru_cache(maxsize=1024)
def _is_robot(agent: str) -> bool:
    return not agent.strip() or _ROBOTS.search(agent) is not None


class _Counts:
    """The readings of this process that Redis does not know yet: at most a second's."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing; in a child process, whose parent keeps the lock, the timer and the counts."""
        self._lock = Lock()
        self._readings: dict[int, int] = {}
        self._timer: Timer | None = None

    def add(self, topic_id: int) -> None:
        with self._lock:
            if topic_id in self._readings or len(self._readings) < MOST_DEBATES:
                self._readings[topic_id] = self._readings.get(topic_id, 0) + 1
            if self._timer is None:
                self._timer = Timer(FLUSH_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Hand everything to Redis in one round trip, or drop it. Never raises."""
        with self._lock:
            readings, self._readings = self._readings, {}
            self._timer = None

        def send(client: Redis) -> None:
            with client.pipeline(transaction=False) as pipe:
                pipe.hsetnx(_key(), IDENTITY, str(uuid4()))
                for topic_id, number in readings.items():
                    pipe.hincrby(_key(), str(topic_id), number)
                pipe.execute()

        if readings:
            attempt(ROOM, send, None)


def _key(*names: str) -> str:
    """The hash; with a name, what belongs to it. Under the room's prefix, which a test run changes."""
    prefix = settings.CACHES[ROOM]["KEY_PREFIX"]
    return ":".join([prefix, "1", "cgbookstore-readings", *names])


_counts = _Counts()
os.register_at_fork(after_in_child=_counts.forget)
# What gathered in the last second. granian's workers end through multiprocessing: no atexit there,
# and where there is one, multiprocessing's own is run by it.
util.Finalize(None, _counts.flush, exitpriority=1)


# --- folding -----------------------------------------------------------------------


def fold() -> None:
    """Add what Redis gathered to the debates' rows. Repeatable, and safe to run twice at once.

    What a run leaves behind (Redis or Postgres fails, the worker is killed) the next one finds
    among the pending batches.
    """
    pending = attempt(ROOM, _close, None)
    if pending is None:
        return
    for batch in pending:
        found = attempt(ROOM, partial(_read, batch), None)
        if found is None:
            return
        identity, readings = found
        if readings:
            _add(identity, readings)
        attempt(ROOM, partial(_drop, batch), None)
    if attempt(ROOM, _is_done, False):
        # what Redis has not forgotten must not be forgotten here
        ViewBatch.objects.filter(created_at__lt=timezone.now() - BATCHES_KEPT).delete()


def _close(client: Redis) -> list[UUID]:
    """Give the hash a name of its own, if there is one; return all batches that wait."""
    if client.exists(_key()):
        batch = uuid4()
        with client.pipeline(transaction=True) as pipe:
            pipe.sadd(_key("pending"), str(batch))
            pipe.rename(_key(), _key(str(batch)))
            # another worker may have been faster: then there is nothing to rename, and an
            # empty batch waits
            pipe.execute(raise_on_error=False)
    names = cast(set[bytes], client.smembers(_key("pending")))
    return sorted(UUID(name.decode()) for name in names)


def _read(batch: UUID, client: Redis) -> tuple[UUID, dict[int, int]]:
    """The readings of ``batch`` by debate, fetched in bounded pieces, and which batch they are.

    Not the one whose name the hash bears: a hash that was folded, and that an older state of
    Redis brings back, bears another one the second time.
    """
    found = dict(client.hscan_iter(_key(str(batch)), count=CHUNK_ROWS))
    own = found.pop(IDENTITY.encode(), str(batch).encode())
    return UUID(own.decode()), {int(topic_id): int(number) for topic_id, number in found.items()}


def _drop(batch: UUID, client: Redis) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.unlink(_key(str(batch)))
        pipe.srem(_key("pending"), str(batch))
        pipe.execute()


def _is_done(client: Redis) -> bool:
    return not client.exists(_key("pending"))


@transaction.atomic
def _add(batch: UUID, readings: dict[int, int]) -> None:
    """Add ``readings`` to the rows unless that was done before; debates that are gone are skipped.

    A second worker waits at the insert until the first one has committed, and then finds it.
    Rows are locked in the order of their ids; nothing else of them changes.
    """
    _row, is_new = ViewBatch.objects.get_or_create(pk=batch)
    if not is_new:
        return
    for ids in _chunks(sorted(readings)):
        rows = DebateTopic.objects.filter(pk__in=ids).order_by("pk")
        locked = list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE debates_debatetopic SET views_count = views_count + reading.number"
                " FROM unnest(%s::bigint[], %s::bigint[]) AS reading(topic_id, number)"
                " WHERE debates_debatetopic.id = reading.topic_id",
                [locked, [readings[pk] for pk in locked]],
            )


def _chunks(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + CHUNK_ROWS] for start in range(0, len(ids), CHUNK_ROWS))
