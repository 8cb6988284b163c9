"""Whole journeys: a reader browses, reads, logs in, replies and votes, like a browser without scripts.

``locust -f benchmarks/locustfile.py --host http://127.0.0.1:8000``, with ``BENCH_ASKED`` naming a
folder that ``benchmarks.prepare`` wrote. Each reader has an account and an address of their own;
an answer that is no page of the site, 429 included, is a failure.
"""

import itertools
import json
import os
import random
import re
from pathlib import Path

from locust import FastHttpUser, between, task

FOLDER = Path(os.environ["BENCH_ASKED"])
PAGES = json.loads((FOLDER / "pages.json").read_text())["paths"]
ACCOUNTS = [line.split("\t") for line in (FOLDER / "logins.tsv").read_text().splitlines()]
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
VOTE = re.compile(r'action="(/debates/post/\d+/votar/)"')
TOPIC = re.compile(r'href="(/debates/topico/[^"#?]+/)"')

_number = itertools.count()


class Reader(FastHttpUser):
    wait_time = between(2, 6)

    def on_start(self) -> None:
        number = next(_number)
        self.account = ACCOUNTS[number % len(ACCOUNTS)]
        self.address = f"198.19.{number // 250 % 256}.{number % 250}"
        self.is_member = False

    def get(self, path: str, name: str) -> str:
        """The page, "" when it failed."""
        return self.ask("GET", path, name)

    def post(self, path: str, name: str, page: str, **fields: str) -> str:
        """Send a form of ``page`` with its token; the page it leads to."""
        token = TOKEN.search(page)
        fields["csrfmiddlewaretoken"] = token[1] if token else ""
        return self.ask("POST", path, name, data=fields)

    def ask(self, method: str, path: str, name: str, **more) -> str:
        headers = {"X-Forwarded-For": self.address}
        with self.client.request(
            method, path, name=name, headers=headers, catch_response=True, **more
        ) as answer:
            text = answer.text or ""
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}")
                return ""
            if self.is_member and "/conta/sair/" not in text:
                answer.failure("the member is no longer known")
            return text

    @task(4)
    def browse(self) -> None:
        """Home, the debates, one of them."""
        self.get("/", "home")
        page = self.get("/debates/", "debates list")
        if found := TOPIC.findall(page):
            self.get(random.choice(found), "topic")

    @task(6)
    def read(self) -> None:
        self.get(random.choice(PAGES["mixed"]), "any page")

    @task(2)
    def log_in(self) -> None:
        """Log in once, on coming to a form."""
        if self.is_member:
            return
        page = self.get("/conta/entrar/", "login form")
        name, password = self.account
        after = self.post(
            "/conta/entrar/", "log in", page, username=name, password=password, next="/debates/"
        )
        self.is_member = "/conta/sair/" in after

    @task(1)
    def reply(self) -> None:
        if not self.is_member:
            return self.log_in()
        path = random.choice(PAGES["ordinary"])
        page = self.get(path, "topic")
        words = f"Li de novo e mudei de ideia ({random.random():.9f}): o narrador sabe mais do que conta."
        after = self.post(
            f"{path}responder/", "reply", page, content=words, spoiler_percent="0", parent=""
        )
        if after and words[-30:] not in after:
            self.environment.events.request.fire(
                request_type="POST", name="reply", response_time=0, response_length=0,
                exception=AssertionError("the reply is not on the page it leads to"), context={},
            )  # fmt: skip
        return None

    @task(2)
    def vote(self) -> None:
        if not self.is_member:
            return self.log_in()
        page = self.get(random.choice(PAGES["ordinary"]), "topic")
        if found := VOTE.findall(page):
            self.post(random.choice(found), "vote", page, value="1")
        return None
