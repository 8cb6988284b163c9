"""The web server as the Procfile starts it, and what its processes use."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from core.embedded import procfile
from core.embedded.processes import free_port

ROOT = Path(__file__).resolve().parent.parent
SITE, BARE = "cgbookstore.wsgi:application", "benchmarks.bare.wsgi:application"
START_SECONDS = 30
STOP_SECONDS = 15
MEGABYTE = 1024 * 1024


class ServerFailed(Exception):
    """The server did not come up, or answered something else than it should."""


def command(application: str) -> str:
    """The Procfile's web line, serving ``application``."""
    line = procfile.commands(ROOT)["web"]
    if SITE not in line:
        raise ServerFailed(f"The Procfile's web line does not name {SITE}.")
    return line.replace(SITE, application)


class Server:
    """A running web server; ``stop`` ends its whole group."""

    def __init__(self, application: str, env: dict[str, str], log: Path):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", command(application)],
                cwd=ROOT,
                env=env | {"HOST": "127.0.0.1", "PORT": str(self.port)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, ServerFailed):
                if self.ask("/healthz").status == 200:
                    return
            time.sleep(0.1)
        last = self.log.read_text(errors="replace")[-1500:]
        raise ServerFailed(f"The web server did not answer within {START_SECONDS} s:\n{last}")

    def stop(self) -> None:
        """Stop it in order, within 15 s; after that it is killed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def cpu_seconds(self) -> float:
        """What master and workers have used since they started."""
        total = 0.0
        for process in (psutil.Process(self.process.pid), *self.workers()):
            used = process.cpu_times()
            total += used.user + used.system
        return total

    def megabytes(self) -> tuple[float, float]:
        """RSS and, where the system tells it, PSS of the largest worker."""
        used = [process.memory_full_info() for process in self.workers()]
        largest = max(used, key=lambda info: info.rss)
        return largest.rss / MEGABYTE, getattr(largest, "pss", 0) / MEGABYTE

    def ask(self, path: str, **headers: str) -> Answer:
        """Ask once as wrk asks: HTTP/1.1, no ``Accept-Encoding``."""
        named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{named}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall(head.encode())
            return Answer(_whole(line))


def _whole(line: socket.socket) -> bytes:
    """Read one answer that says how long it is."""
    got = b""
    for part in iter(lambda: line.recv(65536), b""):
        got += part
        head, end, body = got.partition(b"\r\n\r\n")
        if not end:
            continue
        length = _fields(head).get("content-length")
        if length is None:
            raise ServerFailed("an answer without Content-Length")
        if len(body) >= int(length):
            return got
    raise ServerFailed("an answer that broke off")


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


class Answer:
    def __init__(self, raw: bytes):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.status = int(head.split(b" ", 2)[1])
        self.headers = _fields(head)
        self.head_bytes = len(raw) - len(self.body)
        self.bytes = len(raw)


@contextlib.contextmanager
def running(application: str, env: dict[str, str], log: Path) -> Iterator[Server]:
    server = Server(application, env, log)
    try:
        yield server
    finally:
        server.stop()
