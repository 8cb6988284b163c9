"""The staff page while what it tells of is gone: it says so, and does not wait for it."""

from __future__ import annotations

import time

import pytest
from django.conf import settings

from core import operations
from core.addresses import redis_database
from tests.factories import PASSWORD, make_staff
from tests.servers import web_server

from .own_redis import OwnRedis, own_redis
from .traffic import Member
from .visitor import Answer

PATH = "/equipe/"
PATIENCE_SECONDS = 3.0  # on a busy machine; all time-outs together are under one
FAULTS = {"refused": OwnRedis.kill, "hung": OwnRedis.hang}


def look(member: Member) -> Answer:
    begun = time.monotonic()
    answer = member.get(PATH)
    assert time.monotonic() - begun < PATIENCE_SECONDS
    assert answer.status == 200, answer
    return answer


def enter(address: str) -> Member:
    member = Member(address)
    assert member.enter(make_staff(password=PASSWORD).username).status == 302
    return member


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", FAULTS)
def test_all_of_redis_is_gone(fault):
    with own_redis() as own, web_server(REDIS_URL=own.url) as address:
        member = enter(address)
        assert look(member).text.count("<td>em ordem</td>") == len(operations.SERVERS)
        FAULTS[fault](own)
        for _look in range(4):  # until the breaker is open, and then
            text = look(member).text
            assert (
                text.count('<td class="danger">sem resposta</td>') == 4
            )  # three rooms, the broker
            assert text.count('<span class="danger">sem resposta</span>') == 3  # no queue's length


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", FAULTS)
def test_only_the_broker_is_gone(fault):
    with own_redis() as own:
        broker = redis_database(own.url, 0)
        with web_server(REDIS_URL=settings.REDIS_URL, CELERY_BROKER_URL=broker) as address:
            member = enter(address)
            FAULTS[fault](own)
            for _look in range(4):
                text = look(member).text
                assert text.count("<td>em ordem</td>") == len(operations.SERVERS) - 1
                assert 'Redis: tarefas</th><td class="danger">sem resposta<' in text
                assert text.count('<span class="danger">sem resposta</span>') == 3
