"""core.enqueue: after the commit, within half a second, never fatal; and nothing else publishes."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from unittest import mock

import pytest
import redis as redis_py
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from core import enqueue as enqueuing
from core import queues, redis, tasks
from core.addresses import redis_database
from core.enqueue import enqueue, publish
from tests.faults.own_redis import own_redis


@pytest.fixture
def broker(db, settings):
    """The run's own Redis, with its queues empty before and after."""
    client = redis_py.Redis.from_url(settings.CELERY_BROKER_URL)
    client.delete(*queues.NAMES)
    yield client
    client.delete(*queues.NAMES)
    client.close()


def waiting(client, queue: str) -> list[tuple[str, list]]:
    """The names and arguments of the messages in ``queue``, the oldest first."""
    found = []
    for message in reversed(client.lrange(queue, 0, -1)):
        envelope = json.loads(message)
        args, _kwargs, _embed = json.loads(b64decode(envelope["body"]))
        found.append((envelope["headers"]["task"], args))
    return found


@pytest.mark.django_db(transaction=True)
class TestEnqueue:
    def test_it_waits_for_the_commit(self, broker):
        with transaction.atomic():
            enqueue(tasks.heartbeat, "bulk")
            assert broker.llen(queues.DEFAULT) == 0
        assert waiting(broker, queues.DEFAULT) == [("core.tasks.heartbeat", ["bulk"])]
        assert [broker.llen(name) for name in queues.NAMES] == [0, 1, 0]  # and no copy elsewhere

    def test_no_two_queues_share_an_address(self):
        found = {(queue.exchange.name, queue.routing_key) for queue in queues.QUEUES}
        assert found == {(name, name) for name in queues.NAMES}

    def test_a_rollback_sends_nothing(self, broker):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            enqueue(tasks.heartbeat, "bulk")
            raise ZeroDivisionError
        assert [broker.llen(name) for name in queues.NAMES] == [0, 0, 0]

    def test_the_route_decides_and_the_caller_may_overrule_it(self, broker):
        enqueue(tasks.clear_expired_cache)
        enqueue(tasks.send_mail, 7, queue=queues.CRITICAL)
        assert waiting(broker, queues.BULK) == [("core.tasks.clear_expired_cache", [])]
        assert waiting(broker, queues.CRITICAL) == [("core.tasks.send_mail", [7])]

    def test_every_route_leads_to_a_queue_that_exists(self):
        assert {route["queue"] for route in queues.ROUTES.values()} <= set(queues.NAMES)


@pytest.mark.django_db(transaction=True)
class TestWithoutABroker:
    @pytest.fixture(autouse=True)
    def at_a_broker_of_its_own(self, settings):
        with own_redis() as server:
            self.server = server
            settings.CELERY_BROKER_URL = redis_database(server.url, 0)
            yield
        redis.forget()

    def timed(self) -> tuple[bool, float]:
        begun = time.monotonic()
        taken = publish(tasks.heartbeat, "bulk")
        return taken, time.monotonic() - begun

    def test_refused(self):
        assert self.timed()[0]
        self.server.kill()
        taken, seconds = self.timed()
        assert not taken
        assert seconds < 1
        assert redis.breaker_at(settings.CELERY_BROKER_URL, "publishing to ").is_open

    def test_hung_costs_the_first_and_not_the_others(self):
        assert self.timed()[0]
        self.server.hang()
        taken, seconds = self.timed()
        assert not taken
        assert 0.15 < seconds < 1  # it really waited, and not long
        with mock.patch.object(enqueuing, "_connection", side_effect=AssertionError("asked")):
            assert not self.timed()[0]
        self.server.go_on()

    def test_it_is_asked_again_once_it_is_back(self):
        self.server.kill()
        assert not self.timed()[0]
        self.server.start()
        until = time.monotonic() + 20
        while not self.timed()[0]:
            assert time.monotonic() < until
            time.sleep(0.2)

    def test_a_fault_of_ours_is_no_fault_of_the_broker(self):
        with mock.patch.object(tasks.heartbeat, "apply_async", side_effect=TypeError("ours")):
            with pytest.raises(TypeError):
                publish(tasks.heartbeat, "bulk")
            enqueue(tasks.heartbeat, "bulk")  # after the commit it is logged, not raised

    @pytest.mark.parametrize("way", ["full", "forbidden"])
    def test_a_broker_that_takes_no_writes(self, way):
        if way == "full":
            self.server.fill()
        else:
            self.server.ask.acl_setuser("default", enabled=True, commands=["-lpush"])
        taken, seconds = self.timed()
        assert not taken
        assert seconds < 1

    def test_the_sessions_on_the_same_server_are_not_given_up_for_it(self):
        self.server.hang()
        assert not self.timed()[0]
        self.server.go_on()
        assert not redis.breaker_at(settings.CELERY_BROKER_URL).is_open

    def test_what_it_may_raise_is_handled(self):
        with mock.patch.object(tasks.heartbeat, "apply_async", side_effect=OperationalError("x")):
            assert not publish(tasks.heartbeat, "bulk")
