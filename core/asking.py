"""Questions to servers that may hang: asked in threads, and nobody waits longer than agreed.

psycopg2 waits for ever on a server that hangs, whatever its timeouts say. A thread that still
hangs is left alone and not asked again, so there is never more than one of each.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections
from redis.exceptions import RedisError

from .database import DATABASE_GONE

logger = logging.getLogger(__name__)

FAULTS = (*DATABASE_GONE, RedisError, OSError)
DOWN, LATE = "down", "no answer"

Questions = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Answer:
    """What a question returned, or ``DOWN`` or ``LATE`` as ``fault``; after how many ms."""

    value: Any
    fault: str
    ms: float


def ask(groups: Mapping[str, Questions], seconds: float) -> dict[str, Answer]:
    """Ask all ``groups`` at once, each one's questions in turn; return within ``seconds``.

    A group is what one server is asked: it has one thread, and one connection to Postgres that is
    closed after.
    """
    asked = [_Group.begun(name, questions) for name, questions in groups.items()]
    deadline = time.monotonic() + seconds
    found: dict[str, Answer] = {}
    for group in asked:
        group.thread.join(max(deadline - time.monotonic(), 0))
        late = Answer(None, LATE, (time.monotonic() - group.started) * 1000)
        found |= {name: group.answers.get(name, late) for name in group.questions}
    return found


class _Group:
    _last: dict[str, _Group] = {}

    def __init__(self, name: str, questions: Questions) -> None:
        self.questions = questions
        self.answers: dict[str, Answer] = {}
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self._run, name=f"asking-{name}", daemon=True)
        self.thread.start()

    @classmethod
    def begun(cls, name: str, questions: Questions) -> _Group:
        """A thread that asks now, or the one that still waits for an answer."""
        last = cls._last.get(name)
        if last is None or not last.thread.is_alive():
            last = cls._last[name] = cls(name, questions)
        return last

    def _run(self) -> None:
        try:
            for name, question in self.questions.items():
                self.answers[name] = _answer(name, question)
        finally:
            connections.close_all()


def _answer(name: str, question: Callable[[], Any]) -> Answer:
    begun = time.perf_counter()
    value, fault = None, ""
    try:
        value = question()
    except FAULTS:
        fault = DOWN
    except Exception:  # a fault of ours stands in the log, and is not told to whoever asks
        logger.exception("nobody could ask question=%s", name)
        fault = DOWN
    return Answer(value, fault, (time.perf_counter() - begun) * 1000)
