"""What every test stands on: real Postgres and Redis, strict templates, clean counters."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.core.cache import caches
from django.template import engines
from django.utils import translation

from core import cache, redis
from core.ratelimit import local_counts


class Missing(str):
    """A ``string_if_invalid`` that fails the test instead of printing nothing."""

    def __contains__(self, item):
        return item == "%s"

    def __mod__(self, name):
        raise LookupError(f"template variable not found: {name}")


def pytest_configure(config):
    # A prefix of this run's own: two runs may share one Redis.
    prefix = f"test-{os.getpid()}"
    for room in settings.CACHES.values():
        room["KEY_PREFIX"] = room["KEY_PREFIX"].replace(settings.CACHE_KEY_PREFIX, prefix)
    settings.CACHE_KEY_PREFIX = prefix


@pytest.fixture(autouse=True)
def strict_templates(request):
    engine = engines["django"].engine
    lenient = request.node.get_closest_marker("lenient_templates")
    engine.string_if_invalid = "" if lenient else Missing("%s")
    yield
    engine.string_if_invalid = ""


@pytest.fixture(autouse=True)
def site_language():
    """The site's own, as in a new process; a test before may have asked for another."""
    translation.deactivate()


@pytest.fixture(autouse=True)
def clean_caches():
    """No counter, session or entry of the test before."""
    for alias in settings.CACHES:
        caches[alias].clear()
    local_counts.forget()
    cache.forget()
    yield
    redis.forget()


@pytest.fixture(autouse=True)
def bumps_at_once(monkeypatch):
    """A ``TestCase`` never commits, so what waits for the commit happens at once too."""
    wait = cache.bump

    def bump(*scopes):
        wait(*scopes)
        cache._bump_now(scopes)

    monkeypatch.setattr(cache, "bump", bump)
