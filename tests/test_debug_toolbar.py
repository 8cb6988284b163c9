"""The toolbar at /__debug__/: a developer's, and nobody else's."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.apps import apps
from django.conf import settings
from django.urls import Resolver404, resolve

from tests.factories import make_topic
from tests.servers import child_environment

# As a browser asks: a packed page is one that the toolbar cannot write itself into. Twice: the
# second time a page that is kept would be served as it was kept.
VISIT = """
import django
django.setup()
from django.test import Client
client = Client(headers={"host": "localhost", "accept-encoding": "gzip"}, REMOTE_ADDR=%r)
client.raise_request_exception = False
for path in ("/debates/", "/debates/", "/__debug__/history_sidebar/"):
    page = client.get(path)
    bar = b"/__debug__/render_panel/" in page.content and b"toolbar.js" in page.content
    print("->", path, page.status_code, "with it" if bar else "plain")
"""
PAGES = ["/debates/ 200", "/debates/ 200"]
HISTORY = "/__debug__/history_sidebar/"
NOTHING = [*(f"{page} plain" for page in PAGES), f"{HISTORY} 404 plain"]


def visit(*, address: str = "127.0.0.1", **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", VISIT % address],
        cwd=settings.BASE_DIR,
        env={**child_environment(**environment), "DJANGO_SETTINGS_MODULE": "cgbookstore.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line[3:] for line in done.stdout.splitlines() if line.startswith("-> ")]


@pytest.mark.django_db(transaction=True)
class TestDebugToolbar:
    def test_it_is_in_every_page_of_a_developer(self):
        make_topic()
        *pages, history = visit(DEBUG="true")
        assert pages == [f"{page} with it" for page in PAGES]
        assert history == f"{HISTORY} 400 plain"  # it answers, and misses the number of a page

    def test_it_is_in_no_page_for_anybody_else(self):
        assert visit(DEBUG="true", address="192.0.2.1") == NOTHING

    def test_production_has_none(self):
        assert visit() == visit(DEBUG="false") == NOTHING

    def test_tests_have_none_whatever_the_environment_says(self):
        assert visit(DEBUG="true", PYTEST_VERSION="9") == NOTHING
        assert not apps.is_installed("debug_toolbar")
        assert not [name for name in settings.MIDDLEWARE if "debug_toolbar" in name]
        with pytest.raises(Resolver404):
            resolve(HISTORY)
