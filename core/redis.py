"""Whether Redis is up for this process, and the clients that ask first.

Everything that speaks to Redis for the site goes through ``Redis`` below, so that a server
that is gone, hangs, is full or is slow costs three calls at most, then nothing: the breaker of
that server opens, every call fails at once, and a thread asks every two seconds whether
it is back. Nobody else catches Redis' errors; callers outside Django's caches use
``attempt``.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import redis
from django.core.cache import caches, close_caches
from django.core.signals import request_finished
from django_redis.client import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from django_redis.serializers.base import BaseSerializer
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from .metrics import counting

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_SECONDS = 0.1
READ_SECONDS = 0.25  # a call that takes longer counts as a failure, answered or not
FAILURES_TO_OPEN = 3
FAILURES_WITHIN_SECONDS = 1.0
PROBE_EVERY_SECONDS = 2.0
PROBE_KEY = "cgbookstore-probe"
SCAN_BATCH_KEYS = 500
# What says that the server is no use, and not that a command was wrong.
FAULTS = (ConnectionError, RedisTimeout)
# It is full or a replica, cannot save, or misses its replicas. It answers reads, but nobody hears
# of a write any more: one such answer is enough, a process that mostly reads gets no second.
REFUSALS = (OutOfMemoryError, ReadOnlyError)
REFUSING = ("MISCONF", "NOREPLICAS")


class Unavailable(ConnectionError):
    """The breaker is open: Redis was not asked."""


def _takes_no_writes(error: RedisError) -> bool:
    return isinstance(error, REFUSALS) or any(word in str(error) for word in REFUSING)


class Breaker:
    """What this process knows of one server."""

    def __init__(self, address: str, probe: Callable[[], object]):
        self.address = address
        self.is_open = False
        self._probe = probe
        self._failures: deque[float] = deque(maxlen=FAILURES_TO_OPEN)
        self._lock = threading.Lock()
        self._retired = threading.Event()

    def call(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run ``work``; raises ``Unavailable`` without running it while the breaker is open."""
        if self.is_open:
            raise Unavailable(f"{self.address} is down")
        begun = time.monotonic()
        try:
            answer = work(*args, **kwargs)
        except RedisError as error:
            if _takes_no_writes(error):
                self._failed(error, enough=1)
            elif isinstance(error, FAULTS):
                self._failed(error)
            raise
        took = time.monotonic() - begun
        if took > READ_SECONDS:
            self._failed(f"answered after {took:.3f} s")
        return answer

    def distrust(self, why: str) -> None:
        """Take the server for gone until a probe finds it well."""
        self._failed(why, enough=1)

    def _failed(self, fault: object, *, enough: int = FAILURES_TO_OPEN) -> None:
        now = time.monotonic()
        with self._lock:
            self._failures.append(now)
            recent = [then for then in self._failures if now - then <= FAILURES_WITHIN_SECONDS]
            if self.is_open or len(recent) < enough:
                return
            self.is_open = True
            self._failures.clear()
        counting.count("redis_breaker_opened", self.address)
        counting.hold(1, "redis_breaker_open", self.address)
        logger.error("redis is down address=%s: %s", self.address, fault)
        threading.Thread(target=self._wait_for_it, name="redis-probe", daemon=True).start()

    def _wait_for_it(self) -> None:
        begun = time.monotonic()
        while not self._retired.wait(PROBE_EVERY_SECONDS):
            if self._is_back():
                self.is_open = False
                counting.hold(0, "redis_breaker_open", self.address)
                seconds = time.monotonic() - begun
                logger.warning("redis is back address=%s after=%.0fs", self.address, seconds)
                return

    def _is_back(self) -> bool:
        """Ask, and let those who owe something pay it before anybody reads."""
        begun = time.monotonic()
        try:
            self._probe()
            if time.monotonic() - begun > READ_SECONDS:
                return False
            for alias, work in _before_return:
                if breaker_of(alias) is self:
                    work()
        except RedisError:
            return False
        except Exception:  # a fault of ours must not end the only thread that asks
            logger.exception("redis stays down address=%s", self.address)
            return False
        return True

    def retire(self) -> None:
        """Stop asking; for a process that forgets this server."""
        self._retired.set()


