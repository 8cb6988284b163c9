"""A real Celery worker: what a request queues is done, its result kept, its stop orderly."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery import Task
from celery.result import AsyncResult
from django.conf import settings
from django_celery_results.models import TaskResult

from core import tasks
from debates.models import DebateTopic
from debates.tasks import reconcile_counters
from tests.factories import make_topic

from .processes import Process


class OwnQueue:
    """A worker with a queue of its own, because a broker may be shared with somebody's worker."""

    def __init__(self, log: Path):
        self.name, self.log = f"test-{uuid4()}", log
        words = ["--pool", "solo", "-Q", self.name, "-n", f"{self.name}@%h"]
        self.process = Process(log, "worker", *words, ready=" ready.")

    def send(self, task: Task, *words: str, **options) -> AsyncResult:
        """What ``task.delay(*words)`` does, on this worker's queue."""
        return task.apply_async(words, queue=self.name, **options)

    def stop(self) -> int:
        try:
            return self.process.stop()
        finally:
            with redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker:
                broker.delete(self.name, f"_kombu.binding.{self.name}")


@pytest.fixture
def worker(transactional_db, tmp_path):
    found = OwnQueue(tmp_path / "worker.log")
    try:
        yield found
    finally:
        found.stop()


def test_what_is_queued_is_done_and_the_worker_stops_when_it_is_told(worker):
    # the owner's round trip; a text that a careless serializer would break
    result = worker.send(tasks.test_async_task, "olá, ação 🦊 \"'\\ \u2028")
    assert result.get(timeout=10) == "Processed: olá, ação 🦊 \"'\\ \u2028"
    row = TaskResult.objects.get(task_id=result.id)
    assert (row.status, row.task_name) == ("SUCCESS", "core.tasks.test_async_task")

    # by its data and not by its luck: sent twice, done once, and no result is kept
    topic = make_topic()
    DebateTopic.objects.filter(pk=topic.pk).update(posts_count=9)
    sent = [worker.send(reconcile_counters) for _time in range(2)]
    last = worker.send(
        tasks.test_async_task, "fim"
    )  # one worker, one queue: the others came before
    assert last.get(timeout=10) == "Processed: fim"
    topic.refresh_from_db()
    assert topic.posts_count == 0
    assert worker.log.read_text().count("counters drifted") == 1
    assert not TaskResult.objects.filter(task_id__in=[one.id for one in sent]).exists()

    # a message that is no JSON is refused by name and stops nothing
    worker.send(tasks.test_async_task, "x", serializer="pickle")
    after = worker.send(tasks.test_async_task, "ainda aqui")
    assert after.get(timeout=10) == "Processed: ainda aqui"
    assert AsyncResult(after.id).status == "SUCCESS"
    assert "Refusing to deserialize" in worker.log.read_text()

    assert worker.stop() == 0
