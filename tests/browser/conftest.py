"""A Chromium in a thread of its own, the real web server, and a watch over both.

Playwright keeps an event loop running in the thread that uses it; there Django's ORM refuses
to work, and its connections are not pytest's. So one thread holds the browser for the whole
run: the body of a browser test runs in it, the fixtures that write rows run where they always do.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, sync_playwright

from core import near_copies
from tests.servers import web_server

from .site import PLAIN, STRAINED, Site, Words
from .watching import Watch

CHROMIUMS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
]
FLAGS = [
    "--headless",
    "--no-sandbox",  # as root, as in CI, there is no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 5000


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run the body of a browser test where the browser is."""
    run = pyfuncitem.funcargs.get("in_browser_thread")
    if run is None:
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run(pyfuncitem.obj, **given)
    return True


@pytest.fixture(scope="session")
def in_browser_thread() -> Iterator[Callable]:
    """A function that calls another one in the browser's thread and waits for it."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="browser") as thread:
        yield lambda work, *args, **named: thread.submit(work, *args, **named).result()


@pytest.fixture(scope="session")
def chromium(in_browser_thread) -> Iterator[Browser]:
    """The installed browser; none is downloaded. Skips without one, fails with CI=true."""
    program = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if program is None:
        reason = "No Chromium and no Google Chrome is installed (Debian: apt install chromium)."
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    playwright = in_browser_thread(lambda: sync_playwright().start())
    try:
        browser = in_browser_thread(playwright.chromium.launch, executable_path=program, args=FLAGS)
        yield browser
        in_browser_thread(browser.close)
    finally:
        in_browser_thread(playwright.stop)


@pytest.fixture(scope="session")
def server(django_db_setup) -> Iterator[str]:
    """The address of the site on the test database.

    It has no rate limits: one address plays everybody here. Sessions that the tests write are
    good there, because it has their key.
    """
    with web_server(SECRET_KEY=settings.SECRET_KEY, RATELIMIT_ENABLE="false") as address:
        yield address


@pytest.fixture
def watch(server) -> Watch:
    """What the browser complained about; a test that expects something takes it out."""
    return Watch(server)


@pytest.fixture
def open_page(transactional_db, in_browser_thread, chromium, server, watch) -> Iterator[Callable]:
    """A function that opens an empty page of a browser of its own, logged in with a session key.

    Ends the test in error if any page met a script error, a refusal of the content security
    policy, an answer 500, a missing file or another host.
    """
    contexts = []

    def open_page(session: str = "", **options) -> Page:
        context = chromium.new_context(
            base_url=server, locale="pt-BR", reduced_motion="reduce", **options
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        watch.over(context)
        if session:
            cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session, "url": server}
            context.add_cookies([cookie])
        return context.new_page()

    yield open_page
    for context in contexts:
        in_browser_thread(context.close)
    assert watch.problems == []


@pytest.fixture(scope="session")
def doubt() -> Doubt:
    return Doubt()


class Doubt:
    """The server believes its own copies for a second: those of the test before must be older."""

    def __init__(self) -> None:
        self.since = 0.0

    def wait(self) -> None:
        time.sleep(max(0, self.since + near_copies.SECONDS - time.monotonic()))


@pytest.fixture
def site(transactional_db, doubt) -> Iterator[Site]:
    """One of everything, in the words of a calm reader."""
    yield from _site(PLAIN, doubt)


@pytest.fixture
def strained_site(transactional_db, doubt) -> Iterator[Site]:
    """The same in words that no line can hold."""
    yield from _site(STRAINED, doubt)


def _site(words: Words, doubt: Doubt) -> Iterator[Site]:
    site = Site(words)
    doubt.wait()
    yield site
    doubt.since = time.monotonic()


def pytest_collection_modifyitems(items):
    """Every test of this folder drives a browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
