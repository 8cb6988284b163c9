"""One request, and what a reader would call the answer."""

from __future__ import annotations

import contextlib
import http.client
import time
from dataclasses import dataclass
from urllib.parse import urlencode

TIMEOUT_SECONDS = 5
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

GOOD = "good"
REFUSED = "503"  # the page that asks to come back later: promised while Postgres is gone
BROKEN = "broken"  # refused, reset, or closed before the whole answer was there
TIMEOUT = "timeout"
LOST = "logged out"  # a member was taken for a stranger
# Whether a write was done is not known to who got one of these.
NO_WORD = {REFUSED, BROKEN, TIMEOUT}


@dataclass(frozen=True, slots=True)
class Asked:
    """``begun`` and ``ended`` are monotonic seconds; ``kind`` is GOOD, or what was wrong."""

    what: str
    begun: float
    ended: float
    kind: str

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    text: str


@dataclass(frozen=True)
class Visitor:
    """A browser without scripts; a member's has a session. The token is the cookie's and the form's."""

    address: str
    token: str
    session: str = ""

    def headers(self) -> dict[str, str]:
        cookie = f"csrftoken={self.token}" + (f"; sessionid={self.session}" if self.session else "")
        return {
            "Cookie": cookie,
            "User-Agent": BROWSER,
            "X-Forwarded-For": self.address,
            "Connection": "close",
        }


class Client:
    """Asks one server and remembers every request. Safe to use from several threads."""

    def __init__(self, port: int, timeout: float = TIMEOUT_SECONDS):
        self.port, self.timeout = port, timeout
        self.asked: list[Asked] = []

    def get(self, what: str, visitor: Visitor, path: str, status: int = 200) -> None:
        """Read a page that answers ``status``; a member must be known there."""
        begun = time.monotonic()
        kind, answer = self._answer(visitor, "GET", path, None)
        if not kind:
            kind = _judge(answer, status)
            if kind == GOOD and status == 200 and visitor.session:
                kind = GOOD if "/conta/sair/" in answer.text else LOST
        self.asked.append(Asked(what, begun, time.monotonic(), kind))

    def post(
        self, what: str, visitor: Visitor, path: str, leads_to: str, **fields: object
    ) -> tuple[str, Answer | None]:
        """Send a form that leads to an address beginning with ``leads_to``: what it was, the answer."""
        begun = time.monotonic()
        body = urlencode({**fields, "csrfmiddlewaretoken": visitor.token})
        kind, answer = self._answer(visitor, "POST", path, body)
        if not kind:
            kind = _judge(answer, 302)
            if kind == GOOD and not answer.location.startswith(leads_to):
                lost = answer.location.startswith("/conta/entrar/")
                kind = LOST if lost else f"led to {answer.location[:60]}"
        self.asked.append(Asked(what, begun, time.monotonic(), kind))
        return kind, answer

    def _answer(
        self, visitor: Visitor, method: str, path: str, body: str | None
    ) -> tuple[str, Answer | None]:
        headers = visitor.headers()
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            with contextlib.closing(line):
                line.request(method, path, body, headers)
                response = line.getresponse()
                text = response.read().decode()
        except TimeoutError:
            return TIMEOUT, None
        except (OSError, http.client.HTTPException):
            return BROKEN, None
        if response.status == 503 and int(response.headers["Retry-After"] or 0) > 0:
            return REFUSED, None
        return "", Answer(response.status, response.headers["Location"] or "", text)


def _judge(answer: Answer, status: int) -> str:
    if answer.status == status:
        return GOOD
    return LOST if answer.location.startswith("/conta/entrar/") else f"status {answer.status}"


def p95(asked: list[Asked]) -> float:
    """Milliseconds that 95 of 100 did not exceed; 0 of none."""
    times = sorted(one.seconds for one in asked)
    return 1000 * times[int(len(times) * 0.95)] if times else 0.0
