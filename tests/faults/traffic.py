"""Readers and members of several processes at once, and how long each of their requests took."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.factories import PASSWORD

from .servers import wait_for
from .visitor import Answer, Visitor

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Asked(NamedTuple):
    """One request; ``begun`` is a monotonic second."""

    what: str
    begun: float
    seconds: float
    status: int


class Member(Visitor):
    """A browser that can be sent to another process between two requests, and is never a robot."""

    agent = BROWSER

    def at(self, address: str) -> Member:
        """The same browser, cookies and all, before another process."""
        self.netloc = address.removeprefix("http://")
        return self

    def copy(self, address: str) -> Member:
        """Another browser with the same cookies: a thief's, or one that did not write just now."""
        twin = Member(address)
        twin.cookies = {k: v for k, v in self.cookies.items() if k != "fresh"}
        return twin

    def enter(self, username: str) -> Answer:
        self.get("/conta/entrar/")
        return self.post("/conta/entrar/", username=username, password=PASSWORD)

    def reply(self, topic: str, words: str) -> Answer:
        return self.post(f"{topic}responder/", content=words, spoiler_percent=0)

    def vote(self, post_id: int, value: int) -> Answer:
        return self.post(f"/debates/post/{post_id}/votar/", value=value)

    def leave(self) -> Answer:
        return self.post("/conta/sair/")

    @property
    def is_member(self) -> bool:
        answer = self.get("/conta/")
        assert answer.status in (200, 302), answer
        return answer.status == 200


class Traffic:
    """Three readers, two who write and one who comes and goes. ``with`` runs them."""

    PAUSE_SECONDS = 0.02

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        paths: Sequence[str],
        topic: str,
        post_id: int,
        usernames: Sequence[str],
    ):
        self.addresses, self.paths = addresses, paths
        self.topic, self.post_id = topic, post_id
        self.asked: list[Asked] = []
        self.odd: list[object] = []
        self.over = threading.Event()
        first, second, third = usernames
        steps = [
            *(self.read(shift) for shift in range(3)),
            *(self.write(name) for name in (first, second)),
            self.come_and_go(third),
        ]
        self.threads = [threading.Thread(target=self.run, args=[step]) for step in steps]

    def __enter__(self) -> Traffic:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a request hangs"

    def run(self, steps: Iterator[tuple[str, Answer, float, int]]) -> None:
        begun = time.monotonic()
        try:
            for what, answer, expected in steps:
                self.asked.append(Asked(what, begun, time.monotonic() - begun, answer.status))
                if answer.status != expected:
                    self.odd.append((what, answer))
                if self.over.wait(self.PAUSE_SECONDS):
                    return
                begun = time.monotonic()
        except OSError as error:
            self.odd.append(error)

    def read(self, shift: int):
        reader = Member("")
        for address, path in zip(self.round(shift), itertools.cycle(self.paths), strict=False):
            yield "read", reader.at(address).get(path), 200

    def write(self, username: str):
        writer = Member("")
        addresses = self.round()
        writer.at(next(addresses)).enter(username)
        for number, address in enumerate(addresses):
            yield "reply", writer.at(address).reply(self.topic, f"{username} diz {number}"), 302
            yield "vote", writer.at(next(addresses)).vote(self.post_id, number % 2), 302
            yield "member reads", writer.at(next(addresses)).get(self.paths[number % 3]), 200

    def come_and_go(self, username: str):
        visitor = Member("")
        for address in self.round():
            yield "log in", visitor.at(address).enter(username), 302
            yield "member reads", visitor.get("/conta/"), 200
            yield "log out", visitor.leave(), 302

    def round(self, shift: int = 0) -> Iterator[str]:
        return itertools.islice(itertools.cycle(self.addresses), shift, None)

    def wait_for(self, number: int) -> None:
        """Until ``number`` more requests have been answered."""
        before = len(self.asked)
        wait_for(lambda: len(self.asked) >= before + number or self.odd, "hardly any answers")

    def since(self, moment: float) -> list[Asked]:
        return [asked for asked in self.asked if asked.begun >= moment]


def p95(asked: Sequence[Asked]) -> float:
    """Seconds that 95 of 100 did not exceed."""
    return sorted(one.seconds for one in asked)[int(len(asked) * 0.95)]
