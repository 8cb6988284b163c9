"""A reader with a cookie jar who talks to a real server and tells how each answer was."""

from __future__ import annotations

import contextlib
import http.client
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from debates.demo.loading import LOGINS, PASSWORD


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    def __repr__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.text[:300]}"


class Visitor:
    """One browser without scripts."""

    headers: dict[str, str] = {}  # sent with every request
    agent = ""  # which makes it a robot: its readings are not counted

    def __init__(self, address: str):
        self.netloc = urlsplit(address).netloc
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str, **fields: object) -> Answer:
        fields["csrfmiddlewaretoken"] = self.cookies.get("csrftoken", "")
        return self._ask("POST", path, urlencode(fields))

    def log_in(self, login: int = 0) -> Visitor:
        """As one of the two demo readers."""
        self.get("/conta/entrar/")
        fields = {"username": LOGINS[login].username, "password": PASSWORD}
        answer = self.post("/conta/entrar/", **fields)
        assert answer.status == 302, answer
        return self

    def _ask(self, method: str, path: str, body: str | None = None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= {"User-Agent": self.agent, **self.headers}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        line = http.client.HTTPConnection(self.netloc, timeout=60)
        with contextlib.closing(line):
            line.request(method, path, body, headers)
            answer = Answer(line.getresponse())
        for header in answer.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(header).items():
                self.cookies.pop(name, None)
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
        return answer
