"""An upgrade that nobody notices: two web servers behind nginx, replaced one after the other under load."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from django.conf import settings

from debates.models import DebatePost
from tests.conventions import tree
from tests.factories import PASSWORD, make_topic, make_user
from tests.faults.servers import wait_for
from tests.servers import free_port, web_server

from .nginx import SITE, Nginx, nginx

UNIT, HOME = "deploy/systemd/cgbookstore-web@.service", "/opt/cgbookstore/current"
READERS, WRITERS = 3, 3
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


class Unit:
    """A web process as ``cgbookstore-web@PORT`` starts and stops it, but for systemd."""

    def __init__(self, port: int, away: Path):
        self.port, self.away, self.running = port, away, contextlib.ExitStack()

    def start(self, **changes: str) -> None:
        words = {**WORDS, "AWAY_DIR": str(self.away), **changes}
        self.running.enter_context(web_server(at_port=self.port, deployed=True, **words))

    def stop(self) -> None:
        """What the unit runs, then SIGTERM; returns when the process is gone."""
        (command,) = re.findall(r"(?m)^ExecStop=(.*)$", tree.read(UNIT))
        words = command.replace("%i", str(self.port)).replace(HOME, str(settings.BASE_DIR)).split()
        told = {**os.environ, "AWAY_DIR": str(self.away)}
        subprocess.run(words, env=told, umask=0o027, check=True, timeout=30)
        self.running.close()

    def is_away(self) -> bool:
        return (self.away / str(self.port)).exists()


@contextlib.contextmanager
def two_units() -> Iterator[tuple[Nginx, list[Unit]]]:
    ports = [free_port(), free_port()]
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(nginx(*(f"http://127.0.0.1:{port}" for port in ports)))
        units = [Unit(port, front.folder / "away") for port in ports]
        for unit in units:
            stack.callback(unit.running.close)
            unit.start()
        yield front, units


def test_a_rolling_restart_loses_no_request(transactional_db):
    topics = [make_topic().get_absolute_url() for _n in range(WRITERS)]
    names = [make_user(password=PASSWORD).username for _n in range(WRITERS)]
    with two_units() as (front, units):
        with Load(front, topics, names) as load:
            for unit in units:
                time.sleep(SETTLED_SECONDS)
                unit.stop()
                unit.start()
                wait_for(lambda unit=unit: not unit.is_away(), "it did not come back")
            time.sleep(SETTLED_SECONDS)
        assert load.errors == []
        assert odd(load) == []
        assert front.errors() == []  # nobody was asked who was not there: no luck was needed
    asked = sum(len(browser.counted) for browser in load.browsers)
    assert asked > 200
    # what was acknowledged is there, and nothing that was sent once is there twice
    assert DebatePost.objects.count() == load.accepted > 20
    assert max(browser.slowest for browser in load.browsers) < 10


def test_who_is_away_is_not_asked_and_two_that_are_away_still_serve(transactional_db):
    with two_units() as (front, units):
        for away in ([units[0]], [units[1]], units):
            for unit in away:
                unit.away.mkdir(exist_ok=True)
                (unit.away / str(unit.port)).touch()
            assert {front.ask("/healthz").status for _n in range(8)} == {200}
            wait_for(lambda: front.log().count("/healthz") >= 8, "nothing was logged")
            asked = set(re.findall(r'"/healthz".*?"upstream":"127.0.0.1:(\d+)"', front.log()))
            there = [unit for unit in units if unit not in away] or units
            assert asked == {str(unit.port) for unit in there}
            (front.folder / "logs/access.log").write_text("")
            for unit in away:
                (unit.away / str(unit.port)).unlink()


def test_one_that_does_not_get_ready_stays_away(transactional_db):
    with two_units() as (front, (unit, _other)):
        unit.stop()
        not_ready = front.folder / "drain"
        not_ready.touch()
        unit.start(DRAIN_FILE=str(not_ready))
        time.sleep(2.5)  # it was asked twice
        assert unit.is_away()
        assert unit.away.stat().st_mode & 0o777 == 0o755  # nginx is another account
        assert front.ask("/").status == 200
        not_ready.unlink()
        wait_for(lambda: not unit.is_away(), "it did not come back")
