"""An upgrade that nobody notices: two web servers behind nginx, replaced one after the other under load."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest

from debates.models import DebatePost
from tests.factories import PASSWORD, make_topic, make_user
from tests.servers import free_port, web_server

from .nginx import SITE, Nginx, nginx

READERS, WRITERS = 3, 3
ROUNDS = 1
SETTLED_SECONDS = 1.0
WORDS = {
    "SITE_URL": f"https://{SITE}",
    "TRUSTED_PROXY_HOPS": "1",
    "RATELIMIT_ENABLE": "false",
}


class Browser:
    """Keeps its line to nginx and its cookies, and writes down each answer."""

    def __init__(self, front: Nginx):
        self.front, self.line = front, front.line()
        self.cookies: dict[str, str] = {}
        self.counted: list[tuple[str, int]] = []
        self.slowest = 0.0

    def ask(self, method: str, path: str, **fields: object) -> int:
        headers = {"Host": SITE, "Referer": f"https://{SITE}/", "User-Agent": ""}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if method == "POST":
            fields["csrfmiddlewaretoken"] = self.cookies.get("csrftoken", "")
            body = urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        begun = time.monotonic()
        self.line.request(method, path, body, headers)
        answer = self.line.getresponse()
        answer.read()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        for header in answer.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        self.counted.append((f"{method} {path}", answer.status))
        return answer.status

    def enter(self, username: str) -> None:
        self.ask("GET", "/conta/entrar/")
        assert self.ask("POST", "/conta/entrar/", username=username, password=PASSWORD) == 302


class Load:
    """Readers and writers who never pause. ``with`` runs them."""

    def __init__(self, front: Nginx, topics: list[str], names: list[str]):
        self.over = threading.Event()
        self.errors: list[BaseException] = []
        self.accepted = 0
        self.browsers = [Browser(front) for _n in range(READERS + WRITERS)]
        for browser, name in zip(self.browsers[READERS:], names, strict=True):
            browser.enter(name)
        steps = [self.read(browser, topics) for browser in self.browsers[:READERS]]
        steps += [
            self.write(browser, topic)
            for browser, topic in zip(self.browsers[READERS:], topics, strict=True)
        ]
        self.threads = [threading.Thread(target=self.run, args=[step]) for step in steps]

    def run(self, steps) -> None:
        try:
            for _step in steps:
                if self.over.is_set():
                    return
        except Exception as error:  # noqa: BLE001  shown by the test
            self.errors.append(error)

    def read(self, browser: Browser, topics: list[str]):
        for path in itertools.cycle(["/", "/debates/", *topics, "/conta/entrar/"]):
            browser.ask("GET", path)
            yield

    def write(self, browser: Browser, topic: str):
        for number in itertools.count():
            path = f"{topic}responder/"
            status = browser.ask("POST", path, content=f"Resposta {number}.", spoiler_percent=0)
            self.accepted += status == 302
            yield

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        for browser in self.browsers:
            browser.line.close()


def odd(load: Load) -> list[tuple[str, int]]:
    return [
        one
        for browser in load.browsers
        for one in browser.counted
        if one[1] != (302 if one[0].startswith("POST") else 200)
    ]


@pytest.fixture
def ports() -> list[int]:
    return [free_port(), free_port()]


def test_a_rolling_restart_loses_no_request(transactional_db, ports):
    topics = [make_topic().get_absolute_url() for _n in range(WRITERS)]
    names = [make_user(password=PASSWORD).username for _n in range(WRITERS)]
    with contextlib.ExitStack() as stack:
        running = {port: contextlib.ExitStack() for port in ports}
        for port in ports:
            stack.callback(running[port].close)
            running[port].enter_context(web_server(at_port=port, **WORDS))
        front = stack.enter_context(nginx(*(f"http://127.0.0.1:{port}" for port in ports)))
        with Load(front, topics, names) as load:
            for port in ports * ROUNDS:
                time.sleep(SETTLED_SECONDS)
                running[port].close()  # SIGTERM, and it is waited for
                running[port].enter_context(web_server(at_port=port, **WORDS))
            time.sleep(SETTLED_SECONDS)
        assert load.errors == []
        assert odd(load) == []
        asked = sum(len(browser.counted) for browser in load.browsers)
        assert asked > 200
        # what was acknowledged is there, and nothing that was sent once is there twice
        assert DebatePost.objects.count() == load.accepted > 20
        assert max(browser.slowest for browser in load.browsers) < 10
