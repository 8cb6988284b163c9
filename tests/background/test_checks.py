"""`check --deploy` and the workers: a queue that nobody serves is named."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.conf import settings
from django.core.checks import run_checks

from core.addresses import redis_database
from core.queues import BULK, CRITICAL, DEFAULT, NAMES
from tests.faults.own_redis import own_redis
from tests.servers import child_environment

from .processes import worker

pytestmark = pytest.mark.usefixtures("queues_of_ones_own")


def said() -> list[tuple[str | None, str]]:
    found = run_checks(tags=["queues"], include_deployment_checks=True)
    return [(message.id, message.msg) for message in found]


def unserved(name: str) -> tuple[str, str]:
    return "core.W016", f"No worker serves the queue {name}."


def test_it_names_the_queues_without_a_worker(tmp_path):
    assert said() == [unserved(name) for name in sorted(NAMES)]
    with worker(tmp_path / "worker.log", CRITICAL, DEFAULT):
        assert said() == [unserved(BULK)]
        with worker(tmp_path / "bulk.log", BULK):
            assert said() == []


def test_a_broker_that_is_gone_is_said_and_holds_nothing_up():
    with own_redis() as server:
        server.kill()
        done = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--tag", "queues"],
            cwd=settings.BASE_DIR,
            env=child_environment(CELERY_BROKER_URL=redis_database(server.url, 0)),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert "(core.W015) The broker did not answer" in done.stderr
