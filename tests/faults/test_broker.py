"""A worker whose broker goes while it holds messages goes on once it is back."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from django.conf import settings
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from cgbookstore.celery import app
from core.models import Heartbeat
from core.tasks import heartbeat
from tests.servers import child_environment

from .own_redis import own_redis
from .servers import wait_for

READY_SECONDS = 60
OUTAGES = 3


class Busy:
    """Sends a task every few milliseconds, as long as the broker takes them. ``with`` runs it."""

    def __init__(self, url: str):
        self.url = url
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *error) -> None:
        self.over.set()
        self.thread.join(30)

    def run(self) -> None:
        while not self.over.wait(0.01):
            try:
                send(self.url, "busy")
            except (KombuError, RedisError):
                self.over.wait(0.2)


def send(url: str, name: str) -> None:
    with app.connection_for_write(url, transport_options={"socket_timeout": 1}) as connection:
        heartbeat.apply_async([name], queue="default", connection=connection, retry=False)


@pytest.fixture
def worker(transactional_db, tmp_path):
    """Yield a broker of the test's own, a worker on it, and the worker's log."""
    log = tmp_path / "worker.log"
    with own_redis() as broker, log.open("w") as out:
        words = [sys.executable, "-m", "celery", "-A", "cgbookstore", "worker", "-l", "info"]
        process = subprocess.Popen(
            [*words, "--concurrency", "2"],
            cwd=settings.BASE_DIR,
            env=child_environment(CELERY_BROKER_URL=broker.url),
            stdout=out,
            stderr=out,
        )
        try:
            wait_for(lambda: " ready." in log.read_text(), log.read_text, seconds=READY_SECONDS)
            yield broker, process, log
        finally:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()
                process.wait()


def test_a_busy_worker_outlives_its_broker_and_works_on(worker):
    broker, process, log = worker
    with Busy(broker.url):
        for outage in range(OUTAGES):
            wait_for(lambda: Heartbeat.objects.filter(queue="busy").exists(), log.read_text)
            broker.kill()
            time.sleep(1)
            broker.start()
            Heartbeat.objects.all().delete()
            wait_for(
                lambda: Heartbeat.objects.filter(queue="busy").exists() or process.poll(),
                log.read_text,
                seconds=60,
            )
            assert process.poll() is None, f"outage {outage}: {log.read_text()[-3000:]}"
    send(broker.url, "after")
    wait_for(lambda: Heartbeat.objects.filter(queue="after").exists(), log.read_text, seconds=60)
