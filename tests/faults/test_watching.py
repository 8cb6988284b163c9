"""What /readyz and /metrics say, and how soon, while a server hangs, is killed or comes back."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request

import pytest

from core.embedded import postgres, record
from tests.servers import web_server

from .servers import wait_for

TOKEN = "uma-ficha-de-teste"
PATIENT_SECONDS = 5  # of a busy machine; the parts themselves are given 0.4 s


def ask(address: str, path: str) -> tuple[int, str, float]:
    """The status, the body and how many seconds it took."""
    request = urllib.request.Request(  # noqa: S310  our own address
        f"{address}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  the same
            status, body = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read().decode()
    return status, body, time.monotonic() - begun


def states(address: str) -> tuple[int, dict[str, str]]:
    status, body, seconds = ask(address, "/readyz")
    assert seconds < PATIENT_SECONDS
    return status, {name: part["state"] for name, part in json.loads(body)["parts"].items()}


@pytest.fixture
def site(pair):
    url = pair.new_site("watched")
    with web_server(DATABASE_URL=url, REDIS_URL=pair.redis_url, METRICS_TOKEN=TOKEN) as address:
        wait_for(lambda: states(address)[0] == 200, "it was never ready")
        yield address


def test_postgres_that_hangs_is_not_waited_for_and_comes_back(pair, site):
    pid = postgres.find(pair.postgres_home)
    os.kill(pid, signal.SIGSTOP)
    try:
        for _time in range(10):
            status, found = states(site)
            assert status == 503
            assert found["postgres"] == "no answer"
            assert found["cache"] == "ok"
        status, body, seconds = ask(site, "/metrics")
        assert (status, seconds < PATIENT_SECONDS) == (200, True)
        assert "cgbookstore_ready 0.0" in body
        assert 'cgbookstore_part_up{part="postgres"} 0.0' in body
        assert 'cgbookstore_queue_length{queue="default"} ' in body
        assert not [line for line in body.splitlines() if line.startswith("cgbookstore_mails")]
        assert ask(site, "/healthz")[0] == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: states(site)[0] == 200, "it is not ready again")


def test_postgres_that_is_gone_is_said_at_once(pair, site):
    pair.stop("postgres")
    try:
        status, found = states(site)
        assert (status, found["postgres"]) == (503, "down")
    finally:
        pair.start("postgres")
    wait_for(lambda: states(site)[0] == 200, "it is not ready again")


def test_redis_that_hangs_or_is_gone_keeps_nobody_away(pair, site):
    pid = record.read(pair.folder)["redis"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for _time in range(5):
            status, found = states(site)
            assert status == 200
            assert found["cache"] != "ok"
            assert found["broker"] != "ok"
            assert found["postgres"] == "ok"
        status, body, seconds = ask(site, "/metrics")
        assert (status, seconds < PATIENT_SECONDS) == (200, True)
        assert "cgbookstore_ready 1.0" in body
        assert "cgbookstore_redis_breaker_open{" in body
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: states(site)[1]["broker"] == "ok", "the broker is not back")
