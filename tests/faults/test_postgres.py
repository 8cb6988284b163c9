"""A Postgres that is slow, stops, is killed and comes back: what readers and writers get."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import closing
from unittest import mock
from urllib.parse import quote

import psycopg2
from django.db import InterfaceError, OperationalError
from django.test import TestCase

from tests.factories import PASSWORD
from tests.servers import web_server

from .servers import ask, wait_for
from .visitor import Answer, Visitor

NO_LIMITS = {"RATELIMIT_ENABLE": "false"}
OPEN_TOPIC = "SELECT slug FROM debates_debatetopic WHERE NOT is_locked AND NOT is_deleted LIMIT 1"
POST = "SELECT id FROM debates_debatepost WHERE NOT is_deleted ORDER BY id LIMIT 1"


def is_clear_503(answer: Answer) -> bool:
    return (
        answer.status == 503
        and int(answer.headers["Retry-After"] or 0) > 0
        and answer.headers["Cache-Control"] == "no-store"
        and "<h1" in answer.text
        and "Traceback" not in answer.text
    )


class Load:
    """Readers and writers in threads, and what they were told. ``with`` runs them."""

    PAUSE_SECONDS = 0.03

    def __init__(self, address: str, slug: str, post: int):
        self.address, self.topic = address, f"/debates/topico/{slug}/"
        self.paths = ["/", "/debates/", self.topic, "/livros/", f"/debates/post/{post}/"]
        self.odd: list[object] = []
        self.accepted: list[str] = []
        self.refused = self.read = 0
        self.over = threading.Event()
        writers = [Visitor(address).log_in(number) for number in (0, 1)]
        steps = [*(self.write(writer) for writer in writers), *(self.read_on() for _ in range(3))]
        self.threads = [threading.Thread(target=self.run, args=[step]) for step in steps]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a request hangs"

    def run(self, steps) -> None:
        while not self.over.wait(self.PAUSE_SECONDS):
            try:
                next(steps)
            except (OSError, StopIteration) as error:
                self.odd.append(error)
                return

    def write(self, visitor: Visitor):
        for number in itertools.count():
            words = f"Resposta {number} de {id(visitor)}"
            answer = visitor.post(f"{self.topic}responder/", content=words, spoiler_percent=0)
            if answer.status == 302 and answer.headers["Location"].startswith("/debates/post/"):
                self.accepted.append(words)
            else:
                self.judge(answer, expected=())
            yield

    def read_on(self):
        visitor = Visitor(self.address)
        for path in itertools.cycle(self.paths):
            self.judge(visitor.get(path), expected=(200, 302))
            yield

    def judge(self, answer: Answer, expected: tuple[int, ...]) -> None:
        if answer.status in expected:
            self.read += 1
        elif is_clear_503(answer):
            self.refused += 1
        else:
            self.odd.append(answer)

    def goes_on(self) -> None:
        """Wait until readers and writers were served again."""
        read, accepted = self.read, len(self.accepted)
        wait_for(
            lambda: self.read > read + 20 and len(self.accepted) > accepted + 5,
            f"no recovery; {self.refused} refused, odd: {self.odd[:3]}",
        )

    def meets_it(self) -> None:
        """Wait until somebody was told to come back later."""
        refused = self.refused
        wait_for(lambda: self.refused > refused + 5, f"nobody noticed; odd: {self.odd[:3]}")


def test_it_stops_and_is_killed_under_load_and_no_accepted_reply_is_lost(pair):
    url = pair.new_site("restarted")
    ((slug,),), ((post,),) = ask(url, OPEN_TOPIC), ask(url, POST)
    with web_server(
        DATABASE_URL=url, REDIS_URL=pair.redis_url, WEB_THREADS="4", **NO_LIMITS
    ) as address:
        with Load(address, slug, post) as load:
            load.goes_on()
            for take_away in (lambda: pair.stop("postgres"), pair.kill_postgres):
                take_away()
                load.meets_it()
                pair.start("postgres")
                load.goes_on()
        assert load.odd == []
    kept = {content for (content,) in ask(url, "SELECT content FROM debates_debatepost")}
    assert set(load.accepted) - kept == set()


def test_kept_pages_go_on_without_postgres_and_say_that_they_are_old(pair):
    url = pair.new_site("kept")
    ((slug,),) = ask(url, OPEN_TOPIC)
    paths = ("/", "/debates/", f"/debates/topico/{slug}/", "/livros/")
    # a second each: kept by Redis, and believed by the process
    soon_old = {"REDIS_CACHE_TIMEOUT": "1", **NO_LIMITS}
    with web_server(DATABASE_URL=url, REDIS_URL=pair.redis_url, **soon_old) as address:
        stranger, member = Visitor(address), Visitor(address).log_in()
        assert [stranger.get(path).status for path in paths] == [200] * 4
        pair.stop("postgres")
        try:
            time.sleep(1.1)
            for path in paths * 2:
                answer = stranger.get(path)
                assert answer.status == 200, answer
                assert answer.headers["Warning"].startswith("110 "), answer
                assert int(answer.headers["Age"]) >= 1
                assert answer.headers["Cache-Control"] == "no-store"
            for answer in (stranger.get("/busca/?q=livro"), member.get("/")):
                assert is_clear_503(answer), answer
        finally:
            pair.start("postgres")
        deadline = time.monotonic() + 15
        while stranger.get("/").headers["Warning"]:
            assert time.monotonic() < deadline, "it shows the old page for ever"
            time.sleep(0.2)


def test_a_restart_in_a_quiet_hour_is_noticed_by_nobody(pair):
    url = pair.new_site("quiet")
    ((post,),) = ask(url, POST)
    with web_server(DATABASE_URL=url, REDIS_URL=pair.redis_url, **NO_LIMITS) as address:
        visitor = Visitor(address)

        def statuses() -> set[int]:
            return {visitor.get(f"/debates/post/{post}/").status for _time in range(8)}

        assert statuses() == {302}
        pair.stop("postgres")
        pair.start("postgres")
        assert statuses() == {302}


def test_a_statement_that_runs_into_the_timeout_is_a_503(pair):
    url = pair.new_site("slow")
    hasty = f"{url}?options={quote('-c statement_timeout=300')}"
    ((post,),) = ask(url, POST)
    with (
        web_server(DATABASE_URL=hasty, REDIS_URL=pair.redis_url, **NO_LIMITS) as address,
        closing(psycopg2.connect(url)) as holder,
    ):
        visitor = Visitor(address)
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE debates_debatepost IN ACCESS EXCLUSIVE MODE")
            answer = visitor.get(f"/debates/post/{post}/")
            assert is_clear_503(answer), answer
        names = "SELECT application_name FROM pg_stat_activity WHERE datname = 'slow'"
        assert ("cgbookstore web",) in pair.ask(names)
        holder.rollback()
        assert visitor.get(f"/debates/post/{post}/").status == 302  # the connection is sound


def test_without_postgres_no_page_is_a_500_whoever_asks(pair):
    url = pair.new_site("gone")
    ((slug,),), ((post,),) = ask(url, OPEN_TOPIC), ask(url, POST)
    topic = f"/debates/topico/{slug}/"
    with web_server(DATABASE_URL=url, REDIS_URL=pair.redis_url, **NO_LIMITS) as address:
        member, stranger = Visitor(address).log_in(), Visitor(address)
        stranger.get("/conta/entrar/")  # for the cookie
        pair.ask("DROP DATABASE gone WITH (FORCE)")
        answers = [
            visitor.get(path)
            for visitor in (member, stranger)
            for path in (
                "/conta/",
                "/busca/?q=dom",
                "/debates/novo/",
                f"/debates/post/{post}/",
                f"{topic}?p=2",
                "/admin/",
                "/nada/",
            )  # fmt: skip
        ]
        answers += [
            member.post(f"{topic}responder/", content="Olá", spoiler_percent=0),
            member.post(f"/debates/post/{post}/votar/", value=1),
            member.post("/conta/sair/"),
            stranger.post("/conta/entrar/", username="leitora", password=PASSWORD),
            stranger.post("/conta/criar/", username="nova", email="nova@example.com",
                          password1=PASSWORD, password2=PASSWORD),
        ]  # fmt: skip
        for answer in answers:
            assert is_clear_503(answer) or answer.status in (200, 302, 404), answer
        assert sum(map(is_clear_503, answers)) >= len(answers) // 2
        assert stranger.get("/healthz").status == 200


class AroundTheViewTests(TestCase):
    """Errors that no ``process_exception`` sees."""

    def answer(self, error: Exception):
        self.client.raise_request_exception = False
        saving = "django.contrib.sessions.middleware.SessionMiddleware.process_response"
        with mock.patch(saving, side_effect=error):
            return self.client.get("/conta/entrar/")

    def test_a_session_that_cannot_be_saved_is_a_503(self):
        for error in (OperationalError("gone"), InterfaceError("closed")):
            with self.subTest(error=error):
                answer = self.answer(error)
                assert answer.status_code == 503
                assert int(answer["Retry-After"]) > 0
                assert answer["Cache-Control"] == "no-store"

    def test_a_fault_of_ours_stays_a_500(self):
        answer = self.answer(ZeroDivisionError())
        assert answer.status_code == 500
        assert "<h1" in answer.content.decode()
