"""Real workers and Beats of the site on the test's database, and their sudden end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from django.conf import settings

from core import queues
from tests.servers import child_environment

READY_SECONDS = 60


class Process:
    """A Celery process with a group of its own, so that its children end with it."""

    def __init__(self, log: Path, *words: str, ready: str, **environment: str):
        self.log = log
        environment.setdefault("CELERY_BROKER_URL", settings.CELERY_BROKER_URL)
        with log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "cgbookstore", *words, "-l", "info"],
                cwd=settings.BASE_DIR, env=child_environment(**environment), stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip
        self.wait_for(ready)

    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, times: int = 1, seconds: float = READY_SECONDS) -> None:
        """Wait until the log has ``words`` that often."""
        until = time.monotonic() + seconds
        while self.said().count(words) < times:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def kill(self) -> None:
        """As the machine does when memory runs out: parent and children, no word to anybody."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and see that it does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.kill()


@contextlib.contextmanager
def worker(log: Path, *names: str, **environment: str) -> Iterator[Process]:
    """A worker that serves the queues ``names``, or all; it has one child."""
    words = ["-Q", ",".join(names)] if names else []
    found = Process(
        log, "worker", *words, "--concurrency", "1", "-n", f"{log.stem}-{os.getpid()}@%h",
        ready=" ready.", **environment,
    )  # fmt: skip
    try:
        yield found
    finally:
        found.kill()


@contextlib.contextmanager
def beat(log: Path, **environment: str) -> Iterator[Process]:
    found = Process(log, "beat", ready="beat: Starting", **environment)
    try:
        yield found
    finally:
        found.kill()


def empty_queues() -> None:
    """Take away what other tests left waiting, or a killed worker unfinished."""
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker:
        broker.delete(*queues.NAMES, "unacked", "unacked_index", "unacked_mutex")
