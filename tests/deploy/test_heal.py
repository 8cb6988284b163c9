"""A worker that is alive and deaf is ended by its health check; one that hears is left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from core import heartbeat
from core.addresses import redis_database
from core.models import Heartbeat
from core.tasks import heartbeat as beat
from tests.faults.servers import wait_for
from tests.servers import child_environment, free_port

HEAL = settings.BASE_DIR / "deploy/heal"
READY_SECONDS = 60
BROKER = redis_database(settings.REDIS_URL, 10)  # nobody else's


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    changes = {"CELERY_BROKER_URL": BROKER, "PID_FILE": str(tmp_path / "pid"), "HEAL_SECONDS": "2"}
    with redis.Redis.from_url(BROKER) as broker:
        broker.delete("bulk")
    yield child_environment(**changes)
    with redis.Redis.from_url(BROKER) as broker:
        broker.delete("bulk", "_kombu.binding.bulk")


@pytest.fixture
def worker(transactional_db, environment, tmp_path):
    """The second worker, through deploy/run as a container starts it."""
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [settings.BASE_DIR / "deploy/run", "bulk"], env=environment, stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + READY_SECONDS
        while " ready." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(30)


def heal(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [HEAL, *words], cwd="/", env=environment, capture_output=True, text=True, check=False
    )


def send() -> None:
    """What Beat does each minute."""
    from cgbookstore.celery import app

    with app.connection_for_write(BROKER) as connection:
        beat.apply_async(["bulk"], queue="bulk", connection=connection)


def test_a_deaf_worker_is_ended(worker, environment, tmp_path):
    assert Path(tmp_path / "pid").read_text().strip() == str(worker.pid)
    send()
    wait_for(lambda: Heartbeat.objects.filter(queue="bulk").exists(), "the worker did not hear")
    healthy = heal(environment, "bulk")
    assert healthy.returncode == 0, healthy.stderr
    assert worker.poll() is None

    worker.send_signal(signal.SIGSTOP)  # alive, connected, deaf
    for _minute in range(3):  # Redis still gives it the first
        send()
    long_ago = timezone.now() - timedelta(seconds=heartbeat.STALE_SECONDS["bulk"] + 1)
    Heartbeat.objects.filter(queue="bulk").update(beaten_at=long_ago)
    busy = heal(environment, "bulk", "--max-age", "4000")
    assert busy.returncode == 0, "a long task is no deafness"
    deaf = heal(environment, "bulk", "--watch", "1")
    assert deaf.returncode == 1
    assert "messages wait unread" in deaf.stderr
    assert worker.wait(10) == -signal.SIGKILL  # it did not hear SIGTERM either


def test_a_web_process_that_hangs_is_ended(environment, transactional_db, tmp_path):
    port = free_port()
    environment |= {"PORT": str(port), "HOST": "127.0.0.1", "WEB_WORKERS": "1"}
    process = subprocess.Popen(
        [settings.BASE_DIR / "deploy/run", "web"], env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(
            lambda: heal(environment | {"PID_FILE": "/nowhere"}, "web").returncode == 0, "no web"
        )
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGSTOP)
        hung = heal(environment, "web")
        assert hung.returncode == 1
        assert "does not hear" in hung.stderr
        assert process.wait(10) == -signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_without_beat_nobody_is_ended(worker, environment):
    silent = heal(environment, "bulk")
    assert silent.returncode == 2
    assert "does Beat run?" in silent.stderr
    assert worker.poll() is None


def test_what_is_in_the_way_is_said(environment):
    missing = heal({**environment, "DATABASE_URL": "postgres://a:b@127.0.0.1:1/c"}, "bulk")
    assert missing.returncode == 2
    assert "Postgres does not answer" in missing.stderr