_breakers: dict[str, Breaker] = {}
_breakers_lock = threading.Lock()
_before_return: list[tuple[str, Callable[[], object]]] = []


def before_return(alias: str, work: Callable[[], object]) -> None:
    """Run ``work`` when the server of the room ``alias`` answers again, before anybody reads it.

    It may raise ``RedisError``, which leaves the breaker open; it uses ``unguarded`` clients.
    """
    _before_return.append((alias, work))


def distrust(alias: str, why: str) -> None:
    """Take the server of the room ``alias`` for gone, until what is owed to it is paid."""
    breaker_of(alias).distrust(why)


def forget() -> None:
    """Know nothing of any server, as a new process does."""
    with _breakers_lock:
        for breaker in _breakers.values():
            breaker.retire()
        _breakers.clear()


def _forget_in_child() -> None:
    """A child has the parent's breakers, but not the threads that would close them or free a lock."""
    global _breakers_lock
    _breakers_lock = threading.Lock()
    _breakers.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _breaker(pool: redis.ConnectionPool, purpose: str = "") -> Breaker:
    address = purpose + _address(pool)
    breaker = _breakers.get(address)
    if breaker is None:
        asker = redis.Redis(
            connection_pool=Pool(
                connection_class=pool.connection_class, max_connections=1, **pool.connection_kwargs
            )
        )

        def probe() -> None:
            asker.set(PROBE_KEY, 1, px=1000)  # a write: a full server reads, but is no use

        with _breakers_lock:
            breaker = _breakers.setdefault(address, Breaker(address, probe))
        counting.hold(int(breaker.is_open), "redis_breaker_open", address)
    return breaker


def _address(pool: redis.ConnectionPool) -> str:
    """Where a pool leads: its socket, or host and port; databases of one server are one."""
    where = pool.connection_kwargs
    return where.get("path") or f"{where.get('host')}:{where.get('port')}"


class _Unasked:
    """A connection that is used without asking first whether it is still there.

    redis-py asks before each command: two system calls, a third of what a command costs. One
    that was dropped shows it at the command, and ``Pool`` tries again.
    """

    def can_read(self, timeout: float = 0) -> bool:
        return False


class Pool(redis.ConnectionPool):
    """Connections that try a dropped one again at once, and a silent one never.

    redis-py would try three times with growing pauses of up to ten seconds. After a restart
    of the server every kept connection is dropped, so one more attempt spares its first reader.
    """

    def __init__(self, connection_class: type = redis.Connection, **kwargs: Any):
        if not issubclass(connection_class, _Unasked):
            connection_class = type("Connection", (_Unasked, connection_class), {})
        kwargs["retry"] = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
        super().__init__(connection_class, **kwargs)

    def get_connection(self, *_old: Any, **_words: Any) -> Any:
        """redis-py's own without what it counts for others, which costs more than the rest."""
        self._checkpid()
        with self._lock:
            free = self._available_connections
            connection = free.pop() if free else self.make_connection()
            self._in_use_connections.add(connection)
        try:
            connection.connect()  # where it is not
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """The same; a connection of the process before a fork is not kept."""
        self._checkpid()
        with self._lock:
            if connection not in self._in_use_connections:
                return
            self._in_use_connections.remove(connection)
            if self.owns_connection(connection):
                if connection.should_reconnect():  # the server said that it moves
                    connection.disconnect()
                self._available_connections.append(connection)
                return
        connection.disconnect()


class Pipeline(redis.client.Pipeline):
    def execute(self, raise_on_error: bool = True) -> list[Any]:
        return _breaker(self.connection_pool).call(super().execute, raise_on_error)


