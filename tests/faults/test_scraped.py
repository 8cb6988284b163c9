"""One of each event on a real site, then a scrape: whatever is promised by name has a number."""

from __future__ import annotations

import urllib.request

import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from core import tasks
from core.metrics import names
from core.queues import BULK
from tests.background.processes import empty_queues, worker
from tests.servers import web_server

from .own_redis import own_redis
from .servers import wait_for
from .visitor import Visitor

TOKEN = "uma-ficha-de-teste"


def scraped(address: str) -> set[str]:
    """The names on the page, without our prefix and the ends of a counter and a histogram."""
    request = urllib.request.Request(  # noqa: S310  our own address
        f"{address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  the same
        families = text_string_to_metric_families(answer.read().decode())
    return {
        family.name.removeprefix(names.PREFIX)
        for family in families
        if family.name.startswith(names.PREFIX) and family.samples
    }


@pytest.mark.django_db(transaction=True)
def test_everything_that_is_named_is_on_the_page_of_a_real_site(tmp_path):
    shared = {
        "METRICS_DIR": str(tmp_path / "metrics"),
        "METRICS_TOKEN": TOKEN,
        "SLOW_QUERY_MS": "0",
        "RATE_SEARCH": "600/h,3/m",
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
    }
    empty_queues()
    with (
        own_redis() as own,
        worker(tmp_path / "worker.log", BULK, **shared),
        web_server(tmp_path / "web.log", REDIS_URL=own.url, **shared) as address,
    ):
        reader = Visitor(address)
        assert reader.get("/").status == 200
        assert 429 in {reader.get("/busca/?q=dom").status for _time in range(8)}
        tasks.heartbeat.apply_async([BULK], queue=BULK)
        own.kill()
        for _time in range(4):
            assert reader.get("/livros/").status == 200
        wait_for(
            lambda: scraped(address) >= set(names.ALL),
            lambda: f"no number: {set(names.ALL) - scraped(address)}",
        )
        assert scraped(address) == set(names.ALL)
    empty_queues()
