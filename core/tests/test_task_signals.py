"""core.task_signals: a request's name goes along with its tasks, and with theirs."""

from __future__ import annotations

from types import SimpleNamespace

from django.test import SimpleTestCase

from core import task_signals
from core.metrics import counting
from core.work import NO_REQUEST, request_id, work


def task(name: str = "core.tasks.x", **headers: str) -> SimpleNamespace:
    request = SimpleNamespace(delivery_info={"routing_key": "bulk"}, **headers)
    return SimpleNamespace(name=name, request=request)


def published() -> dict:
    headers: dict = {}
    task_signals._name(headers=headers)
    return headers


class NameTests(SimpleTestCase):
    def setUp(self):
        token = request_id.set(NO_REQUEST)
        self.addCleanup(request_id.reset, token)

    def test_a_request_sends_its_name_and_nobody_sends_none(self):
        assert published() == {}
        request_id.set("0123abcd")
        assert published() == {"request_id": "0123abcd"}

    def test_a_task_works_under_it_and_sends_it_on(self):
        one = task(request_id="0123abcd")
        task_signals._begin(task_id="1f", task=one)
        assert (work.task, work.task_id, request_id.get()) == ("core.tasks.x", "1f", "0123abcd")
        assert published() == {"request_id": "0123abcd"}
        task_signals._end(task=one, state="SUCCESS")
        assert (work.task, work.task_id, request_id.get()) == ("", "", NO_REQUEST)

    def test_what_beat_sent_goes_by_its_own_id(self):
        one = task()
        task_signals._begin(task_id="1f", task=one)
        assert published() == {"request_id": "1f"}
        task_signals._end(task=one, state="SUCCESS")

    def test_how_it_ended_is_counted_with_its_queue(self):
        counting.current()
        one = task("core.tasks.counted-here")
        for state in ("SUCCESS", "FAILURE", "RETRY", "SUCCESS", "REJECTED"):
            task_signals._begin(task_id="1f", task=one)
            task_signals._end(task=one, state=state)
        found = {
            key[3]: number
            for key, number in counting.current().counters.items()
            if key[:3] == ("tasks", "core.tasks.counted-here", "bulk")
        }
        assert found == {"done": 2, "failed": 1, "again": 1, "other": 1}
        times = counting.current().histograms["task_seconds", "core.tasks.counted-here", "bulk"]
        assert sum(times.counts) == 5