class Redis(redis.Redis):
    """redis-py's client behind the breaker of its server."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return _breaker(self.connection_pool).call(self._execute_command, *args, **options)

    def _execute_command(self, *args: Any, **options: Any) -> Any:
        """redis-py's own without what it counts for others: 7 microseconds of CPU, not 16.

        A dropped connection is tried once more; one that failed closed itself. One that was left
        between question and answer (a task's time was up) is closed: nobody may read the answer.
        """
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            try:
                return self._send_command_parse_response(connection, args[0], *args, **options)
            except ConnectionError:
                return self._send_command_parse_response(connection, args[0], *args, **options)
        except RedisError:
            raise  # it was answered, or closed
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


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


_COUNT = """
local counts = {}
for i, key in ipairs(KEYS) do
    if redis.call('SET', key, 1, 'NX', 'PX', ARGV[i]) then counts[i] = 1
    else counts[i] = redis.call('INCR', key) end
end
return counts
"""


def count(alias: str, counters: Mapping[str, int]) -> list[int] | None:
    """Count one in each of ``counters`` of the room ``alias``, names and their lifetimes in seconds.

    Returns the counts, this one among them, in one round trip; ``None`` while Redis is no use.
    """
    names = [str(caches[alias].make_key(name)) for name in counters]
    lifetimes = [seconds * 1000 for seconds in counters.values()]
    return attempt(alias, lambda client: client.eval(_COUNT, len(names), *names, *lifetimes), None)


class BytesSerializer(BaseSerializer):
    """Pages are bytes already."""

    def dumps(self, value: Any) -> bytes:
        return bytes(value)

    def loads(self, value: bytes) -> bytes:
        return value


def keep_connections() -> None:
    """Close no cache after a request: django-redis keeps its connections, so it does nothing, slowly."""
    request_finished.disconnect(close_caches)


def breaker_of(alias: str) -> Breaker:
    """What this process knows of the server behind the room ``alias``."""
    return _breaker(client(alias).connection_pool)


@cache
def _pool_at(url: str) -> Pool:
    return Pool.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=READ_SECONDS, max_connections=4
    )


def breaker_at(url: str, purpose: str = "") -> Breaker:
    """The same of the server at ``url``; one for all databases of a server and each ``purpose``."""
    return _breaker(_pool_at(url), purpose)


def client_at(url: str) -> redis.Redis:
    """A client of the server at ``url``, behind the breaker: for what is no room, the broker."""
    return Redis(connection_pool=_pool_at(url))


def client(alias: str) -> redis.Redis:
    """redis-py's client of the room ``alias``, behind the breaker."""
    return caches[alias].client.get_client(write=True)  # type: ignore[attr-defined]  # django-redis


def unguarded(alias: str) -> redis.Redis:
    """The same past the breaker: for what must be done before it closes."""
    return redis.Redis(connection_pool=client(alias).connection_pool)


def evicting_server(url: str) -> str:
    """Return where ``url`` leads if that server, once full, takes any key to make room; else ``""``."""
    server = redis.Redis.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=READ_SECONDS
    )
    with server:
        try:
            policy = server.config_get("maxmemory-policy")
        except RedisError:
            return ""
    evicts = str(policy.get("maxmemory-policy", "")).startswith("allkeys-")
    return _address(server.connection_pool) if evicts else ""


def attempt(alias: str, work: Callable[[redis.Redis], T], default: T) -> T:
    """Return ``work(client)`` in the room ``alias``, or ``default`` while Redis is no use."""
    try:
        return work(client(alias))
    except RedisError as error:
        _log_ignored(alias, error)
        return default


ignored = logging.getLogger("core.redis.ignored")


def _log_ignored(alias: str, error: RedisError) -> None:
    if not isinstance(error, Unavailable):
        ignored.error("redis did not answer room=%s: %s", alias, error)


class OnceAMinute(logging.Filter):
    """Let through one message a minute and place; what the breaker spared is no message.

    ``settings.LOGGING`` puts it on what happens with every request while Redis is gone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        while error is not None:
            if isinstance(error, Unavailable):
                return False
            error = error.__cause__
        now, place = time.monotonic(), (record.pathname, record.lineno)
        if now - self._last.get(place, -60.0) < 60:
            return False
        self._last[place] = now
        return True
