"""A Redis that a test may kill, hang, fill and bring back, and a slow line to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import redis
from django.conf import settings

from core import embedded
from core.addresses import redis_database
from core.embedded import record, throwaway
from core.embedded.processes import identity

from .servers import wait_for

DATABASES = {"default": 1, "pages": 1, "sessions": 2, "ratelimit": 3}
ROOMS = settings.CACHES  # as they are outside of any test
BANNED = ("-flushdb", "-flushall", "-keys")  # what the site must be able to do without


class OwnRedis:
    """One server. It keeps its port, and its data when it is ``saved`` before it is killed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.start()
        self.ask = redis.Redis.from_url(self.url, socket_timeout=10)

    def start(self) -> None:
        self.url = str(embedded.start(self.folder, services=["redis"]).redis_url)
        self.pid = record.read(self.folder)["redis"].pid
        with contextlib.closing(redis.Redis.from_url(self.url)) as client:
            client.acl_setuser("default", enabled=True, commands=BANNED)

    def kill(self) -> None:
        """From now on connections are refused; what was saved comes back with ``start``."""
        os.kill(self.pid, signal.SIGKILL)
        wait_for(lambda: identity(self.pid) is None, "Redis outlived SIGKILL")

    def hang(self) -> None:
        """It takes connections and commands, and answers none."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def fill(self) -> None:
        """It answers reads; every write that needs memory gets OOM."""
        self.ask.config_set("maxmemory-policy", "noeviction")
        self.ask.config_set("maxmemory", 1)

    def make_room(self) -> None:
        self.ask.config_set("maxmemory", 0)

    def calls(self, command: str) -> int:
        """How often ``command`` reached the server since it started, refused or not."""
        found = self.ask.info("commandstats").get(f"cmdstat_{command}", {})
        return int(found.get("calls", 0)) + int(found.get("rejected_calls", 0))

    def room(self, alias: str) -> redis.Redis:
        """A plain client of one room, past breaker and timeouts. The caller closes it."""
        return redis.Redis.from_url(redis_database(self.url, DATABASES[alias]), socket_timeout=10)

    def keys(self, alias: str, word: str = "") -> list[bytes]:
        """The keys of one room that hold ``word``."""
        with contextlib.closing(self.room(alias)) as client:
            return [key for key in client.scan_iter(count=1000) if word.encode() in key]


@contextlib.contextmanager
def own_redis() -> Iterator[OwnRedis]:
    """Yield a Redis of the test's own; it and its data are gone after, however it was left."""
    with throwaway.folder() as folder:
        found = None
        try:
            found = OwnRedis(folder)
            yield found
        finally:
            if found is not None:
                with contextlib.suppress(ProcessLookupError):
                    found.go_on()
                found.ask.close()


def rooms_at(url: str, *aliases: str) -> dict[str, dict]:
    """The rooms, these of them on the server of ``url``, or all."""
    moved = {
        alias: {**ROOMS[alias], "LOCATION": redis_database(url, DATABASES[alias])}
        for alias in aliases or ROOMS
    }
    return {**ROOMS, **moved}


class SlowLine:
    """A TCP proxy before a server; each answer waits ``delay`` seconds."""

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self.delay = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = [self._listener]
        port = self._listener.getsockname()[1]
        self.url = url.replace(f":{parts.port}/", f":{port}/")
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return  # closed
            self._ends += [client, server]
            for words in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._pump, args=words)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):  # one end has gone, and takes the other along
            while data := source.recv(65536):
                if is_answer and self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in self._ends:
            end.close()
