"""Readers and writers at a steady pace, each of them somebody with an account and an address.

Every loop has a pace: a request begins when its turn has come, and a turn that is missed because
an answer was late is left out, so that nobody catches up. Each writer has members of their own:
what one of them wishes is asked in order.
"""

from __future__ import annotations

import itertools
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .client import GOOD, Client, Visitor
from .ledger import NO_ANSWER, YES, Ledger

PASSAGES = 15  # pages that one anonymous reader opens
MOST_SECONDS = 3_600  # no drill takes longer; a loop that nobody ends ends by itself
ANSWER_SHARE = 0.4  # of the replies that answer another one
SHELVES = ("quero-ler", "lendo", "lido", "")

Steps = Iterator[None]


class Load:
    """The people. ``with`` runs them; ``problems`` are faults of the drill itself."""

    def __init__(self, client: Client, ledger: Ledger, known: dict[str, Any]):
        self.client, self.ledger = client, ledger
        self.topics = [topic["slug"] for topic in known["topics"]]
        self.posts: list[int] = known["posts"]
        self.books = known["books"]
        self.addresses: list[str] = known["forgetful"]
        self.answers: dict[str, str] = {}  # the last reply of each debate
        self.number = itertools.count(1)
        self.problems: list[BaseException] = []
        self._over = threading.Event()
        # who, how many of them, seconds between two requests of one
        crowd: list[tuple[Callable[[list], Steps], int, float]] = [
            (self.strangers, 5, 0.2),
            (self.members, 4, 0.25),
            (self.repliers, 3, 1.0),
            (self.voters, 3, 0.4),
            (self.shelvers, 1, 0.5),
            (self.openers, 1, 2.0),
            (self.forgetful, 1, 1.0),
            (self.newcomers, 1, 4.0),
        ]
        groups = sum(count for _who, count, _pace in crowd)
        shares = iter([known["members"][place::groups] for place in range(groups)])
        self._threads = [
            threading.Thread(target=self._run, args=[who(next(shares)), pace], daemon=True)
            for who, count, pace in crowd
            for _one in range(count)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
            if thread.is_alive():
                self.problems.append(RuntimeError("a request hangs"))

    def _run(self, steps: Steps, pace: float) -> None:
        begun = time.monotonic()
        turn = begun + random.uniform(0, pace)
        while turn - begun < MOST_SECONDS and not self._over.wait(max(0, turn - time.monotonic())):
            try:
                next(steps)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001  shown at the end, and then the drill has failed
                self.problems.append(error)
                return
            turn = max(turn + pace, time.monotonic())

    # --- who they are ----------------------------------------------------------------

    def stranger(self) -> Visitor:
        number = next(self.number)
        return Visitor(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", _token())

    def member(self, who: dict) -> Visitor:
        address = f"172.16.{who['pk'] >> 8 & 255}.{who['pk'] & 255}"
        return Visitor(address, who["token"], who["session"])

    # --- readers -----------------------------------------------------------------------

    def strangers(self, _share: list) -> Steps:
        while True:
            reader = self.stranger()
            for _page in range(PASSAGES):
                self._open_a_page(reader)
                yield

    def members(self, share: list) -> Steps:
        for who in itertools.cycle(share):
            self._open_a_page(self.member(who))
            yield

    def _open_a_page(self, reader: Visitor) -> None:
        kind = random.choices(
            ("topic", "list", "home", "book", "books", "post", "profile", "search"),
            (40, 18, 12, 12, 5, 6, 4, 3),
        )[0]
        name = f"member's {kind}" if reader.session else kind
        if kind == "topic":
            slug = random.choice(self.topics)
            self.ledger.read(slug)
            self.client.get(name, reader, f"/debates/topico/{slug}/")
        elif kind == "post":
            post = random.choice(self.posts)
            self.client.get(name, reader, f"/debates/post/{post}/", status=302)
        elif kind == "book":
            self.client.get(name, reader, f"/livros/{random.choice(self.books)['slug']}/")
        else:
            path = {
                "list": "/debates/",
                "home": "/",
                "books": "/livros/",
                "profile": "/leitores/leitora/",
                "search": f"/busca/?q={random.choice(('dom', 'memorias', 'sertao', 'machado'))}",
            }[kind]
            self.client.get(name, reader, path)

    # --- writers -----------------------------------------------------------------------

    def repliers(self, share: list) -> Steps:
        for who in itertools.cycle(share):
            slug, number = random.choice(self.topics), next(self.number)
            answered = self.answers.get(slug) if random.random() < ANSWER_SHARE else None
            words = (
                f"Ensaio resposta {number:06} fim: li de novo e o narrador sabe mais do que conta."
            )
            kind, answer = self.client.post(
                "reply", self.member(who), f"/debates/topico/{slug}/responder/", "/debates/post/",
                content=words, spoiler_percent=0, parent=answered or "",
            )  # fmt: skip
            place = answer.location if kind == GOOD and answer else ""
            if place:
                self.answers[slug] = place.rstrip("/").rpartition("/")[2]
            self.ledger.add("reply", (words,), (slug, who["pk"]), kind, place)
            yield

    def voters(self, share: list) -> Steps:
        """Often on the same post again: the last word counts. Without an answer there is no next one."""
        some = random.sample(self.posts, min(12, len(self.posts)))
        retired: set[tuple] = set()
        for who in itertools.cycle(share):
            post = random.choice(some)
            if (who["pk"], post) not in retired:
                value = random.choice((1, -1, 0))
                kind, _answer = self.client.post(
                    "vote", self.member(who), f"/debates/post/{post}/votar/",
                    f"/debates/post/{post}/", value=value,
                )  # fmt: skip
                said = self.ledger.add("vote", (post, who["pk"]), value, kind)
                if said == NO_ANSWER:
                    retired.add((who["pk"], post))
            yield

    def shelvers(self, share: list) -> Steps:
        some = random.sample(self.books, min(12, len(self.books)))
        retired: set[tuple] = set()
        for who in itertools.cycle(share):
            book = random.choice(some)
            if (who["pk"], book["pk"]) not in retired:
                status = random.choice(SHELVES)
                path = f"/livros/{book['slug']}/"
                kind, _answer = self.client.post(
                    "shelf", self.member(who), f"{path}estante/", path, status=status
                )
                said = self.ledger.add("shelf", (book["pk"], who["pk"]), status, kind)
                if said == NO_ANSWER:
                    retired.add((who["pk"], book["pk"]))
            yield

    def openers(self, share: list) -> Steps:
        for who in itertools.cycle(share):
            title = f"Ensaio debate {next(self.number):06} fim"
            book = random.choice(self.books)
            kind, answer = self.client.post(
                "debate", self.member(who), "/debates/novo/", "/debates/topico/",
                livro=book["slug"], title=title, description="Quem mais leu?", spoiler_percent=0,
            )  # fmt: skip
            place = answer.location if kind == GOOD and answer else ""
            said = self.ledger.add("debate", (title,), (book["pk"], who["pk"]), kind, place)
            if said == YES:
                self.topics.append(place.rstrip("/").rpartition("/")[2])
            yield

    def forgetful(self, _share: list) -> Steps:
        """Those who ask for a new password by mail, each once."""
        for address in self.addresses:
            kind, _answer = self.client.post(
                "reset", self.stranger(), "/conta/senha/nova/", "/conta/senha/enviada/",
                email=address,
            )  # fmt: skip
            self.ledger.add("reset", (address,), None, kind)
            yield

    def newcomers(self, _share: list) -> Steps:
        while True:
            name = f"novata{next(self.number):06}"
            kind, _answer = self.client.post(
                "sign-up", self.stranger(), "/conta/criar/", "/",
                username=name, email=f"{name}@example.com", password="um-livro-por-mes-2026",  # noqa: S106  of nobody
            )  # fmt: skip
            self.ledger.add("sign-up", (name,), None, kind)
            yield


def _token() -> str:
    return secrets.token_hex(16)
